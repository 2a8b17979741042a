"""Tools that bring the file from Git again and again: a rollback and a kill stand, whatever becomes of the field that a person patched.

What does become of it is the table of docs/gitops.md, which is read here.
"""

import copy
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.exporter import Exporter
from tests.apiserver.delivery import TOOLS, Apply, Helm, Place
from tests.apiserver.team import EXPERIMENT, Json, Operator, Team, meanwhile, stays, wait_until
from tests.conftest import Kubectl
from tests.docs.pages import page, rows, section
from tools.devcluster.cluster import Cluster
from tools.devcluster.prometheus import Prometheus

SECONDS = 1.5  # a look, and ten times what a wrong step would need
FAST = {"steps": [{"percent": 50, "hold": "300ms"}, {"percent": 100, "hold": "1h"}]}
BECOMES = {tool: cells for tool, *cells in rows(section(page("docs/gitops.md"), "What becomes of a patched field"))}
"""By tool: of `killed` that is not in the file, of one that is false there, of `attempt` with a lower one there, with a higher one."""
REFUSING = [tool for tool, cells in BECOMES.items() if "refused" in cells]
SELF_HEAL = TOOLS["Argo CD, `ServerSideApply=true`"]


@pytest.fixture(scope="module")
def delivered(cluster: Cluster, prometheus: Prometheus, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One namespace for all tools, with the operator, and an application that has no errors."""
    namespace = f"delivered-{secrets.token_hex(3)}"  # a process may come back to this file
    kubectl("create", "namespace", namespace)
    log = tmp_path_factory.mktemp("delivered") / "operator.log"
    with Operator(cluster, prometheus, namespace, log=log), Exporter(prometheus, job=namespace, namespace=namespace) as shop:
        shop.set("shop_errors", 0.0)
        yield Place(cluster=cluster, namespace=namespace, folder=log.parent)


@pytest.fixture
def delivered_team(cluster: Cluster, delivered: Place) -> Team:
    """What its team sees."""
    return Team(cluster, delivered.namespace)


@pytest.fixture
def place(cluster: Cluster, namespace: str, tmp_path: Path) -> Place:
    """A namespace of the test's own, whose operator it may end."""
    return Place(cluster=cluster, namespace=namespace, folder=tmp_path)


def file(name: str, **spec: Any) -> Json:  # any field of a spec
    """What Git has."""
    manifest = copy.deepcopy(EXPERIMENT)
    manifest["metadata"]["name"] = name
    manifest["spec"] |= {"ramp": FAST, **spec}
    return manifest


def slug(tool: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in tool.lower()).split())


def patch(at: Place, name: str, spec: str, *options: str) -> None:
    at.kubectl("patch", "experiments.rampgate.dev", name, "--type=merge", *options, "-p", f'{{"spec":{spec}}}')


def kill(at: Place, team: Team, name: str, *options: str) -> None:
    patch(at, name, '{"killed":true}', *options)
    team.wait_for(name, phase="Killed", percent=0)
    wait_until(lambda: team.exposure(name) == 0, "pods are told")


def becomes(refused: str, found: object, *, by_hand: object) -> str:
    return "refused" if refused else "stays" if found == by_hand else "taken back"


def is_off(team: Team, *names: str) -> bool:
    return all(team.exposure(name) == 0 and "latch" in team.status(name) for name in names)


def test_every_tool_is_in_the_documents() -> None:
    assert list(BECOMES) == list(TOOLS)


@pytest.mark.parametrize("in_file", [{}, {"killed": False}], ids=["not in the file", "false in the file"])
@pytest.mark.parametrize("tool", TOOLS)
def test_a_kill_stands_and_its_field_fares_as_documented(tool: str, in_file: Json, delivered: Place, delivered_team: Team) -> None:
    name = f"killed-{len(in_file)}-{slug(tool)}"
    TOOLS[tool].deliver(delivered, file(name, **in_file))
    delivered_team.wait_for(name, percent=100)
    kill(delivered, delivered_team, name)
    for owner in ("payments", "somebody else"):
        refused = TOOLS[tool].deliver(delivered, file(name, owner=owner, **in_file))
    spec = delivered_team.experiment(name)["spec"]
    assert becomes(refused, spec.get("killed"), by_hand=True) == BECOMES[tool][len(in_file)]
    assert (spec["owner"] == "somebody else") == (not refused)
    stays(lambda: is_off(delivered_team, name), "it is killed", seconds=SECONDS)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_rollback_stands(tool: str, cluster: Cluster, prometheus: Prometheus, delivered: Place, delivered_team: Team) -> None:
    name, metric = f"rolled-back-{slug(tool)}", f"broken_{slug(tool).replace('-', '_')}"
    guardrails = [{"name": "errors", "query": f'max_over_time({metric}{{variant=~"$variant|"}}[1s])', "max": 0.5}]
    with Exporter(prometheus, job=name, namespace=delivered.namespace) as shop:
        shop.set(metric, 0.0)
        TOOLS[tool].deliver(delivered, file(name, guardrails=guardrails))
        delivered_team.wait_for(name, percent=100)
        shop.set(metric, 0.9)
        delivered_team.wait_for(name, phase="RolledBack", percent=0)
        wait_until(lambda: delivered_team.exposure(name) == 0, "pods are told")
        shop.set(metric, 0.0)
        for owner in ("payments", "somebody else", "payments"):
            assert TOOLS[tool].deliver(delivered, file(name, guardrails=guardrails, owner=owner)) == ""
        stays(lambda: is_off(delivered_team, name), "it is rolled back", seconds=SECONDS)


