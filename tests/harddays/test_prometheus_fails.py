"""Prometheus on its bad days: away, emptied, answering nonsense. What cannot be read lets no ramp go on, and rolls none back."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.team import EXPERIMENT, Operator, Team
from tests.conftest import Kubectl
from tests.harddays import source
from tests.harddays.day import Recovery, hard_day, holds, is_told, peak_memory, percents
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

GUARDRAIL = EXPERIMENT["spec"]["guardrails"][0]
COUNTED = {"name": "failed", "errorRate": {"per": "Request"}, "maxIncrease": "100%", "onBreach": "Rollback"}
HOLD = 8.0
"""Seconds of the first step: it must not end before the fault has begun, on a busy machine too."""
RAMP = {"ramp": {"steps": [{"percent": 10, "hold": f"{HOLD:g}s"}, {"percent": 50, "hold": "1h"}]}}
AWAY = 60.0
FAULTS: dict[str, tuple[source.Fault, str]] = {
    "500": (source.internal, "failed (ServerError)"),
    "redirect": (source.redirect, "failed (Redirect)"),
    "slow": (source.slow, "failed (Timeout)"),
    "large": (source.large, "failed (TooLarge)"),
}
MORE_MEMORY = 64 * 1024
"""KiB that the operator may take beyond what it had: far less than the large answer."""


@pytest.fixture
def own_prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus that nobody else needs."""
    with Prometheus.launch(tmp_path / "prometheus", scrape_interval=0.25) as metrics:
        yield metrics


@pytest.fixture
def own_shop(own_prometheus: Prometheus, namespace: str) -> Iterator[Exporter]:
    with Exporter(own_prometheus, job=namespace, namespace=namespace) as exporter:
        exporter.set("shop_errors", 0.0)
        yield exporter


@pytest.fixture
def own_team(cluster: Cluster, own_prometheus: Prometheus, namespace: str, tmp_path: Path) -> Iterator[Team]:
    """The namespace as its team uses it, with an operator that looks at the own Prometheus."""
    with Operator(cluster, own_prometheus, namespace, log=tmp_path / "operator.log"):
        yield Team(cluster, namespace)


@hard_day(
    fault="Prometheus away for a minute, and back",
    expected="the ramp holds and says that there is no connection; nothing is rolled back, and no step is made up for",
)
def test_a_minute_without_prometheus_neither_advances_nor_rolls_back(
    own_team: Team, own_shop: Exporter, own_prometheus: Prometheus, recovery: Recovery, kubectl: Kubectl
) -> None:
    own_team.apply(changes=RAMP)
    own_team.wait_for(percent=10)
    own_prometheus.stop()
    own_team.wait_for(waitingFor="Metrics")
    is_told(kubectl, own_team, "failed (Unreachable)", "No connection to metrics source default", "There is no step without a reading")
    holds(lambda: own_team.status()["phase"] == "Ramping" and own_team.status()["percent"] == 10, "it holds at 10 %", seconds=AWAY)
    own_prometheus.start()
    with recovery:
        own_team.wait_for(percent=50)
    assert percents(own_team) == [10, 50]


@hard_day(
    fault="Prometheus restarted with an empty database",
    expected="no step before there is a new reading, no rollback for what was forgotten; a breach is acted upon as ever",
)
def test_a_prometheus_that_forgot_everything_is_asked_anew(
    own_team: Team, own_shop: Exporter, own_prometheus: Prometheus, recovery: Recovery
) -> None:
    own_team.apply(changes=RAMP)
    own_team.wait_for(percent=10)
    own_prometheus.stop()
    own_prometheus.start(wipe=True)
    with recovery:
        own_team.wait_for(percent=50)
    assert percents(own_team) == [10, 50]
    own_shop.set("shop_errors", 0.9)
    own_team.wait_for(phase="RolledBack")


@hard_day(
    fault="Prometheus restarted with an empty database, while counters hold what they counted in earlier attempts",
    expected="nothing of their lives is counted again, so there is no rollback for it; what fails from then on is",
)
def test_a_prometheus_that_forgot_everything_counts_no_life_again(
    own_team: Team, own_shop: Exporter, own_prometheus: Prometheus, recovery: Recovery
) -> None:
    count_requests(own_shop, treatment_failed=500)
    own_team.apply(changes={"guardrails": [COUNTED], "ramp": {"steps": [{"percent": 50, "hold": "1h"}]}})
    own_team.wait_for(percent=50)
    own_prometheus.stop()
    own_prometheus.start(wipe=True)
    holds(lambda: own_team.status()["phase"] == "Ramping", "nothing of what was forgotten is counted", seconds=6.0)
    count_requests(own_shop, treatment_failed=1500)
    with recovery:
        own_team.wait_for(phase="RolledBack")


def count_requests(shop: Exporter, *, treatment_failed: int) -> None:
    """Of a thousand others in every arm; in control and baseline one in a hundred fails. Prometheus knows it then."""
    with shop.at_once():
        for variant, failed in (("treatment", treatment_failed), ("control", 10), ("baseline", 10)):
            for outcome, number in (("ok", 1000 + treatment_failed), ("error", failed)):
                shop.set("rampgate_requests_total", number, gate="new-checkout", variant=variant, outcome=outcome)
    shop.wait_until_scraped()


@pytest.fixture
def sources(prometheus: Prometheus) -> Iterator[dict[str, source.Source]]:
    with ExitStack() as stack:
        yield {f"source-{name}": stack.enter_context(source.Source(prometheus.url)) for name in FAULTS}


@hard_day(
    fault="Prometheus answers 500, a redirect, after 10 s, or with 100 MB",
    expected="each holds, with a reason of its own; memory stays bounded; a neighbour at another source goes on, and is rolled back",
)
def test_answers_that_are_none_hold_their_own_ramps_only(
    cluster: Cluster,
    prometheus: Prometheus,
    namespace: str,
    shop: Exporter,
    sources: dict[str, source.Source],
    tmp_path: Path,
    recovery: Recovery,
    kubectl: Kubectl,
) -> None:
    urls = {name: each.url for name, each in sources.items()}
    with Operator(cluster, prometheus, namespace, log=tmp_path / "operator.log", **urls) as operator:
        team = Team(cluster, namespace)
        before = peak_memory(operator)
        for name, (fault, _) in FAULTS.items():
            team.apply(f"source-{name}", changes={**RAMP, "guardrails": [{**GUARDRAIL, "source": f"source-{name}"}]})
            team.wait_for(f"source-{name}", percent=10)
            sources[f"source-{name}"].fault = fault
        team.apply("neighbour", changes=RAMP)
        team.wait_for("neighbour", percent=50)
        for name, (_, sentence) in FAULTS.items():
            team.wait_for(f"source-{name}", waitingFor="Metrics")
            is_told(kubectl, team, sentence, "There is no step without a reading", name=f"source-{name}")
        holds(lambda: all(team.status(name)["percent"] == 10 for name in sources), "they hold at 10 %", seconds=3.0)
        assert all(team.status(name)["phase"] == "Ramping" for name in sources)
        assert peak_memory(operator) - before < MORE_MEMORY
        for each in sources.values():
            each.fault = None
        with recovery:
            for name in sources:
                team.wait_for(name, percent=50)
        assert all(percents(team, name) == [10, 50] for name in sources)
        shop.set("shop_errors", 0.9)
        team.wait_for("neighbour", phase="RolledBack")
