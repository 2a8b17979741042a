"""Rampgate itself comes, is upgraded, goes back and goes: nothing of a team's is lost by it, and nothing hangs."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.pods.place import until
from tools.pods.release import CHART, NAME, NAMESPACE, OPERATOR, PROMETHEUS_URL, Release
from tools.pods.shop import GATE, Shop

pytestmark = pytest.mark.timeout(400)
HALF = {"steps": [{"percent": 50, "hold": "10m"}]}
CONFIRM = {"pods": "100%", "timeout": "2m"}
CRD = "crd/experiments.rampgate.dev"


def older(chart: Path) -> Path:
    """A chart as one before this may have been: of another version, with a resource that has one field fewer."""
    shutil.copytree(CHART, chart)
    described = chart / "Chart.yaml"
    described.write_text(described.read_text().replace("\nversion: 0.1.0", "\nversion: 0.0.9"))
    for file in chart.rglob("*experiments*.yaml"):
        crd = yaml.safe_load(file.read_text())
        properties_of(crd).pop("confirm")
        file.write_text(yaml.safe_dump(crd))
    return chart


def properties_of(crd: Any) -> dict[str, Any]:
    """The fields of `spec.ramp`."""
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields: dict[str, Any] = schema["properties"]["spec"]["properties"]["ramp"]["properties"]
    return fields


def scale(release: Release, replicas: int) -> None:
    release.place.kubectl("scale", OPERATOR, f"--namespace={NAMESPACE}", f"--replicas={replicas}")
    selector = "--selector=app.kubernetes.io/component=operator"
    until(lambda: len(release.place.get("pods", f"--namespace={NAMESPACE}", selector)["items"]) == replicas, f"{replicas} replicas")


def test_an_upgrade_brings_new_fields_and_the_way_back_leaves_the_ramp_as_it_is(release: Release, shop: Shop, tmp_path: Path) -> None:
    release.install(chart=older(tmp_path / "rampgate"))
    assert "confirm" not in properties_of(release.place.get(CRD))
    shop.apply(ramp=HALF)
    before = shop.wait_for(percent=50)
    release.install()
    assert "confirm" in properties_of(release.place.get(CRD))
    shop.patch(paused=True)
    assert shop.wait_for(waitingFor="Paused")["stepStartedAt"] == before["stepStartedAt"]
    release.helm("rollback", "rampgate", "--wait", "--timeout=3m")
    shop.patch(killed=True)
    shop.wait_for(phase="Killed")
    release.install()
    assert shop.status()["phase"] == "Killed"


def test_uninstalling_leaves_experiments_rules_and_pods_and_nothing_hangs(release: Release, shop: Shop) -> None:
    shop.apply(ramp=HALF)
    shop.wait_for(percent=50)
    until(lambda: shop.reasons("user-1") <= {"ENROLLED", "NOT_ENROLLED"}, "the pods know of the ramp", seconds=150)
    known = shop.decisions()
    release.uninstall()
    try:
        assert shop.experiment()["status"]["percent"] == 50
        assert shop.decisions() == known
        shop.kubectl("patch", "configmap", "feature-gates", "--type=merge", f'--patch={{"data":{{"kill":"{GATE}"}}}}')
        by_hand = "rampgate.dev/rules=by-hand"  # as the runbook says
        shop.kubectl("annotate", "pods", "--selector=rampgate.dev/gates=feature-gates", "--overwrite", by_hand)
        until(lambda: shop.reasons() == {"KILLED"}, "break-glass needs no operator", seconds=150)
        shop.kubectl("delete", "experiments.rampgate.dev", GATE, "--timeout=10s")
    finally:
        release.install()


def test_what_is_restored_without_its_status_is_not_shown_to_more_users_than_before(release: Release, shop: Shop) -> None:
    shop.apply(ramp={"steps": [{"percent": 10, "hold": "10m"}, {"percent": 50, "hold": "10m"}]})
    before = shop.wait_for(percent=10)
    backup = shop.experiment()
    scale(release, 0)
    try:
        shop.kubectl("delete", "experiments.rampgate.dev", GATE)
        restored = {field: backup[field] for field in ("apiVersion", "kind", "spec")} | {"metadata": {"name": GATE}}
        shop.kubectl("apply", "-f", "-", stdin=json.dumps(restored))
        assert shop.status() == {}
    finally:
        scale(release, 2)
    after = shop.wait_for(percent=10)
    assert (after["attempt"], after["rules"]["generation"]) == (before["attempt"], before["rules"]["generation"])


def test_a_rollback_survives_the_loss_of_the_status(release: Release, shop: Shop) -> None:
    shop.apply(ramp=HALF)
    shop.wait_for(percent=50)
    shop.patch(killed=True)
    shop.wait_for(phase="Killed")
    scale(release, 0)
    try:
        shop.kubectl("delete", "experiments.rampgate.dev", GATE)
        shop.apply(ramp=HALF)  # as it is in Git: not killed
    finally:
        scale(release, 2)
    assert shop.wait_for(phase="Killed")["percent"] == 0


def test_a_source_with_a_token_of_the_operators_own_is_read(release: Release, shop: Shop) -> None:
    release.install({"sources": {"default": {"url": PROMETHEUS_URL, "token": {"serviceAccount": {"audience": "prometheus"}}}}})
    try:
        token = "/var/run/rampgate/sources/default/token"
        run = ("exec", OPERATOR, f"--namespace={NAMESPACE}", "--", "python", "-c")
        assert release.place.kubectl(*run, f"print(open('{token}').read().count('.'))").strip() == "2", "a JSON Web Token"
        shop.apply(ramp={"steps": [{"percent": 50, "hold": "5s"}, {"percent": 60, "hold": "10m"}], "confirm": CONFIRM})
        shop.wait_for(percent=60)  # not without a reading of the guardrail
    finally:
        release.install()


@pytest.mark.parametrize("helm", ["helm3", "helm4"])
def test_helm_test_asks_the_source_from_a_pod_and_says_what_is_wrong_with_its_address(helm: str, release: Release, tmp_path: Path) -> None:
    asking = Release(release.place, tmp_path, helm=helm)
    assert "source default: ok" in asking.helm("test", NAME, "--logs")
    release.install({"sources": {"default": {"url": "http://promethoys.monitoring:9090"}}})
    try:
        with pytest.raises(subprocess.CalledProcessError) as failed:
            asking.helm("test", NAME, "--logs")
        assert "No connection to metrics source default (http://promethoys.monitoring:9090)" in failed.value.stdout
    finally:
        release.install()
