"""Error rates per unit: who counts as exposed, by whom, and how often."""

from collections.abc import Callable

import pytest

from rampgate_operator.core.checkpoint import for_people
from rampgate_operator.core.looks import Exposed, Increases, NoData
from rampgate_operator.core.sequential import NO_EVIDENCE, Batch, add_harm
from rampgate_operator.core.status import Exposures, VariantExposures
from tests.core.shop import BUSY, SERVED, UNITS, answer, known, story_of
from tests.core.story import KEY, Story, steps

LIMIT = {"name": "failed", "errorRate": {}, "max": 0.05, "onBreach": "Hold"}

# Units: failures fall to the arms as units are drawn.


def test_a_unit_that_fails_is_weighed_as_units_are_drawn_and_told_among_all_that_the_step_has_exposed() -> None:
    story = story_of(UNITS)
    answer(story, total=SERVED, events={"on": 4.0, "off": 6.0}, requests=BUSY)
    answer(story, total={**SERVED, "on": 0.0}, events={"on": 9.0}, requests=BUSY)
    wanted = add_harm(NO_EVIDENCE, Batch(5, 4, 95, 6), limit=1.1)
    wanted = add_harm(wanted, Batch(5, 9, 95, 0), limit=1.1)
    (found,) = known(story).evidence
    assert found.log_e_values is not None
    assert found.log_e_values == pytest.approx(wanted, abs=5e-6)
    assert known(story).message.startswith("on 1.3 % of 1,000 units failed against 0.1 % of 6,000: ratio 13")


def test_a_new_step_begins_a_new_count_of_the_exposed() -> None:
    story = story_of(UNITS, ramp=steps(1, 10, hold="30s"))
    answer(story, total=SERVED, events={}, requests=BUSY)
    assert story.known.percent == 10
    answer(story, total={"on": 10.0, "off": 90.0}, events={"off": 9.0, "on": 1.0}, requests=BUSY)
    assert [(step.treatment_total, step.comparison_total) for step in known(story).evidence[0].steps] == [(1000, 3000), (10, 90)]


def exposures_of(story: Story, **counts: int) -> None:
    variants = tuple(VariantExposures(variant=name, count=count) for name, count in counts.items())
    story.status = story.known.model_copy(update={"exposures": Exposures(counted_to=story.now, variants=variants)})


def test_evidence_that_begins_within_a_step_counts_those_who_were_exposed_before() -> None:
    story = story_of(UNITS, interval="1m").wait("30m")
    exposures_of(story, on=500, off=400, baseline=3600)
    story.edit(guardrails=[{**UNITS, "maxIncrease": "20%"}]).decide()
    answer(story, wait="2m", total={"on": 50.0, "off": 0.0, "baseline": 600.0}, events={"on": 1.0}, requests=BUSY)
    (step,) = known(story).evidence[0].steps
    assert (step.treatment_total, step.comparison_total) == (550, 4600)


def unsettled(counts: dict[str, float], *, processes: float = 1.0) -> Exposed:
    return Exposed((counts,), (False,), processes)


# While pods take up a step's rules one after the other, units fail by former ones as well.


def test_units_that_all_fail_while_pods_take_up_the_rules_are_found() -> None:
    story = story_of({**UNITS, "onBreach": "Rollback"})
    nobody = dict.fromkeys(SERVED, 0.0)
    answer(story, total=unsettled({"on": 30.0, "off": 30.0, "baseline": 540.0}), events={"on": 30.0}, requests=BUSY)
    for _ in range(3):
        answer(story, total=nobody, events={}, requests=BUSY)  # they are known by now, and none of them fails for the first time again
    assert story.known.phase == "RolledBack"


@pytest.mark.parametrize(("window", "verdict"), [(unsettled, "Inconclusive"), (lambda counts: Exposed((counts,), (True,), 1.0), "Pass")])
def test_what_is_counted_meanwhile_shows_nothing_to_be_safe(window: Callable[[dict[str, float]], Exposed], verdict: str) -> None:
    story = story_of({**UNITS, "maxIncrease": "100%"})
    answer(story, total=window(SERVED), events={"off": 100.0, "baseline": 1900.0, "on": 50.0}, requests=BUSY)
    assert known(story).verdict == verdict
    assert ("until then nothing is shown to be safe" in known(story).message) is (verdict == "Inconclusive")


def test_a_window_in_which_nobody_was_scraped_is_no_sign_of_pods_that_are_late() -> None:
    story, nobody = story_of(UNITS), dict[str, float]()
    total, events = Exposed((SERVED, nobody), (True, False), 1.0), Increases(({"on": 4.0}, nobody))
    answer(story, total=total, events=events, requests=Increases((BUSY, nobody)))
    assert "taken up" not in known(story).message


def test_after_a_higher_percentage_what_is_counted_meanwhile_is_weighed_as_that_one_draws() -> None:
    story = story_of(UNITS, ramp=steps(50, hold="1h"))
    story.edit(ramp=steps(5, hold="1h")).decide()
    answer(story, total=unsettled(SERVED), events={"on": 500.0, "baseline": 1500.0}, requests=BUSY)
    answer(story, total=SERVED, events={"on": 5.0, "baseline": 195.0}, requests=BUSY)
    wanted = add_harm(add_harm(NO_EVIDENCE, Batch(25, 500, 75, 1500), limit=1.1), Batch(2.5, 5, 97.5, 195), limit=1.1)
    assert known(story).evidence[0].log_e_values == pytest.approx(wanted, abs=5e-6)
    answer(story, total=unsettled(SERVED), events={"on": 500.0}, requests=BUSY)
    assert known(story).verdict == "Breach"


