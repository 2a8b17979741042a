"""Error rates per unit: who counts as exposed, by whom, and how often."""

import pytest

from rampgate_operator.core.checkpoint import for_people
from rampgate_operator.core.looks import Exposed, NoData
from rampgate_operator.core.sequential import NO_EVIDENCE, Batch, add_harm
from rampgate_operator.core.status import Exposures, VariantExposures
from tests.core.shop import BUSY, SERVED, UNITS, answer, known, story_of
from tests.core.story import Story, steps

# Units: failures fall to the arms as all who were exposed on the step do.


def test_a_unit_that_fails_is_weighed_among_all_that_the_step_has_exposed() -> None:
    story = story_of(UNITS)
    answer(story, total=SERVED, events={"on": 4.0, "off": 6.0}, requests=BUSY)
    answer(story, total={**SERVED, "on": 0.0}, events={"on": 9.0}, requests=BUSY)
    wanted = add_harm(NO_EVIDENCE, Batch(1000, 4, 3000, 6), limit=1.1)
    wanted = add_harm(wanted, Batch(1000, 9, 6000, 0), limit=1.1)
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


def exposures_of(story: Story, **settled: int) -> None:
    variants = tuple(VariantExposures(variant=name, count=count, settled=count) for name, count in settled.items())
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


def test_what_is_exposed_while_pods_still_take_up_the_rules_is_no_evidence_and_no_rate() -> None:
    story = story_of(UNITS)
    answer(story, total=unsettled({"on": 10.0, "off": 10.0, "baseline": 9000.0}), events={"on": 5.0}, requests=BUSY)
    assert (known(story).verdict, known(story).evidence) == ("NoData", ())
    assert "not every process has taken up the step's rules" in known(story).message
    answer(story, total=SERVED, events={"on": 4.0, "off": 4.0, "baseline": 8.0}, requests=BUSY)
    assert known(story).message.startswith("on 0.4 % of 1,000 units failed against 0.4 % of 3,000: ratio 1,")


def test_a_process_that_never_takes_them_up_blinds_no_guardrail() -> None:
    story = story_of(UNITS, interval="1m")
    answer(story, total=unsettled(SERVED), events={"on": 900.0}, requests=BUSY, wait="2m")
    assert known(story).verdict == "NoData"
    story.wait("6m").decide()
    answer(story, total=unsettled(SERVED), events={"on": 900.0}, requests=BUSY, wait="1m")
    answer(story, total=unsettled(SERVED), events={"on": 900.0}, requests=BUSY, wait="1m")
    assert known(story).verdict == "Breach"


def test_units_that_were_not_seen_to_be_exposed_fail_to_the_arms_as_they_are_drawn() -> None:
    story = story_of(UNITS)
    answer(story, total={"on": 1.0, "off": 1.0, "baseline": 1.0}, events={"on": 40.0, "off": 40.0, "baseline": 720.0}, requests=BUSY)
    (found,) = known(story).evidence
    assert found.log_e_values == pytest.approx(add_harm(NO_EVIDENCE, Batch(5, 40, 95, 760), limit=1.1), abs=2e-6)


def test_a_unit_that_several_processes_count_weighs_as_one_unless_a_factor_says_better() -> None:
    rose = {"total": Exposed((SERVED,), (True,), 4.0), "events": {"on": 40.0, "off": 20.0}, "requests": BUSY}
    story, told = story_of(UNITS), story_of({**UNITS, "dispersion": {"factor": 1}})
    answer(story, **rose)
    answer(told, **rose)
    wanted = add_harm(NO_EVIDENCE, Batch(1000, 10, 3000, 5), limit=1.1)
    assert known(story).evidence[0].log_e_values == pytest.approx(wanted, abs=2e-6)
    assert "dispersion 4" in known(story).message
    assert known(told).evidence[0].log_e_values == pytest.approx(add_harm(NO_EVIDENCE, Batch(1000, 40, 3000, 20), limit=1.1), abs=2e-6)
    (written,) = for_people(story.known, story.spec).guardrails
    (narrower,) = for_people(told.known, told.spec).guardrails
    assert written.interval is not None
    assert narrower.interval is not None
    assert written.interval.low < narrower.interval.low


def test_of_units_a_limit_is_tested_on_all_who_were_exposed_at_the_percentage() -> None:
    limited = {"name": "failed", "errorRate": {}, "max": 0.05, "onBreach": "Hold"}
    story = story_of(limited).wait("30m")
    exposures_of(story, on=10_000, off=10_000, baseline=180_000)
    story.edit(guardrails=[{**limited, "max": 0.06}]).decide()
    answer(story, total={"on": 10.0, "off": 10.0, "baseline": 180.0}, events={"on": 10.0}, requests=BUSY, wait="40s")
    assert known(story).verdict == "Inconclusive"


def test_nobody_who_sends_a_request_is_no_data_however_many_were_exposed() -> None:
    story = story_of(UNITS)
    answer(story, total=SERVED, events={}, requests=dict.fromkeys(SERVED, 0.0))
    assert known(story).message == "no data: requests of on did not rise"
    answer(story, total=SERVED, events={}, requests=NoData("none"))
    assert known(story).message == "no data: requests has no sample of on"
