"""Write `benchmarks/README.md`, what was measured, from `benchmarks/results/*.json`: `python -m tools.figures`, or `--check`.

Knows which figure stands beside which bar. Must not measure anything; what is written by hand below its marker stays as it is.
"""

import json
import sys
from typing import Any, NamedTuple

from tools.generated import ROOT, write_or_check

FILE = ROOT / "benchmarks" / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
HEADER = """<!-- Down to the marker generated from benchmarks/results by `python -m tools.figures`; run the benchmarks to change it. -->
# Measured

Figures, not tests: they are taken by hand on an otherwise idle machine, side by side with what they are compared with, and nothing fails
when they change. Each names its command.
"""
END = "\n<!-- End of what is generated: the rest is written by hand. -->\n"


class Row(NamedTuple):
    """A figure in words: its name in the JSON, what it is, its bar (empty: none), how many decimals, and its unit.

    Of many measurements the JSON has NAME_min, NAME_median and NAME_max in place of NAME.
    """

    name: str
    what: str
    bar: str = ""
    decimals: int = 2
    unit: str = ""


class Table(NamedTuple):
    """One file of results."""

    file: str
    title: str
    command: str
    about: str
    rows: tuple[Row, ...]


SDK = Table(
    "sdk.json",
    "The SDK",
    "make bench-sdk",
    "One gate, `country in {US, CA} and plan == pro`, 30 % on, 1,000 users. Rates are evaluations a second of the thread's CPU time; each "
    "subject in a fresh process, the median of seven interleaved rounds' ratios. *Counted* means with Prometheus metrics attached: every "
    "evaluation and every first exposure is counted. A unit that the process has seen under these rules is looked up, not hashed; the "
    "row *new units* is the cost where nobody is ever seen twice. Stalls are the longest single evaluation of a thread that evaluates "
    "without a pause while a mounted volume is swapped, the median of 20 swaps; *quiet* is the same without a swap, and *served after* is "
    "how long such a busy process took to serve the new rules.",
    (
        Row("rate_vs_eppo", "counted, against Eppo's Rust core without a logger", "≥ 1.3", unit="×"),
        Row("rate_vs_flagd", "counted, against OpenFeature with flagd's file provider", "≥ 60", 1, "×"),
        Row("rate_vs_inline", "counted, against an inline `if` with mmh3", unit="×"),
        Row("rate_uncounted_vs_eppo", "without metrics, every unit hashed, against Eppo", unit="×"),
        Row("rate_new_units_vs_eppo", "counted, new units only, against Eppo", unit="×"),
        Row("openfeature_rate_vs_flagd", "behind OpenFeature's client, against flagd's provider behind the same client", unit="×"),
        Row("p99_vs_eppo", "99th percentile, counted, against Eppo's", "≤ 1", unit="×"),
        Row("rampgate_counted_m_per_s", "counted", decimals=2, unit="M/s"),
        Row("rampgate_m_per_s", "without metrics", decimals=2, unit="M/s"),
        Row("rampgate_openfeature_m_per_s", "behind OpenFeature's client", decimals=3, unit="M/s"),
        Row("eppo_m_per_s", "Eppo", decimals=2, unit="M/s"),
        Row("flagd_m_per_s", "flagd", decimals=3, unit="M/s"),
        Row("inline_m_per_s", "inline", decimals=2, unit="M/s"),
        Row("rampgate_counted_p99_us", "99th percentile, counted", unit="µs"),
        Row("eppo_p99_us", "99th percentile, Eppo", unit="µs"),
        Row("reload_stall_ms_1000", "stall while 1,000 gates are replaced", "< 5", unit="ms"),
        Row("reload_stall_ms_4000", "stall while 4,000 gates are replaced", "< 10", unit="ms"),
        Row("reload_stall_ms_one_of_1000", "stall while one of 1,000 changes", "< 1", unit="ms"),
        Row("reload_quiet_ms_1000", "quiet, 1,000 gates", unit="ms"),
        Row("reload_served_after_ms_one_of_1000", "served after, one of 1,000", decimals=0, unit="ms"),
        Row("reload_served_after_ms_1000", "served after, 1,000 of 1,000", decimals=0, unit="ms"),
        Row("reload_all_served_after_ms_1000", "all served after, 1,000 of 1,000, beside a thread that never rests", decimals=0, unit="ms"),
        Row("import_ms", "`import rampgate`, over bare Python", "≤ 15", 1, "ms"),
        Row("import_rss_mb", "`import rampgate`, over bare Python", "≤ 3", unit="MB"),
        Row("counts_lost", "evaluations of 4 threads at once that were not counted, of a million", "0", 0),
        Row("ofrep_requests_per_s", "`rampgate serve`, single evaluations per second of the server's CPU time", "≥ 3,000", 0),
        Row("wall_requests_per_s", "`rampgate serve`, by the clock, the client on the same machine", decimals=0),
        Row("ofrep_bulk_of_100_per_s", "`rampgate serve`, bulk evaluations of 100 gates per second of CPU time", decimals=0),
        Row("enrolment_p_utf8", "chi-square of a million units: enrolment, `UTF8` (p-value)"),
        Row("arms_p_utf8", "the same: arms, `UTF8`"),
        Row("two_gates_p_utf8", "the same: two gates against each other, `UTF8`"),
        Row("enrolment_p_cbor", "the same: enrolment, `CBOR`"),
        Row("arms_p_cbor", "the same: arms, `CBOR`"),
        Row("two_gates_p_cbor", "the same: two gates against each other, `CBOR`"),
    ),
)
OPERATOR = Table(
    "scale.json",
    "The operator with 1,000 Experiments",
    "make bench-scale",
    "A real API server, a stub of Prometheus' HTTP API, two guardrails each.",
    (
        Row("ready_s_1000", "restart until all are reconciled", decimals=1, unit="s"),
        Row("install_s_1000", "first installation until all are reconciled", decimals=1, unit="s"),
        Row("rss_mib_1000", "memory", decimals=0, unit="MiB"),
        Row("cpu_s_per_1000_looks", "CPU per 1,000 looks", decimals=1, unit="s"),
        Row("kill_p99_s_1000", "kill while four clients edit everything, 99th percentile", unit="s"),
    ),
)
FAILOVER = Table(
    "failover.json",
    "Two replicas",
    "python -m benchmarks.failover --record",
    "With the default lease of 10 seconds.",
    (
        Row("failover_s", "SIGKILL of the leader until the other one watches", "≤ 15", 1, "s"),
        Row("hand_over_s", "SIGTERM of the leader until the other one watches", "≤ 2", 1, "s"),
    ),
)
ROLLBACK = Table(
    "rollback.json",
    "From a fault to its rollback",
    "make bench-rollback",
    "A real API server, a real Prometheus that scrapes every 5 seconds, the operator, and an application of three processes. 30 requests a "
    "second, three of them of the treatment; 1 % of all fail, until the treatment's errors rise to what the row says. Measured until the "
    "last process is back on control; least, median and most of 20 Experiments, each with its fault at a moment of its own.",
    tuple(
        Row(f"{what}_1_to_{percent}_every_{interval}", f"1 → {percent} %, a look every {interval[:-1]} s: {told}", unit=unit, decimals=0)
        for interval in ("5s", "30s")
        for percent in (10, 30, 100)
        for what, told, unit in (("seconds", "time", "s"), ("requests", "the treatment's requests", ""))
    ),
)
PROPAGATION = Table(
    "propagation.json",
    "From a kill to the pods",
    "make bench-propagation",
    "*Told*: 200 pods as plain objects on a real API server, the operator's side alone, 20 kills; from the API server's answer to the kill "
    "until the last pod has its annotation, while the next row's kill of another Experiment comes at the same moment. *Obey*: ten real "
    "pods, 200 kills, the slowest pod of each; without a nudge 20 kills.",
    (
        Row("api_calls_per_nudge_200_pods", "requests to tell 200 pods, at most", "≤ 201", 0),
        Row("nudge_200_pods_p50_s", "200 pods are told, median", unit="s"),
        Row("kill_beside_200_pods_p50_s", "another Experiment's two pods are told meanwhile, median", unit="s"),
        Row("kill_alone_p50_s", "the same when nothing else happens, median", unit="s"),
        Row("kill_p50_s_nudge", "ten mounts that are nudged obey, median", unit="s"),
        Row("kill_p99_s_nudge", "the same, 99th percentile", "≤ 1", unit="s"),
        Row("kill_p50_s_watch", "ten processes that watch the API server obey, median", unit="s"),
        Row("kill_p99_s_watch", "the same, 99th percentile", "≤ 0.25", unit="s"),
        Row("kill_p50_s_plain", "ten mounts that are left to their kubelet obey, median", unit="s"),
        Row("kill_p99_s_plain", "the same, 99th percentile", unit="s"),
    ),
)
GUARDRAILS = Table(
    "guardrails.json",
    "Guardrails",
    "make bench-guardrails",
    "10,000 simulated ramps of each kind: 1 % for 10 looks, 5 % for 10, 25 % for 15, 50 % for 15; a guardrail with `maxIncrease: 0%`, 1 % "
    "errors in control, 10, 100 and 1,000 requests a second, all that is not treatment's is the comparison. Ramps of 50 looks go "
    "through the operator's own look, verdict and decision, longer ones through a twin. Worst of all traffic; without harm of a rate "
    "that stays, one that swings, and one that swings while an incident hits everybody.",
    (
        Row("aa_false_rollback_50_looks_worst", "no harm: rolled back in 50 looks", "≤ 0.03", 4),
        Row("aa_false_rollback_any_worst", "the same, also in 1,000 and 5,000 looks, and with three guardrails", "≤ 0.05", 4),
        Row("found_1_to_2_worst", "1 → 2 %: found", "≥ 0.99", 4),
        Row("median_requests_1_to_2_worst", "1 → 2 %: treatment's requests until then, median", "≤ 1,300", 0),
        Row("median_requests_1_to_5_worst", "1 → 5 % at 10 and 100/s: the same", "≤ 200", 0),
        Row("found_1_to_1_2_at_100rps", "1 → 1.2 % at 100/s: found", "≥ 0.85", 4),
        Row("srm_false_alarm_worst", "sample ratio: false alarm in 50 looks", "≤ 0.001", 4),
        Row("srm_5pct_loss_median_look", "5 % of treatment's exposures lost at 100/s: found at look, median", "≤ 25", 0),
        Row("looks_1000x3_queries", "one look of 1,000 Experiments with three guardrails: queries", "≤ 40", 0),
        Row("looks_1000x3_cpu_s", "the same: the operator's CPU", "≤ 6", unit="s"),
    ),
)
TABLES = (SDK, OPERATOR, FAILOVER, ROLLBACK, PROPAGATION, GUARDRAILS)
SPREAD = ("min", "median", "max")


