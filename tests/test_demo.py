"""The demo's judges and witnesses, without the demo: what its table and exit status say, and what its counts mean."""

import io
import json
import re
import signal
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from examples.shop.tally import KEPT_STEPS, Tally
from rampgate_operator.core.examine import examine
from rampgate_operator.core.problems import problems
from rampgate_operator.core.status import HISTORY_LIMIT, WaitingFor
from tools.demo import audience, deeds, keeping
from tools.demo.__main__ import interrupt
from tools.demo.checks import Check, Report, Result
from tools.demo.sources import reading
from tools.demo.stage import Part
from tools.demo.timeline import Timeline
from tools.demo.witness import NotSeenError, Seen, Witness

EXPERIMENTS = Path(__file__).parent.parent / "examples" / "experiments"


def all_kept() -> Report:
    report = Report()
    for check in Check:
        report.record(check)
    return report


def test_the_exit_status_is_0_when_every_promise_was_kept():
    assert (all_kept().exit_status, all_kept().failed) == (0, ())


@pytest.mark.parametrize("broken", list(Check))
def test_the_exit_status_is_1_when_one_promise_was_broken(broken: Check):
    report = all_kept()
    report.results[broken] = Result(ok=False)
    assert (report.exit_status, report.failed) == (1, (broken,))


def test_a_promise_that_the_demo_never_came_to_is_broken():
    report = all_kept()
    del report.results[Check.KILL]
    line = next(line for line in report.table().splitlines() if Check.KILL in line)
    assert report.exit_status == 1
    assert line.startswith("FAILED")
    assert line.endswith("not reached")


def test_a_time_over_its_limit_fails_unless_times_are_not_judged():
    for timed in (True, False):
        report = Report(timed=timed)
        assert report.record(Check.KILL, seconds=2.0, limit=1.0).passed is not timed
        assert report.record(Check.REFUSED, ok=False).passed is False


def test_a_promise_is_judged_once():
    report = all_kept()
    with pytest.raises(ValueError, match="already judged"):
        report.record(Check.KILL)


@pytest.mark.parametrize(
    ("sentence", "result", "passed"),
    [
        ("on the limit is within it", Result(ok=True, seconds=1.0, limit=1.0), True),
        ("over the limit is too late", Result(ok=True, seconds=1.01, limit=1.0), False),
        ("a limit without a measurement is not kept", Result(ok=True, limit=1.0), False),
        ("in time and wrong is wrong", Result(ok=False, seconds=0.1, limit=1.0), False),
        ("a time without a limit is only told", Result(ok=True, seconds=99.0), True),
    ],
)
def test_a_limit_is_part_of_the_promise(sentence: str, result: Result, passed: bool):
    assert result.passed is passed, sentence


def test_the_table_has_a_line_per_promise_with_what_was_measured():
    report = Report()
    report.record(Check.KILL, seconds=0.094, limit=1.0, detail="kubectl's own start included")
    lines = report.table().splitlines()
    kill = next(line for line in lines if Check.KILL in line)
    assert kill.split() == f"ok {Check.KILL} 0.09 1.00 kubectl's own start included".split()
    assert [check for check in Check if not any(check in line for line in lines)] == []
    assert lines[-1] == f"1 of {len(Check)} ok"


def test_a_witness_notes_when_a_value_was_first_seen_and_nothing_twice():
    witness: Witness[int] = Witness("the percentage")
    for at, value in enumerate((1, 1, 10, 10, 1)):
        witness.record(value, at=at)
    assert [(seen.at, seen.value) for seen in witness.since(0)] == [(0, 1), (2, 10), (4, 1)]
    assert [seen.value for seen in witness.since(3)] == [1]


def test_a_witness_is_waited_for_from_another_thread():
    witness: Witness[int] = Witness("the percentage")
    threading.Timer(0.01, witness.record, args=(10,), kwargs={"at": 7.0}).start()
    assert witness.wait(lambda value: value == 10, "10 %").at == 7.0


def test_what_was_seen_before_the_moment_asked_for_does_not_count():
    witness: Witness[int] = Witness("the percentage")
    witness.record(10, at=1.0)
    with pytest.raises(NotSeenError, match="the percentage: 10 % did not come within 0 s; seen last: 10"):
        witness.wait(lambda value: value == 10, "10 %", since=2.0, timeout=0.0)


@pytest.mark.parametrize(
    ("sentence", "result", "expected"),
    [
        ("one series is a number", [{"value": [0, "0.25"]}], 0.25),
        ("no series is none", [], None),
        ("two series are none", [{"value": [0, "1"]}, {"value": [0, "2"]}], None),
        ("nothing divided by nothing is none", [{"value": [0, "NaN"]}], None),
    ],
)
def test_a_reading_is_one_finite_number_or_none(sentence: str, result: list[object], expected: float | None):
    assert reading({"data": {"result": result}}) == expected, sentence


def answer(reason: str, percent: float, *, variant: str = "control", attempt: int = 1) -> dict[str, object]:
    return {"reason": reason, "variant": variant, "attempt": attempt, "percent": percent}


def test_users_are_counted_once_per_step_however_often_they_come():
    tally = Tally()
    for user, reason in (("a", "ENROLLED"), ("a", "ENROLLED"), ("b", "NOT_ENROLLED")):
        tally.add(user, answer(reason, 10), failed=False)
    assert tally.summary()["steps"] == {"1/10": {"users": 2, "enrolled": 1}}
    assert (tally.requests, tally.enrolled) == (3, 2)