@pytest.mark.parametrize("tool", TOOLS)
def test_an_attempt_begun_by_hand_goes_on_until_the_file_has_a_higher_one(tool: str, delivered: Place, delivered_team: Team) -> None:
    name = f"attempt-{slug(tool)}"
    TOOLS[tool].deliver(delivered, file(name, attempt=1))
    delivered_team.wait_for(name, percent=100)
    patch(delivered, name, '{"attempt":2}')
    delivered_team.wait_for(name, attempt=2, percent=100)
    refused = TOOLS[tool].deliver(delivered, file(name, attempt=1, owner="somebody else"))
    assert becomes(refused, delivered_team.experiment(name)["spec"]["attempt"], by_hand=2) == BECOMES[tool][2]
    wait_until(lambda: delivered_team.exposure(name) == 100, "100 % is served")
    stays(lambda: delivered_team.status(name)["attempt"] == 2 and delivered_team.exposure(name) == 100, "it goes on", seconds=SECONDS)
    assert TOOLS[tool].deliver(delivered, file(name, attempt=2)) == "", "the same number is never refused"
    refused = TOOLS[tool].deliver(delivered, file(name, attempt=3))
    assert ("refused" if refused else "begins") == BECOMES[tool][3]
    if refused:
        assert 'conflict with "kubectl-patch"' in refused.replace("\\", "")
        assert TOOLS[tool].deliver(delivered, file(name, attempt=3), options=("--force-conflicts",)) == ""
    delivered_team.wait_for(name, attempt=3, percent=100)
    assert TOOLS[tool].deliver(delivered, file(name, attempt=4)) == "", "the file has the field again"


@pytest.mark.parametrize("remedy", ["--force-conflicts", "out of the file"])
@pytest.mark.parametrize("tool", REFUSING)
def test_where_a_kill_blocks_a_tool_both_remedies_unblock_it_and_the_kill_stands(
    tool: str, remedy: str, delivered: Place, delivered_team: Team
) -> None:
    name = f"{slug(remedy)}-{slug(tool)}"
    TOOLS[tool].deliver(delivered, file(name, killed=False))
    delivered_team.wait_for(name, percent=100)
    kill(delivered, delivered_team, name)
    assert TOOLS[tool].deliver(delivered, file(name, killed=False)) != ""
    forced = remedy == "--force-conflicts"
    fields, options = ({"killed": False}, (remedy,)) if forced else ({}, ())
    for further in (options, ()):
        assert TOOLS[tool].deliver(delivered, file(name, owner="somebody else", **fields), options=further) == ""
    assert delivered_team.experiment(name)["spec"]["killed"] is not forced
    stays(lambda: is_off(delivered_team, name), "it is killed", seconds=SECONDS)


@pytest.mark.parametrize("way", ["--field-manager=flux-client-side-apply", "ssa: Merge"])
def test_flux_leaves_the_field_of_a_kill_in_two_ways(way: str, delivered: Place, delivered_team: Team) -> None:
    name = f"flux-{slug(way)}"
    manifest = file(name)
    manifest["metadata"]["annotations"] = {"kustomize.toolkit.fluxcd.io/ssa": "Merge"} if way == "ssa: Merge" else {}
    TOOLS["Flux Kustomization"].deliver(delivered, manifest)
    delivered_team.wait_for(name, percent=100)
    kill(delivered, delivered_team, name, *([way] if way.startswith("--") else []))
    for _ in range(2):
        TOOLS["Flux Kustomization"].deliver(delivered, manifest)
    assert delivered_team.experiment(name)["spec"]["killed"] is True


