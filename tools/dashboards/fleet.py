"""The dashboard of all Experiments, of what they are guarded by, and of the operator.

Knows the operator's metrics. `max by` takes one of two replicas: the one that stands by knows no Experiments.
"""

from tools.dashboards.panels import Json, Panel, Query, Row, dashboard, override, table, variable

NAMESPACES = 'namespace=~"$namespace"'
PERCENT = f"rampgate_operator_experiment_percent{{{NAMESPACES}}}"
OF_ONE = "namespace, experiment"
MOVED = (
    f'rampgate_operator_last_transition_timestamp_seconds{{{NAMESPACES},reason=~"GuardrailBreached|ReadingsMissing|DeadlinePassed|Killed"}}'
)
WHEN = override("when", unit="dateTimeAsIso")
OF_THIS_ROW = "/d/rampgate-experiment?var-namespace=${__data.fields.namespace}&var-experiment=${__value.text}"
LINK = override(
    "experiment",
    links=[
        {
            "title": "This Experiment",
            "url": OF_THIS_ROW,
        }
    ],
)
STACKED: Json = {"fillOpacity": 30, "stacking": {"mode": "normal"}}


def rate(metric: str, *, by: str = "", selector: str = "") -> str:
    """Give a counter's rate, summed over replicas."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{f'{{{selector}}}' if selector else ''}[$__rate_interval]))"


def quantile(histogram: str, at: float, *, over: str = "$__rate_interval") -> str:
    """Give a quantile of a histogram."""
    return f"histogram_quantile({at}, sum by (le) (rate({histogram}_bucket[{over}])))"


def of_operator(expr: str) -> str:
    """Give what a metric of every process says of the operator's."""
    return f"{expr} and on (job, instance) rampgate_operator_leader"


