"""First exposures of each treatment since the step began, for `minExposures`.

Counted in disjoint windows up to a watermark that is kept in status, so that a restart repeats none, and loses none unless nobody counted
for longer than LONGEST_WINDOW: rather too few than twice (design §9).
"""

from datetime import timedelta

from rampgate_operator.core.looks import Failed, Increases
from rampgate_operator.core.observation import ExposureLook
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import MESSAGE_LIMIT, Exposures, Phase, Status, VariantExposures

LONGEST_WINDOW = timedelta(minutes=10)


def count_exposures(status: Status, spec: Spec, look: ExposureLook | None) -> Exposures | None:
    """Add a look's counts. One that begins before the watermark is void; after a failure the next look asks again from there."""
    if status.phase is not Phase.RAMPING or status.step_started_at is None:
        return None
    known = status.exposures or Exposures(counted_to=status.step_started_at, variants=())
    if look is None or look.since < known.counted_to:
        return status.exposures
    if isinstance(look.answer, Failed):
        return known.model_copy(update={"problem": look.answer.message[:MESSAGE_LIMIT]})
    before = {seen.variant: seen.count for seen in known.variants}
    risen = look.answer.by_variant if isinstance(look.answer, Increases) else {}
    counts = tuple(
        VariantExposures(variant=variant.name, count=before.get(variant.name, 0) + round(risen.get(variant.name, 0)))
        for variant in spec.treatments
    )
    return Exposures(counted_to=look.until, variants=counts)