@pytest.mark.parametrize("binary", ["helm3", "helm4"])
def test_an_application_that_is_rolled_back_by_helm_takes_its_spec_back_and_no_kill(
    binary: str, delivered: Place, delivered_team: Team
) -> None:
    name, helm = f"gone-back-{binary}", Helm(binary)
    helm.deliver(delivered, file(name, owner="before"))
    helm.deliver(delivered, file(name, owner="after"))
    delivered_team.wait_for(name, percent=100)
    kill(delivered, delivered_team, name)
    helm.go_back(delivered, file(name))
    spec = delivered_team.experiment(name)["spec"]
    assert (spec["owner"], spec["killed"]) == ("before", True)
    stays(lambda: is_off(delivered_team, name), "it is killed", seconds=SECONDS)


@pytest.mark.parametrize("tool", ["`kubectl apply`", "Helm 3", "Helm 4"])
def test_what_was_pruned_and_comes_back_is_still_off(tool: str, delivered: Place, delivered_team: Team) -> None:
    name = f"pruned-{slug(tool)}"
    TOOLS[tool].deliver(delivered, file(name))
    delivered_team.wait_for(name, percent=100)
    kill(delivered, delivered_team, name)
    TOOLS[tool].remove(delivered, file(name))
    assert delivered_team.exposure(name) == 0
    assert delivered_team.entry(name) is not None
    TOOLS[tool].deliver(delivered, file(name))
    wait_until(lambda: is_off(delivered_team, name), "it is killed again", lambda: delivered_team.status(name))
    stays(lambda: is_off(delivered_team, name), "it is killed", seconds=SECONDS)


def test_a_rollback_and_a_kill_win_against_who_applies_the_whole_file_all_the_time(place: Place, team: Team, shop: Exporter) -> None:
    slow = {"steps": [{"percent": 10, "hold": "1s"}, {"percent": 50, "hold": "1h"}]}
    files = [file("killed-one", ramp=slow, killed=False), file("rolled-back-one", ramp=slow)]
    with meanwhile(lambda: SELF_HEAL.deliver(place, *files), every=0.5):
        for manifest in files:
            wait_until(lambda name=manifest["metadata"]["name"]: team.exposure(name) == 50, "it has ramped")
        while "latch" not in team.status("killed-one"):  # one may be taken back in the instant before the operator sees it
            patch(place, "killed-one", '{"killed":true}')
        shop.set("shop_errors", 0.9)
        team.wait_for("rolled-back-one", phase="RolledBack")
        wait_until(lambda: is_off(team, "killed-one", "rolled-back-one"), "pods are told")
        shop.set("shop_errors", 0.0)
        stays(lambda: is_off(team, "killed-one", "rolled-back-one"), "both are off", seconds=3 * SECONDS)
        wait_until(lambda: team.experiment("killed-one")["spec"]["killed"] is False, "the field is taken back")


def test_while_the_operator_is_down_flux_takes_a_kill_away_unseen_but_not_break_glass(
    place: Place, operator: Operator, team: Team, shop: Exporter
) -> None:
    flux = TOOLS["Flux Kustomization"]
    flux.deliver(place, file("new-checkout"))
    team.wait_for(percent=100)
    operator.kill()
    patch(place, "new-checkout", '{"killed":true}')
    place.kubectl("patch", "configmap", "feature-gates", "--type=merge", "-p", '{"data":{"kill":"new-checkout"}}')
    flux.deliver(place, file("new-checkout"))
    operator.start()
    team.patch({"owner": "somebody else"})  # so that it is known to have looked
    wait_until(lambda: team.status()["observedGeneration"] == team.experiment()["metadata"]["generation"], "the operator has looked")
    assert "latch" not in team.status()
    assert (team.rules() or {})["kill"] == "new-checkout"


def test_what_is_restored_from_a_backup_without_status_is_as_it_was(place: Place, operator: Operator, team: Team, shop: Exporter) -> None:
    for name in ("killed-one", "ramping-one"):
        Apply().deliver(place, file(name, ramp={"steps": [{"percent": 10, "hold": "1h"}]}, attempt=2))
        team.wait_for(name, percent=10)
    kill(place, team, "killed-one")
    patch(place, "killed-one", '{"killed":null}')
    operator.kill()
    backup = place.kubectl("get", "experiments.rampgate.dev", "-o", "yaml").stdout
    place.kubectl("delete", "experiments.rampgate.dev", "--all")
    place.kubectl("create", "-f", "-", stdin=backup)
    assert "attempt" not in team.status("killed-one"), "no status is restored"
    operator.start()
    team.wait_for("killed-one", phase="Killed", percent=0, attempt=2)
    team.wait_for("ramping-one", phase="Ramping", percent=10, attempt=2)