def text() -> str:
    """Give the page's content. Raises ValueError when the page does not say where what is written by hand begins."""
    _, end, by_hand = FILE.read_text(encoding="utf-8").partition(END)
    if not end:
        raise ValueError(f"{FILE.name} has no line {END.strip()}")
    return HEADER + "".join(_section(table) for table in TABLES if (RESULTS / table.file).exists()) + END + by_hand


def _section(table: Table) -> str:
    results = json.loads((RESULTS / table.file).read_text(encoding="utf-8"))
    shown = [(row, _shown(results["figures"], row)) for row in table.rows]
    lines = [f"| {row.what} | {measured} | {row.bar} |" for row, measured in shown if measured]
    head = f"\n## {table.title}\n\n`{table.command}`, {results['date']}, {results['machine']}. {table.about}\n\n"
    return head + "| | measured | bar |\n|---|--:|--:|\n" + "\n".join(lines) + "\n"


def _shown(figures: dict[str, Any], row: Row) -> str:
    names = [name for name in (row.name, *(f"{row.name}_{each}" for each in SPREAD)) if name in figures]
    return f"{' / '.join(f'{figures[name]:,.{row.decimals}f}' for name in names)} {row.unit}".strip() if names else ""


if __name__ == "__main__":
    sys.exit(write_or_check(FILE, text, module="tools.figures"))