@dataclass
class Way:
    sentence: str
    second: dict[str, object]
    moved: set[str]
    dropped: set[str]


@pytest.mark.parametrize(
    "way",
    [
        Way("the same arm at more per cent is as it should be", answer("ENROLLED", 50), set(), set()),
        Way("another arm is noticed", answer("ENROLLED", 50, variant="treatment"), {"a"}, set()),
        Way("not enrolled at more per cent is noticed", answer("NOT_ENROLLED", 50), set(), {"a"}),
        Way("not enrolled at less per cent is as it should be", answer("NOT_ENROLLED", 1), set(), set()),
        Way("another attempt begins again", answer("NOT_ENROLLED", 50, attempt=2), set(), set()),
        Way("a rollback moves nobody between arms", answer("ROLLED_BACK", 0), set(), set()),
    ],
    ids=lambda way: way.sentence,
)
def test_users_who_are_moved_on_the_way_up_are_noticed(way: Way):
    tally = Tally()
    tally.add("a", answer("ENROLLED", 10), failed=False)
    tally.add("a", way.second, failed=False)
    assert (tally.moved, tally.dropped) == (way.moved, way.dropped)


def test_the_tally_forgets_the_oldest_step_first():
    tally = Tally()
    for percent in range(1, KEPT_STEPS + 3):
        tally.add("a", answer("NOT_ENROLLED", percent), failed=False)
    steps = tally.summary()["steps"]
    assert list(steps) == [f"1/{percent}" for percent in range(3, KEPT_STEPS + 3)]  # type: ignore[call-overload]


def examined(name: str) -> object:
    return examine(yaml.safe_load((EXPERIMENTS / name).read_text()), sources={"default": timedelta(minutes=5)})


@pytest.mark.parametrize("name", ["new-checkout.yaml", "new-checkout-compared.yaml"])
def test_the_demos_experiments_are_accepted_by_the_models(name: str):
    assert not isinstance(examined(name), str)


def test_the_demos_bad_manifest_is_refused_by_the_models_too():
    problem = examined("refused.yaml")
    assert isinstance(problem, str)
    assert "steps must rise" in problem


def test_the_poller_asks_what_the_operator_asks():
    query, limit = audience.guardrail_query()
    assert (query.count('namespace="shop"'), query.count('gate="new-checkout"'), query.count('variant="treatment"')) == (2, 2, 2)
    assert limit == 0.05


def test_the_conditions_and_the_latch_are_taken_out_of_a_description():
    description = """\
Name: x
Spec:
  Owner: a
Status:
  Conditions:
    Message:  All guardrails pass.
    Type:     GuardrailsPassing
  History:
    Latch:  no
  Latch:
    Cause:  Guardrail
  Phase:  RolledBack
Events: <none>
"""
    assert deeds.excerpt(description, "Conditions", "Latch").splitlines() == [
        "Conditions:",
        "  Message:  All guardrails pass.",
        "  Type:     GuardrailsPassing",
        "Latch:",
        "  Cause:  Guardrail",
    ]


def transition(number: int) -> dict[str, object]:
    return {"at": f"2026-12-01T09:00:{number:02}Z", "from": "Ramping", "to": "Ramping", "message": f"transition {number}"}


def told(histories: list[list[dict[str, object]]]) -> list[str]:
    out = io.StringIO()
    narrator = audience.Narrator(Timeline(started=0.0, out=out))
    for at, history in enumerate(histories):
        narrator.tell(Seen(float(at), {"history": history}))
    return [line.rpartition(": ")[2] for line in out.getvalue().splitlines()]


def test_each_transition_is_told_once_also_when_the_history_is_full():
    all_of_them = [transition(number) for number in range(HISTORY_LIMIT + 5)]
    histories = [all_of_them[max(0, end - HISTORY_LIMIT) : end] for end in range(len(all_of_them) + 1)]
    assert told(histories) == [each["message"] for each in all_of_them]


def test_a_history_that_was_lost_is_told_anew():
    assert told([[transition(1)], [transition(2)]]) == ["transition 1", "transition 2"]


def test_every_wait_has_words():
    assert set(audience.WAITS) == set(WaitingFor)


def test_whoever_may_be_gone_has_words():
    assert set(keeping.ENDED) == set(Part)


PATCH = re.compile(r"kubectl patch rexp .*? -p '(.*?)'$", re.MULTILINE | re.DOTALL)
THINGS = keeping.THINGS.format_map(defaultdict(lambda: "x"))


@pytest.mark.parametrize("patch", [json.loads(each) for each in PATCH.findall(THINGS)], ids=json.dumps)
def test_what_a_person_may_try_is_accepted_by_the_models(patch: dict[str, dict[str, object]]):
    manifest = yaml.safe_load((EXPERIMENTS / "new-checkout.yaml").read_text())
    changed = {**manifest["spec"], **patch["spec"]}
    spec = {name: value for name, value in changed.items() if value is not None}
    assert [str(problem) for problem in problems({**manifest, "spec": spec})] == []


def test_an_interrupt_is_answered_at_once(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(KeyboardInterrupt):
        interrupt(signal.SIGINT, None)
    assert capfd.readouterr().out == "\nstopping everything\n"
