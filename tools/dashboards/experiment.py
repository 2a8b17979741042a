"""The dashboard of one Experiment: what is served, what users get, what guards it, and whether pods obey.

Knows the operator's metrics and the SDK's. `max by` takes one of two replicas: the one that stands by knows no Experiments.
"""

from tools.dashboards.panels import SOURCE, Json, Panel, Query, Row, dashboard, override, variable

ONE = 'namespace="$namespace",experiment="$experiment"'
GATE = 'namespace="$namespace",gate="$experiment"'
GUARDRAIL = f'{ONE},guardrail=~"$guardrail"'
STEPS: Json = {"lineInterpolation": "stepAfter", "fillOpacity": 10}
STACKED: Json = {"fillOpacity": 30, "stacking": {"mode": "normal"}}
ENROLLED, DRAWN, FAILED = ',reason="ENROLLED"', ',reason=~"ENROLLED|NOT_ENROLLED"', ',outcome="error"'
WANTED = f"max(rampgate_operator_rules_generation{{{ONE}}})"


def rate(metric: str, *, by: str = "", also: str = "") -> str:
    """Give a counter's rate over all processes."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{GATE}{also}}}[$__rate_interval]))"


TRANSITIONS: Json = {
    "name": "Transitions",
    "datasource": SOURCE,
    "enable": True,
    "iconColor": "orange",
    "target": {
        "refId": "Anno",
        "expr": f"max by (reason) (rampgate_operator_last_transition_timestamp_seconds{{{ONE}}}) * 1000",
        "interval": "15s",
    },
    "useValueForTime": True,
    "titleFormat": "{{reason}}",
}
STATE = Row(
    "Where it is",
    (
        Panel(
            title="Phase",
            queries=(Query(f"max by (phase) (rampgate_operator_experiment_percent{{{ONE}}})", "{{phase}}"),),
            kind="stat",
            instant=True,
            unit="percent",
            width=4,
            options={"textMode": "value_and_name"},
        ),
        Panel(
            title="Waits for",
            queries=(Query(f"max by (waiting_for) (rampgate_operator_experiment_waiting{{{ONE}}})", "{{waiting_for}}"),),
            kind="stat",
            instant=True,
            width=4,
            options={"textMode": "name"},
        ),
        Panel(
            title="Percent served",
            about="Of eligible units. The operator's word: while the glass is broken, everybody is on control.",
            queries=(Query(f"max(rampgate_operator_experiment_percent{{{ONE}}})", "percent"),),
            unit="percent",
            most=100,
            custom=STEPS,
        ),
        Panel(
            title="Enrolled: planned and observed",
            about="Of evaluations by eligible units, those that were enrolled. Units that ask often weigh more.",
            queries=(
                Query(f"max(rampgate_operator_experiment_percent{{{ONE}}}) / 100", "planned"),
                Query(
                    f"{rate('rampgate_exposures_total', also=ENROLLED)} / {rate('rampgate_exposures_total', also=DRAWN)}",
                    "observed",
                ),
            ),
            unit="percentunit",
            most=1,
            overrides=(override("planned", custom__lineInterpolation="stepAfter", custom__lineStyle={"fill": "dash", "dash": [8, 8]}),),
        ),
    ),
)
GUARDED = Row(
    "Guardrails",
    (
        Panel(
            title="$guardrail",
            about="Of what is counted the ratio of treatment's rate to the comparison's, in its interval; else the value read.",
            queries=(
                Query(f"max(rampgate_operator_guardrail_value{{{GUARDRAIL}}})", "read"),
                Query(f'max(rampgate_operator_guardrail_bound{{{GUARDRAIL},end="low"}})', "low"),
                Query(f'max(rampgate_operator_guardrail_bound{{{GUARDRAIL},end="high"}})', "high"),
            ),
            width=12,
            overrides=(
                override("low", custom__lineWidth=0),
                override("high", custom__lineWidth=0, custom__fillBelowTo="low", custom__fillOpacity=20),
            ),
            repeat="guardrail",
        ),
        Panel(
            title="Verdicts",
            queries=(
                Query(
                    f"max by (guardrail, verdict) (rampgate_operator_guardrail_verdict{{{ONE}}})",
                    "{{guardrail}} {{verdict}}",
                ),
            ),
            kind="state-timeline",
            width=12,
            options={"showValue": "never", "mergeValues": True},
        ),
    ),
)
USERS = Row(
    "What users get",
    (
        Panel(
            title="Evaluations",
            about="A second, by what decided them.",
            queries=(Query(rate("rampgate_exposures_total", by="reason"), "{{reason}}"),),
            custom=STACKED,
        ),
        Panel(
            title="First exposures",
            about="Units a second, each once per process, attempt and percentage.",
            queries=(Query(rate("rampgate_first_exposures_total", by="variant"), "{{variant}}"),),
            custom=STACKED,
        ),
        Panel(
            title="Requests that fail",
            queries=(
                Query(
                    f"{rate('rampgate_requests_total', by='variant', also=FAILED)} / {rate('rampgate_requests_total', by='variant')}",
                    "{{variant}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            title="How long requests take",
            about="The 95th percentile, as far as the histogram's bounds tell.",
            queries=(
                Query(
                    f"histogram_quantile(0.95, {rate('rampgate_request_duration_seconds_bucket', by='le, variant')})",
                    "{{variant}}",
                ),
            ),
            unit="s",
        ),
    ),
)
OBEYED = Row(
    "Whether pods obey",
    (
        Panel(
            title="Processes that run the newest rules",
            about="Or newer ones. Of those that report a generation.",
            queries=(
                Query(
                    f"(count(rampgate_rules_generation{{{GATE}}} >= on () group_left () {WANTED}) or vector(0)) "
                    f"/ count(rampgate_rules_generation{{{GATE}}})",
                    "share",
                ),
            ),
            unit="percentunit",
            most=1,
        ),
        Panel(
            title="Processes by generation",
            queries=(Query(f'count_values("generation", rampgate_rules_generation{{{GATE}}})', "{{generation}}"),),
            custom=STACKED,
        ),
        Panel(
            title="Oldest word of the rules' source",
            about="In the namespace. Beyond five minutes decisions say stale.",
            queries=(Query('max(rampgate_rules_age_seconds{namespace="$namespace"})', "seconds"),),
            unit="s",
        ),
    ),
)
OPERATOR = Row(
    "Operator",
    (
        Panel(title="Replicas that lead", queries=(Query("sum(rampgate_operator_leader)", "leaders"),)),
        Panel(
            title="Lateness",
            queries=(
                Query("max(rampgate_operator_queue_oldest_seconds)", "queue"),
                Query("max(rampgate_operator_watch_behind_seconds)", "watch"),
            ),
            unit="s",
        ),
        Panel(
            title="Decisions that went wrong",
            about="A second, of all Experiments.",
            queries=(
                Query(
                    'sum by (outcome) (rate(rampgate_operator_reconcile_seconds_count{outcome=~"error|bug"}[$__rate_interval]))',
                    "{{outcome}}",
                ),
            ),
        ),
    ),
)


def experiment() -> Json:
    """Give the dashboard."""
    percent = "rampgate_operator_experiment_percent"
    return dashboard(
        "rampgate-experiment",
        "Rampgate: one Experiment",
        about="What is served, what users get, what guards it, and whether pods obey. Transitions are annotations.",
        variables=[
            variable("namespace", f"label_values({percent}, namespace)", label="Namespace"),
            variable("experiment", f'label_values({percent}{{namespace="$namespace"}}, experiment)', label="Experiment"),
            variable(
                "guardrail",
                f"label_values(rampgate_operator_guardrail_verdict{{{ONE}}}, guardrail)",
                label="Guardrail",
                several=True,
            ),
        ],
        rows=(STATE, GUARDED, USERS, OBEYED, OPERATOR),
        annotations=(TRANSITIONS,),
    )