EXPERIMENTS = Row(
    "Experiments",
    (
        Panel(
            title="By phase",
            queries=(Query(f"count by (phase) (max by ({OF_ONE}, phase) ({PERCENT}))", "{{phase}}"),),
            width=6,
            custom=STACKED,
        ),
        Panel(
            title="What ramps wait for",
            about="The first reason that holds. Metrics, SampleRatio, Rules and Pods want a person, and have alerts.",
            queries=(
                Query(
                    f"count by (waiting_for) (max by ({OF_ONE}, waiting_for) (rampgate_operator_experiment_waiting{{{NAMESPACES}}}))",
                    "{{waiting_for}}",
                ),
            ),
            width=6,
            custom=STACKED,
        ),
        Panel(
            title="Transitions",
            about="A second.",
            queries=(Query(rate("rampgate_operator_transitions_total", by="reason"), "{{reason}}"),),
            width=6,
        ),
        Panel(
            title="Stopped by hand",
            about="Gates that ConfigMaps' keys kill name.",
            queries=(Query(f"sum(max by (namespace, config_map) (rampgate_operator_break_glass{{{NAMESPACES}}}))"),),
            kind="stat",
            instant=True,
            width=3,
        ),
        Panel(
            title="Entries left",
            about="Of gates whose Experiment is gone. A person removes them.",
            queries=(Query("max(rampgate_operator_entries_left)"),),
            kind="stat",
            instant=True,
            width=3,
        ),
        table(
            "Served",
            f"max by ({OF_ONE}, phase) ({PERCENT})",
            width=8,
            names={"namespace": "namespace", "experiment": "experiment", "phase": "phase", "Value": "percent"},
            overrides=(LINK, override("percent", unit="percent")),
        ),
        table(
            "Last rollbacks and kills",
            f"topk(20, max by ({OF_ONE}, reason) ({MOVED})) * 1000",
            width=8,
            names={"Value": "when", "namespace": "namespace", "experiment": "experiment", "reason": "reason"},
            overrides=(LINK, WHEN),
        ),
        table(
            "What is wrong",
            f"max by ({OF_ONE}, type, reason) (rampgate_operator_condition_false{{{NAMESPACES}}})",
            width=8,
            about="Conditions that are False. kubectl describe has the sentence.",
            names={"namespace": "namespace", "experiment": "experiment", "type": "condition", "reason": "reason"},
            overrides=(LINK,),
        ),
    ),
)
READING = Row(
    "Reading metrics",
    (
        Panel(
            title="Looks",
            about="At guardrails, a second, by verdict.",
            queries=(Query(rate("rampgate_operator_looks_total", by="verdict"), "{{verdict}}"),),
            custom=STACKED,
        ),
        Panel(
            title="Answers of sources",
            about="A second. Anything but Ok is a question without a usable answer.",
            queries=(Query(f"{rate('rampgate_operator_answers_total', by='source, outcome')} > 0", "{{source}} {{outcome}}"),),
        ),
        Panel(
            title="Rules",
            about="Of the 900 KiB that a ConfigMap may hold.",
            queries=(
                Query(
                    f"max by (namespace, config_map) (rampgate_operator_rules_bytes{{{NAMESPACES}}}) / 921600",
                    "{{namespace}}/{{config_map}}",
                ),
            ),
            unit="percentunit",
        ),
    ),
)
OPERATOR = Row(
    "Operator",
    (
        Panel(title="Leads", queries=(Query("max by (job, instance) (rampgate_operator_leader)", "{{instance}}"),), most=1),
        Panel(
            title="Lateness",
            about="How long the oldest that is due has waited, how long the watch has owed news, how late steps are taken.",
            queries=(
                Query("max(rampgate_operator_queue_oldest_seconds)", "queue"),
                Query("max(rampgate_operator_watch_behind_seconds)", "watch"),
                Query(quantile("rampgate_operator_step_lateness_seconds", 0.99, over="$__range"), "steps, p99 of the range"),
            ),
            unit="s",
        ),
        Panel(title="Due and waiting", queries=(Query("max(rampgate_operator_queue_depth)", "Experiments"),)),
        Panel(
            title="Decisions",
            about="A second. conflict: a lost race, tried again. error: the API server. bug: the log has the traceback.",
            queries=(Query(rate("rampgate_operator_reconcile_seconds_count", by="outcome"), "{{outcome}}"),),
            custom=STACKED,
        ),
        Panel(
            title="How long a decision takes",
            queries=(
                Query(quantile("rampgate_operator_reconcile_seconds", 0.5), "p50"),
                Query(quantile("rampgate_operator_reconcile_seconds", 0.99), "p99"),
            ),
            unit="s",
        ),
        Panel(
            title="Pods told",
            about="A second: annotated, so that their kubelet refreshes the mount.",
            queries=(Query(rate("rampgate_operator_nudge_patches_total", by="outcome"), "{{outcome}}"),),
        ),
        Panel(
            title="From a change to the last pod told",
            queries=(
                Query(quantile("rampgate_operator_nudge_seconds", 0.5, over="$__range"), "p50 of the range"),
                Query(quantile("rampgate_operator_nudge_seconds", 0.99, over="$__range"), "p99 of the range"),
            ),
            unit="s",
        ),
        Panel(
            title="From a decision to the last pod that obeys",
            about="Kills, rollbacks, and steps with ramp.confirm; as fine as the scrape interval.",
            queries=(
                Query(quantile("rampgate_operator_convergence_seconds", 0.5, over="$__range"), "p50 of the range"),
                Query(quantile("rampgate_operator_convergence_seconds", 0.99, over="$__range"), "p99 of the range"),
            ),
            unit="s",
        ),
        Panel(
            title="CPU",
            about="Cores.",
            queries=(Query(of_operator("rate(process_cpu_seconds_total[$__rate_interval])"), "{{instance}}"),),
        ),
        Panel(title="Memory", queries=(Query(of_operator("process_resident_memory_bytes"), "{{instance}}"),), unit="bytes"),
    ),
)
APPLICATIONS = Row(
    "Applications",
    (
        Panel(
            title="Processes that evaluate gates",
            queries=(Query(f"sum by (namespace) (rampgate_processes{{{NAMESPACES}}})", "{{namespace}}"),),
            width=12,
        ),
        Panel(
            title="Oldest word of the rules' source",
            about="Beyond five minutes decisions say stale, and a kill would not be heard.",
            queries=(Query(f"max by (namespace) (rampgate_rules_age_seconds{{{NAMESPACES}}})", "{{namespace}}"),),
            unit="s",
            width=12,
        ),
    ),
)


def fleet() -> Json:
    """Give the dashboard."""
    return dashboard(
        "rampgate-fleet",
        "Rampgate: all Experiments",
        about="Where every Experiment is, what has been rolled back, and how the operator is.",
        variables=[variable("namespace", "label_values(rampgate_operator_experiment_percent, namespace)", label="Namespace", several=True)],
        rows=(EXPERIMENTS, READING, OPERATOR, APPLICATIONS),
    )
