"""What Rampgate is for, with real pods: a ramp that pods follow, a breach that puts everybody back, a kill at once."""

import pytest

from tools.pods.place import until
from tools.pods.shop import Shop

pytestmark = pytest.mark.timeout(400)
SHORT = {"steps": [{"percent": 10, "hold": "5s"}, {"percent": 50, "hold": "10m"}], "confirm": {"pods": "100%", "timeout": "2m"}}


def test_a_ramp_goes_up_and_a_broken_treatment_is_rolled_back_in_every_pod(shop: Shop) -> None:
    shop.apply(ramp=SHORT)
    shop.wait_for(percent=50)
    until(lambda: "ENROLLED" in shop.reasons("user-1") | shop.reasons("user-2") | shop.reasons("user-3"), "somebody is enrolled")
    shop.break_treatment(0.5)
    status = shop.wait_for(phase="RolledBack")
    assert status["latch"]["guardrail"] == "errors"
    until(lambda: shop.reasons() == {"ROLLED_BACK"}, "every pod has everybody on control")
