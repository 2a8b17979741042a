"""core/lint and core/doubts: which documents are judged, by whom, and what is doubtful though it may be applied."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rampgate_operator.core.lint import Finding, Severity, Terms, lint, lint_bytes
from tests.core.story import COUNTED, SPEC, steps

GUARDRAIL: dict[str, Any] = {"name": "errors", "query": "sum(rate(a[1m]))", "max": 1}
NO_WEIGHT = {"variants": [{"name": "off", "value": 0, "weight": 0}, {"name": "on", "value": 1}]}
BLIND: dict[str, Any] = {**GUARDRAIL, "query": 'rate(a{variant="$variant"}[1m]) - rate(a{variant=~"off|baseline"}[1m])'}
FIRST = "2026-12-01T00:00:00Z"  # a Tuesday


def manifest(**fields: Any) -> dict[str, Any]:
    spec = {name: value for name, value in {**SPEC, **fields}.items() if value is not None}
    return {"apiVersion": "rampgate.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": "new-checkout"}, "spec": spec}


def said(content: Any, terms: Terms = Terms()) -> list[tuple[str, str, str]]:  # noqa: B008  # frozen
    findings = lint(json.dumps(content), terms).findings
    return [(finding.severity.value, finding.path, finding.message) for finding in findings]


def warnings(terms: Terms = Terms(), **fields: Any) -> list[tuple[str, str]]:  # noqa: B008  # frozen
    found = said(manifest(**fields), terms)
    assert [severity for severity, _, _ in found if severity == "error"] == []
    return [(path, message) for _, path, message in found]


def test_a_good_manifest_has_no_findings() -> None:
    assert lint(json.dumps(manifest(guardrails=[GUARDRAIL])), Terms()).findings == ()


KINDS: list[tuple[str, str, tuple[int, int]]] = [
    ("an Experiment", "apiVersion: rampgate.dev/v1alpha1\nkind: Experiment", (1, 0)),
    ("one of a version that does not exist", "apiVersion: rampgate.dev/v1\nkind: Experiment", (1, 0)),
    ("one without a version", "kind: Experiment", (1, 0)),
    ("a misspelled kind", "apiVersion: rampgate.dev/v1alpha1\nkind: Experimnt", (1, 0)),
    ("no kind at all", "apiVersion: rampgate.dev/v1alpha1", (1, 0)),
    ("another group's Experiment", "apiVersion: argoproj.io/v1alpha1\nkind: Experiment", (0, 1)),
    ("another kind", "apiVersion: v1\nkind: ConfigMap", (0, 1)),
    ("values of a chart", "replicas: 2", (0, 1)),
    ("no mapping", "- 1", (0, 1)),
    ("nothing", "# nothing", (0, 0)),
    ("a list", "apiVersion: v1\nkind: List\nitems: [{kind: Experiment}, {kind: Pod}, 5]", (1, 2)),
    ("a list of Experiments", "apiVersion: rampgate.dev/v1alpha1\nkind: ExperimentList\nitems: [{kind: Experiment}]", (1, 0)),
    ("a list that is none", "apiVersion: v1\nkind: List\nitems: later", (0, 1)),
]


@pytest.mark.parametrize(("text", "counts"), [row[1:] for row in KINDS], ids=[row[0] for row in KINDS])
def test_documents_that_are_judged_and_skipped(text: str, counts: tuple[int, int]) -> None:
    linted = lint(text, Terms())
    assert (linted.experiments, linted.skipped) == counts


def test_a_finding_in_a_list_has_the_items_line_and_path() -> None:
    item = "apiVersion: rampgate.dev/v1alpha1\n    kind: Experiment\n    metadata: {name: a}\n    spec: 1"
    (found,) = lint(f"kind: List\nitems:\n  - kind: Pod\n  - {item}\n", Terms()).findings
    assert (found.line, found.path) == (7, "spec")


def test_a_duplicate_key_is_an_error_beside_all_others() -> None:
    text = "apiVersion: rampgate.dev/v1alpha1\nkind: Experiment\nmetadata: {name: a}\nmetadata: {name: a}\n"
    assert [(found.line, found.severity, found.path) for found in lint(text, Terms()).findings] == [
        (1, Severity.ERROR, "spec"),
        (4, Severity.ERROR, "metadata"),
    ]


def test_a_key_that_another_kind_gives_twice_is_not_ours_to_say() -> None:
    assert lint("kind: Pod\nkind: Pod\n", Terms()).findings == ()


def test_a_document_that_cannot_be_read_is_an_error_of_no_field_and_hides_no_other() -> None:
    linted = lint("a: [\n---\nkind: Experiment\n", Terms())
    assert (linted.findings[0].severity, linted.findings[0].path, linted.experiments) == (Severity.ERROR, "", 1)


def test_bytes_that_are_no_text_are_an_error_with_their_line() -> None:
    assert lint_bytes(b"a: 1\nb: \xff\n", Terms()).findings == (
        Finding(line=2, severity=Severity.ERROR, path="", message="no YAML: this is not UTF-8"),
    )


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert lint_bytes(b"\xef\xbb\xbfkind: Experiment\n", Terms()).experiments == 1


OPERATOR: list[tuple[str, dict[str, Any], Terms, str, str]] = [
    ("a query that does not parse", {"query": "sum("}, Terms(), "query", "not valid PromQL"),
    ("another namespace", {"query": 'a{namespace="shop"}'}, Terms(), "query", "reads only its own"),
    ("an unknown source", {"source": "mine"}, Terms(sources={"default": timedelta(minutes=5)}), "source", "there is no source 'mine'"),
]


@pytest.mark.parametrize(("fields", "terms", "field", "sentence"), [row[1:] for row in OPERATOR], ids=[row[0] for row in OPERATOR])
def test_the_operator_would_refuse(fields: dict[str, Any], terms: Terms, field: str, sentence: str) -> None:
    ((severity, path, message),) = said(manifest(guardrails=[GUARDRAIL | fields]), terms)
    assert (severity, path) == ("error", f"spec.guardrails[0].{field}")
    assert sentence in message


def test_every_fault_is_told_not_only_the_first_five() -> None:
    assert len(said(manifest(guardrails=[{**GUARDRAIL, "name": f"g{number}", "query": "sum("} for number in range(9)]))) == 9


def test_a_value_that_nests_too_deep_is_the_operators_to_refuse() -> None:
    value: Any = 1
    for _ in range(30):
        value = [value]
    ((_, path, message),) = said(manifest(variants=[{"name": "off", "value": []}, {"name": "on", "value": value}]))
    assert (path, message) == ("spec.variants[1].value", "nests deeper than 20 levels")


def test_without_a_configuration_no_source_is_unknown() -> None:
    assert said(manifest(guardrails=[GUARDRAIL | {"source": "mine"}])) == []


@pytest.mark.parametrize(("terms", "refused"), [(Terms(namespace="shop"), False), (Terms(), True)], ids=["it", "another"])
def test_a_manifest_without_namespace_is_judged_in_the_one_that_was_given(terms: Terms, refused: bool) -> None:
    guardrail = GUARDRAIL | {"query": 'sum(rate(a{namespace="shop"}[1m]))'}
    assert bool(said(manifest(guardrails=[guardrail]), terms)) is refused


def test_a_status_in_the_file_is_ignored() -> None:
    status = {"phase": "Ramping", "attempt": 1, "attemptStartedAt": FIRST, "drawDigest": "f00d"}
    assert said(manifest() | {"status": status}) == []


CONFIRMED = {"ramp": {**steps(1, 10), "confirm": {}}}
ALONE = (
    "spec.ramp.confirm",
    "no step's clock ever starts: which rules pods run is read from the source 'default', and the operator has none",
)
ASKED_AT: list[tuple[str, dict[str, Any], Terms, bool]] = [
    ("where the operator has no such source", CONFIRMED, Terms(sources={"mine": timedelta(minutes=5)}), True),
    ("where it has one", CONFIRMED, Terms(sources={"default": timedelta(minutes=5)}), False),
    ("where its sources are not known", CONFIRMED, Terms(), False),
    ("that is not asked for", {}, Terms(sources={}), False),
]


@pytest.mark.parametrize(("fields", "terms", "doubted"), [row[1:] for row in ASKED_AT], ids=[row[0] for row in ASKED_AT])
def test_a_confirmation_by_pods_is_doubted(fields: dict[str, Any], terms: Terms, doubted: bool) -> None:
    found = [(path, message[: len(ALONE[1])]) for path, message in warnings(terms, **fields)]
    assert found == ([ALONE] if doubted else [])


DOUBTS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("killed", {"killed": True}, [("spec.killed", "no new attempt begins while it stands here")]),
    ("not killed", {"killed": False}, []),
    ("shipped", {"ship": {"attempt": 3, "variant": "on"}}, [("spec.ship", "everybody 'on' as soon as attempt 3 is there")]),
    (
        "a notice whose silence rolls back",
        {"guardrails": [GUARDRAIL | {"onBreach": "Notify", "onNoData": "Rollback", "onError": "Rollback"}]},
        [("spec.guardrails[0].onNoData", "Rollback still acts"), ("spec.guardrails[0].onError", "missing readings end the attempt")],
    ),
    ("a rollback whose silence rolls back", {"guardrails": [GUARDRAIL | {"onNoData": "Rollback"}]}, []),
    (
        "a range that is longer than holds",
        {
            "ramp": steps(1, 5, 10) | {"steps": [*steps(1, 5)["steps"], {"percent": 10, "hold": "2m"}]},
            "guardrails": [GUARDRAIL | {"query": "rate(a[90s])"}],
        },
        [(f"spec.ramp.steps[{index}].hold", "it lasts at least 90s, not 1m") for index in (0, 1)],
    ),
    (
        "an instant selector, which looks back",
        {"guardrails": [GUARDRAIL | {"query": "a"}], "ramp": steps(1, hold="4m")},
        [("spec.ramp.steps[0].hold", "300s")],
    ),
    ("a long range of a notice, which waits for nothing", {"guardrails": [GUARDRAIL | {"query": "rate(a[1h])", "onBreach": "Notify"}]}, []),
    (
        "an invented zero",
        {"guardrails": [GUARDRAIL | {"query": "rate(a[1m]) or vector(0)"}]},
        [("spec.guardrails[0].query", "reads 0 when its series are gone")],
    ),
    ("a constant", {"guardrails": [GUARDRAIL | {"query": "vector(1)"}]}, [("spec.guardrails[0].query", "reads no series: it is always 1")]),
    (
        "blind at the end",
        {**NO_WEIGHT, "guardrails": [BLIND]},
        [("spec.guardrails[0].query", 'blind at 100 %: nobody is served variant=~"off|baseline" there')],
    ),
    (
        "counters, with nobody left at the end",
        {**NO_WEIGHT, "guardrails": [COUNTED]},
        [("spec.guardrails[0].maxIncrease", "at 100 % nobody is left to compare with: the verdict is NoComparison there")],
    ),
    ("counters, with control to the end", {"guardrails": [COUNTED]}, []),
    (
        "a step that waits for what no counts show",
        {"guardrails": [{**COUNTED, "onInconclusive": "Hold"}]},
        [("spec.guardrails[0].onInconclusive", "Hold waits until treatment is shown not to be worse, and with maxIncrease: 0% no counts")],
    ),
    ("a step that waits for what counts may show", {"guardrails": [{**COUNTED, "maxIncrease": "5%", "onInconclusive": "Hold"}]}, []),
    (
        "blind at the end, and waits",
        {**NO_WEIGHT, "guardrails": [BLIND]},
        [("spec.guardrails[0].query", "the ramp waits there for data; give off a weight")],
    ),
    (
        "blind, and rolls back",
        {**NO_WEIGHT, "guardrails": [BLIND | {"onNoData": "Rollback"}]},
        [("spec.guardrails[0].query", "onNoData then rolls back")],
    ),
    (
        "blind, and notifies",
        {**NO_WEIGHT, "guardrails": [BLIND | {"onBreach": "Notify"}]},
        [("spec.guardrails[0].query", "nothing to report there")],
    ),
    (
        "blind from the first step",
        {**NO_WEIGHT, "guardrails": [BLIND | {"query": 'rate(a{variant="off"}[1m])'}]},
        [("spec.guardrails[0].query", "blind at 1 %: ")],
    ),
    (
        "blind to the baseline alone",
        {"guardrails": [BLIND | {"query": 'rate(a{variant="baseline"}[1m])'}]},
        [("spec.guardrails[0].query", "ask for off as well")],
    ),
    ("approval that nobody gave", {"ramp": steps(1, 10, approval=True)}, []),
]


@pytest.mark.parametrize(("fields", "expected"), [row[1:] for row in DOUBTS], ids=[row[0] for row in DOUBTS])
def test_it_is_doubtful(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = warnings(**fields)
    assert [path for path, _ in found] == [path for path, _ in expected]
    assert [part for (_, message), (_, part) in zip(found, expected, strict=True) if part not in message] == []


def schedule(deadline: str, **more: Any) -> dict[str, Any]:
    return {"notBefore": FIRST, "deadline": deadline, **more}


SATURDAYS = [{"days": ["Sat"], "from": "09:00", "to": "10:00"}]
TIMES: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("enough time", {"schedule": schedule("2026-12-01T00:04:01Z")}, []),
    (
        "no time for the last hold",
        {"schedule": schedule("2026-12-01T00:04:00Z")},
        [("spec.schedule.deadline", "over at 2026-12-01T00:04:00.000Z")],
    ),
    ("which rolls back", {"schedule": schedule("2026-12-01T00:04:00Z", onDeadline="Rollback")}, [("spec.schedule.deadline", "rolls back")]),
    (
        "no time for the third step",
        {"schedule": schedule("2026-12-01T00:02:00Z")},
        [("spec.ramp.steps[2]", "50 % begins at 2026-12-01T00:02")],
    ),
    ("a second for the third step", {"schedule": schedule("2026-12-01T00:02:01Z")}, [("spec.ramp.steps[3]", "is never reached")]),
    (
        "no window before the deadline",
        {"schedule": schedule("2026-12-05T09:00:00Z", windows=SATURDAYS)},
        [("spec.ramp.steps[0]", "1 % begins at 2026-12-05T09:00:00.000Z")],
    ),
    ("a window before the deadline", {"schedule": schedule("2026-12-05T09:05:00Z", windows=SATURDAYS)}, []),
    (
        "a hold that misses the window by a minute",
        {"schedule": schedule("2026-12-12T08:00:00Z", windows=SATURDAYS), "ramp": steps(1, 2, hold="60m")},
        [("spec.ramp.steps[1]", "2026-12-12T09:00:00.000Z")],
    ),
    (
        "readings that take longer than holds",
        {
            "schedule": schedule("2026-12-01T00:20:00Z"),
            "guardrails": [GUARDRAIL | {"query": "rate(a[5m])"}],
            "ramp": steps(1, 2, 3, 4, hold="1m"),
        },
        [("spec.schedule.deadline", "00:20:00.000Z"), *((f"spec.ramp.steps[{index}].hold", "300s") for index in range(4))],
    ),
    ("no deadline", {"schedule": {"notBefore": FIRST}}, []),
    ("no beginning that is known", {"schedule": {"deadline": "2001-01-01T00:00:00Z"}}, []),
]


@pytest.mark.parametrize(("fields", "expected"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
def test_a_ramp_gets_there_or_not(fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = warnings(**fields)
    assert sorted(path for path, _ in found) == sorted(path for path, _ in expected)
    assert all(any(path == where and part in message for where, message in found) for path, part in expected)


@pytest.mark.parametrize(
    ("begins", "number"), [(datetime(2026, 12, 1, tzinfo=UTC), 0), (datetime(2026, 12, 2, tzinfo=UTC), 1)], ids=["in time", "too late"]
)
def test_a_ramp_that_is_new_begins_now_or_later(begins: datetime, number: int) -> None:
    terms = Terms(begins=begins)
    assert len(warnings(terms, schedule={"deadline": "2026-12-02T00:00:00Z"})) == number
    assert len(warnings(terms, schedule=schedule("2026-12-02T00:00:00Z"))) == number