@pytest.mark.parametrize(("later", "percent"), [("4m", 50), ("6m", 5)])
def test_pods_may_still_go_by_the_percentage_of_an_attempt_that_has_just_ended(later: str, percent: float) -> None:
    story = story_of(UNITS, ramp=steps(50, hold="1h"))
    story.edit(killed=True).wait("1h").decide()
    story.edit(killed=None, attempt=2, ramp=steps(5, hold="1h")).wait(later).decide()
    answer(story, total={}, events={}, requests={})
    story.decide()
    assert story.known.percent == 5
    answer(story, total=unsettled(SERVED), events={"on": 5.0, "baseline": 5.0}, requests=BUSY)
    wanted = add_harm(NO_EVIDENCE, Batch(percent / 2, 5, 100 - percent / 2, 5), limit=1.1)
    assert known(story).evidence[0].log_e_values == pytest.approx(wanted, abs=2e-6)


def test_units_that_were_exposed_while_the_entry_was_late_make_no_breach() -> None:
    story = story_of({**UNITS, "maxIncrease": "0%"}, ramp={"steps": [{"percent": 1, "hold": "30s"}, {"percent": 10, "hold": "1h"}]})
    late, at_one = (story.data or {})[KEY], {"on": 5.0, "off": 5.0, "baseline": 990.0}
    answer(story, total=at_one, events={}, requests=BUSY)
    assert story.known.percent == 10
    for _ in range(16):  # eight minutes
        story.data = {**(story.data or {}), KEY: late}
        answer(story, total=unsettled(at_one), events={}, requests=BUSY)
    assert story.waiting == "Rules"
    for settled in (*[False] * 3, *[True] * 7):
        total = Exposed(({"on": 50.0, "off": 50.0, "baseline": 900.0},), (settled,), 1.0)
        answer(story, total=total, events={"on": 5.0, "off": 5.0, "baseline": 90.0}, requests=BUSY)
    assert known(story).verdict == "Inconclusive"
    assert known(story).message.startswith("on 8.41 % of 535 units failed against 8.41 % of 25,465: ratio 1,")


def test_no_rate_of_units_is_above_one() -> None:
    story = story_of(UNITS)
    answer(story, total=unsettled({"on": 20.0, "off": 20.0, "baseline": 900.0}), events={"on": 25.0, "baseline": 1000.0}, requests=BUSY)
    assert known(story).message.startswith("on 100 % of 20 units failed against 100 % of 920: ratio 1,")


# Units that several processes count.


def test_a_unit_that_several_processes_count_weighs_as_one_unless_a_factor_says_better() -> None:
    rose = {"total": Exposed((SERVED,), (True,), 4.0), "events": {"on": 40.0, "off": 20.0}, "requests": BUSY}
    story, told = story_of(UNITS), story_of({**UNITS, "dispersion": {"factor": 1}})
    answer(story, **rose)
    answer(told, **rose)
    wanted = add_harm(NO_EVIDENCE, Batch(5, 10, 95, 5), limit=1.1)
    assert known(story).evidence[0].log_e_values == pytest.approx(wanted, abs=2e-6)
    assert "dispersion 4" in known(story).message
    assert known(told).evidence[0].log_e_values == pytest.approx(add_harm(NO_EVIDENCE, Batch(5, 40, 95, 20), limit=1.1), abs=2e-6)
    (written,) = for_people(story.known, story.spec).guardrails
    (narrower,) = for_people(told.known, told.spec).guardrails
    assert written.interval is not None
    assert narrower.interval is not None
    assert written.interval.low < narrower.interval.low


def test_of_units_a_limit_is_tested_on_all_who_were_exposed_at_the_percentage() -> None:
    story = story_of(LIMIT).wait("30m")
    exposures_of(story, on=10_000, off=10_000, baseline=180_000)
    story.edit(guardrails=[{**LIMIT, "max": 0.06}]).decide()
    answer(story, total={"on": 10.0, "off": 10.0, "baseline": 180.0}, events={"on": 10.0}, requests=BUSY, wait="40s")
    assert known(story).verdict == "Inconclusive"


def test_a_look_that_meets_one_of_ten_processes_makes_no_ten_units_of_one() -> None:
    story = story_of(LIMIT)
    for _ in range(3):
        total = Exposed(({"on": 1000.0, "off": 1000.0, "baseline": 2000.0},), (True,), 10.0)
        answer(story, total=total, events={"on": 80.0, "off": 80.0}, requests=BUSY)
    answer(story, total=Exposed((dict.fromkeys(SERVED, 1.0),), (True,), 1.0), events={}, requests=BUSY)
    assert known(story).verdict == "Inconclusive"
    assert "dispersion 10" in known(story).message


def test_a_clock_that_starts_again_exposes_nobody_a_second_time_to_a_limit() -> None:
    story = story_of({**LIMIT, "max": 0.02}, ramp=steps(10, hold="10h"))
    for number in range(1, 6):
        answer(story, total={"on": 200.0, "off": 200.0, "baseline": 200.0}, events={"on": 8.0, "off": 0.0}, requests=BUSY)
        exposures_of(story, on=200 * number, off=200 * number, baseline=200 * number)
        story.edit(ramp=steps(10, hold=f"{10 + number}h")).decide()
    assert known(story).verdict == "Breach"


def test_nobody_who_sends_a_request_is_no_data_however_many_were_exposed() -> None:
    story = story_of(UNITS)
    answer(story, total=SERVED, events={}, requests=dict.fromkeys(SERVED, 0.0))
    assert known(story).message.startswith("no data: requests rose in no variant: see that the application is in use, and scraped")
    answer(story, total=SERVED, events={}, requests=NoData("none"))
    assert known(story).message == "no data: requests has no sample of on"
