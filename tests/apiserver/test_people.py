"""Who may do what with an Experiment, as each of them, at the real API server: RBAC and the admission policies of manifests/ together."""

import itertools
from typing import Any

import pytest

from rampgate_operator.core.flagd import FLAGD_FORMAT
from rampgate_operator.core.observation import FORMAT
from tests.apiserver.people import MANIFESTS, Person, bind_people
from tests.apiserver.team import EXPERIMENT, wait_until
from tests.conftest import Kubectl
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import kubectl as run_kubectl
from tools.devcluster.roles import Role

Json = dict[str, Any]
HERE = "experiments/new-checkout"
KILL: Json = {"spec": {"killed": True}}
APPROVE: Json = {"spec": {"approved": {"attempt": 1, "upTo": 50}}}
MINIMAL: Json = {"apiVersion": EXPERIMENT["apiVersion"], "kind": "Experiment", "metadata": {"name": "new-checkout"}}
ONLY_KILLED = "who may patch Experiments but not update them may change spec.killed alone, and this changes "
NO_APPROVAL = "spec.approved may be set or raised only by who has the verb approve on experiments.rampgate.dev in namespace "
NO_RIGHT = "cannot"
"""RBAC's own word."""
REFUSED_AT_ALL = {Role.VIEWER: NO_RIGHT, Role.KILLER: ONLY_KILLED, Role.APPROVER: ONLY_KILLED}


@pytest.fixture
def people(cluster: Cluster, namespace: str) -> dict[Role, Person]:
    """Bound, with one Experiment there; the API server obeys policies and bindings some milliseconds after it has stored them."""
    found = bind_people(cluster, namespace)
    assert found[Role.ADMIN].create("experiments", EXPERIMENT) == ""
    killer, editor, admin = found[Role.KILLER], found[Role.DEVELOPER], found[Role.ADMIN]
    others = itertools.count(2)  # a patch that changes nothing is refused by nobody
    wait_until(lambda: ONLY_KILLED in killer.patch(HERE, {"spec": {"hypothesis": str(next(others))}}), "the policy for killers holds")
    wait_until(
        lambda: NO_APPROVAL in editor.patch(HERE, {"spec": {"approved": {"attempt": next(others), "upTo": 1}}}),
        "the policy for approvals holds",
    )
    wait_until(lambda: not found[Role.APPROVER].patch(HERE, {}), "the approver is bound")
    wait_until(lambda: "kind" in found[Role.VIEWER].get(HERE), "the viewer is bound")
    assert admin.patch(HERE, {"spec": {"hypothesis": None, "approved": None}}) == ""
    return found


def apply_the_file(person: Person, **changes: Any) -> str:
    return person.apply(HERE, {**EXPERIMENT, "spec": {**EXPERIMENT["spec"], **changes}})


@pytest.mark.parametrize("role", [Role.KILLER, Role.APPROVER, Role.DEVELOPER, Role.ADMIN])
def test_all_but_viewers_may_kill_and_take_it_back(role: Role, people: dict[Role, Person]) -> None:
    person = people[role]
    assert person.patch(HERE, KILL) == ""
    assert person.patch(HERE, {"spec": {"killed": None}}) == ""
    assert person.patch(HERE, {"spec": {"killed": False}}) == ""
    assert person.apply(HERE, {**MINIMAL, **KILL}) == "", "server-side, of that one field"


def test_viewers_see_and_change_nothing(people: dict[Role, Person]) -> None:
    viewer = people[Role.VIEWER]
    assert viewer.get(HERE)["spec"]["owner"] == "payments"
    assert NO_RIGHT in viewer.patch(HERE, KILL)
    assert NO_RIGHT in viewer.delete(HERE)
    assert NO_RIGHT in viewer.create("experiments", EXPERIMENT)


@pytest.mark.parametrize(
    ("patch", "named"),
    [
        ({"spec": {"paused": True}}, "spec.paused"),
        ({"spec": {"hypothesis": "another"}}, "spec.hypothesis"),
        ({"spec": {"guardrails": None}}, "spec.guardrails"),
        ({"spec": {"ramp": {"steps": [{"percent": 100, "hold": "1s"}]}}}, "spec.ramp"),
        ({"spec": {"ship": {"attempt": 1, "variant": "treatment"}}}, "spec.ship"),
        ({"spec": {"attempt": 2}}, "spec.attempt"),
        ({"spec": {"killed": True, "attempt": 2, "paused": True}}, "spec.attempt, spec.paused"),
        ({"metadata": {"labels": {"a": "b"}}}, "metadata.labels"),
        ({"metadata": {"annotations": {"a": "b"}}}, "metadata.annotations"),
        ({"metadata": {"finalizers": ["a.example/b"]}}, "metadata.finalizers"),
        (
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}]}},
            "metadata.ownerReferences",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("role", [Role.KILLER, Role.APPROVER])
def test_who_may_only_patch_changes_nothing_but_killed(role: Role, patch: Json, named: str, people: dict[Role, Person]) -> None:
    before = people[Role.ADMIN].get(HERE)
    refusal = people[role].patch(HERE, patch)
    assert f"{ONLY_KILLED}" in refusal
    assert refusal.startswith("403 ")
    assert all(part in refusal for part in named.split(", "))
    assert "that takes the ClusterRole rampgate-editor in namespace " in refusal, "the remedy"
    assert people[Role.ADMIN].get(HERE) == before


@pytest.mark.parametrize("role", [Role.KILLER, Role.APPROVER])
def test_who_may_only_patch_neither_creates_nor_replaces_nor_deletes_nor_writes_a_status(role: Role, people: dict[Role, Person]) -> None:
    person = people[role]
    other = {**EXPERIMENT, "metadata": {"name": "other"}}
    assert NO_RIGHT in person.create("experiments", other)
    assert NO_RIGHT in person.apply("experiments/other", other), "a patch that creates"
    assert NO_RIGHT in person.replace(HERE, lambda body: body["spec"].update(killed=True))
    assert NO_RIGHT in person.delete(HERE)
    assert NO_RIGHT in person.patch(f"{HERE}/status", {"status": {"attempt": 7}})
    assert ONLY_KILLED in apply_the_file(person, owner="another"), "a server-side apply of the whole"


def test_an_experiment_that_gitops_owns_as_a_whole_is_killed_all_the_same(people: dict[Role, Person]) -> None:
    assert apply_the_file(people[Role.DEVELOPER]) == ""
    assert people[Role.KILLER].patch(HERE, KILL) == ""
    assert apply_the_file(people[Role.DEVELOPER]) == ""
    assert people[Role.ADMIN].get(HERE)["spec"]["killed"] is True, "the file does not speak of it"


def test_a_killer_who_applies_the_file_as_it_is_changes_nothing_and_is_not_refused(people: dict[Role, Person]) -> None:
    same = {**MINIMAL, "spec": {key: value for key, value in people[Role.ADMIN].get(HERE)["spec"].items() if key != "killed"}}
    assert people[Role.KILLER].apply(HERE, same) == ""


# --- approvals ---


@pytest.mark.parametrize(
    ("sentence", "before", "after"),
    [
        ("the first", None, {"attempt": 1, "upTo": 10}),
        ("a higher one", {"attempt": 1, "upTo": 10}, {"attempt": 1, "upTo": 10.5}),
        ("one for the next attempt", {"attempt": 1, "upTo": 50}, {"attempt": 2, "upTo": 1}),
        ("one for an earlier attempt", {"attempt": 2, "upTo": 50}, {"attempt": 1, "upTo": 50}),
    ],
)
def test_an_approval_needs_the_verb(sentence: str, before: Json | None, after: Json, people: dict[Role, Person]) -> None:
    assert people[Role.ADMIN].patch(HERE, {"spec": {"approved": before}}) == ""
    refusal = people[Role.DEVELOPER].patch(HERE, {"spec": {"approved": after}})
    assert NO_APPROVAL in refusal
    assert "the ClusterRole rampgate-approver" in refusal, "the remedy"
    assert people[Role.KILLER].patch(HERE, {"spec": {"approved": after}}).startswith("403 "), "either policy says so"
    assert people[Role.APPROVER].patch(HERE, {"spec": {"approved": after}}) == ""


@pytest.mark.parametrize("lower", [None, {"attempt": 1, "upTo": 10}, {"attempt": 1, "upTo": 50}], ids=["none", "a lower one", "the same"])
def test_an_approval_is_taken_back_or_left_alone_by_whoever_edits(lower: Json | None, people: dict[Role, Person]) -> None:
    assert people[Role.APPROVER].patch(HERE, APPROVE) == ""
    assert people[Role.DEVELOPER].patch(HERE, {"spec": {"approved": lower, "paused": True}}) == ""


def test_an_approval_that_comes_with_a_new_experiment_needs_the_verb_too(people: dict[Role, Person]) -> None:
    approved = {**EXPERIMENT, "metadata": {"name": "approved"}, "spec": {**EXPERIMENT["spec"], **APPROVE["spec"]}}
    for creation in (lambda who: who.create("experiments", approved), lambda who: who.apply("experiments/approved", approved)):
        assert NO_APPROVAL in creation(people[Role.DEVELOPER])
    assert people[Role.ADMIN].create("experiments", approved) == ""


def test_gitops_with_all_rights_sets_an_approval_from_its_file_and_one_with_an_editors_is_refused(people: dict[Role, Person]) -> None:
    assert apply_the_file(people[Role.ADMIN], **APPROVE["spec"]) == ""
    assert people[Role.ADMIN].patch(HERE, {"spec": {"approved": None}}) == ""
    assert NO_APPROVAL in apply_the_file(people[Role.DEVELOPER], **APPROVE["spec"])


def test_who_may_approve_and_edit_does_both_at_once(people: dict[Role, Person], kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "rolebinding", "both", "-n", namespace, "--clusterrole=rampgate-editor", f"--user={Role.APPROVER.user}")
    person = people[Role.APPROVER]
    wait_until(lambda: not person.patch(HERE, {"spec": {"paused": True, **APPROVE["spec"]}}), "both rights are bound")


# --- the operator, and whoever is in nobody's way ---


@pytest.fixture
def operator(cluster: Cluster, namespace: str, people: dict[Role, Person]) -> Person:
    """The operator's ServiceAccount with far more rights than it has, so that it is the policy which refuses."""
    run_kubectl(cluster, "apply", "--server-side", "--force-conflicts", "-k", str(MANIFESTS))
    account = "system:serviceaccount:rampgate:rampgate-operator"
    run_kubectl(cluster, "create", "rolebinding", "far-more", "-n", namespace, "--clusterrole=cluster-admin", f"--user={account}")
    token = run_kubectl(cluster, "create", "token", "rampgate-operator", "-n", "rampgate").stdout.strip()
    person = Person(cluster, namespace, token)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "shop", "labels": {"app": "shop"}, "annotations": {"team": "shop"}},
        "spec": {"containers": [{"name": "shop", "image": "shop"}]},
    }
    assert people[Role.ADMIN].create("pods", pod) == ""
    wait_until(lambda: "kind" in person.get("pods/shop"), "the operator is bound")
    wait_until(lambda: "Rampgate may" in person.patch("pods/shop", {"metadata": {"labels": {"a": "b"}}}), "the policy for pods holds")
    return person


def test_the_operator_sets_changes_and_removes_its_annotation(operator: Person) -> None:
    for value in ("12", "13", None):
        assert operator.patch("pods/shop", {"metadata": {"annotations": {"rampgate.dev/rules": value}}}) == ""
        assert operator.get("pods/shop")["metadata"]["annotations"].get("rampgate.dev/rules") == value


@pytest.mark.parametrize(
    ("path", "patch", "named"),
    [
        ("", {"metadata": {"labels": {"app": "other"}}}, "metadata.labels"),
        ("", {"metadata": {"labels": None}}, "metadata.labels"),
        ("", {"metadata": {"annotations": {"team": "other", "rampgate.dev/rules": "1"}}}, "the annotation team"),
        ("", {"metadata": {"annotations": {"rampgate.dev/rules.more": "1"}}}, "the annotation rampgate.dev/rules.more"),
        ("", {"metadata": {"annotations": None}}, "the annotation team"),
        ("", {"metadata": {"finalizers": ["a.example/b"]}}, "metadata.finalizers"),
        (
            "",
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b"}]}},
            "metadata.ownerReferences",
        ),
        ("", {"spec": {"containers": [{"name": "shop", "image": "other"}]}}, "spec"),
        ("", {"spec": {"activeDeadlineSeconds": 1}}, "spec"),
        ("/status", {"status": {"message": "hello"}}, "status"),
        ("/ephemeralcontainers", {"spec": {"ephemeralContainers": [{"name": "a", "image": "b"}]}}, "spec"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_operator_changes_nothing_else_of_a_pod(path: str, patch: Json, named: str, operator: Person) -> None:
    before = operator.get("pods/shop")
    refusal = operator.patch(f"pods/shop{path}", patch)
    assert refusal.startswith("403 ")
    assert "Rampgate may change nothing of a pod but the annotation rampgate.dev/rules, and this changes " in refusal
    assert named in refusal.split("and this changes ")[1]
    assert operator.get("pods/shop") == before


TOO_MANY = "Rampgate may change no pod with more than 1000 annotations"


def crowded(count: int) -> Json:
    return {f"a.example/{number}": "" for number in range(count)}


def test_the_operator_tells_a_pod_with_many_annotations_and_changes_none_of_them(operator: Person, people: dict[Role, Person]) -> None:
    assert people[Role.ADMIN].patch("pods/shop", {"metadata": {"annotations": {**crowded(998), "team": "shop"}}}) == ""
    assert "the annotation team" in operator.patch("pods/shop", {"metadata": {"annotations": {"team": "other"}}})
    assert operator.patch("pods/shop", {"metadata": {"annotations": {"rampgate.dev/rules": "1"}}}) == ""


@pytest.mark.parametrize(
    ("sentence", "annotations"),
    [("one more", {"rampgate.dev/rules": "1"}), ("none of them any more", None), ("another", {"team": "other"})],
)
def test_more_annotations_than_can_be_compared_in_good_time_are_not_compared_and_nothing_is_changed(
    sentence: str, annotations: Json | None, operator: Person, people: dict[Role, Person]
) -> None:
    assert people[Role.ADMIN].patch("pods/shop", {"metadata": {"annotations": crowded(1000)}}) == ""
    before = operator.get("pods/shop")
    refusal = operator.patch("pods/shop", {"metadata": {"annotations": annotations}})
    assert refusal.startswith("403 ")
    assert TOO_MANY in refusal
    assert operator.get("pods/shop") == before
    assert people[Role.ADMIN].patch("pods/shop", {"metadata": {"annotations": {"rampgate.dev/rules": "1"}}}) == "", "others may"


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_the_operator_writes_no_config_map_but_rampgates(operator: Person, people: dict[Role, Person]) -> None:
    said = "Rampgate may write a ConfigMap only when its key `format` says that it is Rampgate's, before and after"
    wait_until(lambda: said in operator.create("configmaps", config_map("probe", a="b")), "the policy for rules holds")
    for number, format_ in enumerate((FORMAT, FLAGD_FORMAT)):
        assert operator.create("configmaps", config_map(f"ours-{number}", format=format_)) == ""
        assert operator.patch(f"configmaps/ours-{number}", {"data": {"a.json": "{}"}, "metadata": {"labels": {"a": "b"}}}) == ""
        assert said in operator.patch(f"configmaps/ours-{number}", {"data": {"format": None}})
    assert people[Role.ADMIN].create("configmaps", config_map("theirs", a="b")) == ""
    for patch in ({"data": {"a": "c"}}, {"data": {"format": FORMAT}}, {"data": None}):
        assert said in operator.patch("configmaps/theirs", patch)
    assert people[Role.ADMIN].patch("configmaps/theirs", {"data": {"a": "c"}}) == ""


def test_others_change_pods_as_before(operator: Person, people: dict[Role, Person]) -> None:
    assert people[Role.ADMIN].patch("pods/shop", {"metadata": {"labels": {"app": "other"}, "annotations": {"a": "b"}}}) == ""
    assert people[Role.ADMIN].patch("pods/shop/status", {"status": {"message": "hello"}}) == ""


def test_the_operators_writes_of_a_status_meet_no_policy(operator: Person) -> None:
    status = {"attempt": 1, "attemptStartedAt": "2026-12-01T09:00:00.000Z", "phase": "Pending"}
    assert operator.patch(f"{HERE}/status", {"status": status}) == ""


def test_the_garbage_collector_and_whoever_has_all_rights_change_owners_and_finalizers(
    cluster: Cluster, namespace: str, people: dict[Role, Person], kubectl: Kubectl
) -> None:
    account = "generic-garbage-collector"  # bound by Kubernetes itself, and run with that name by the controller manager
    kubectl("create", "serviceaccount", account, "-n", "kube-system", check=False)
    collector = Person(cluster, namespace, kubectl("create", "token", account, "-n", "kube-system").stdout.strip())
    owned = {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}], "finalizers": ["a.b/c"]}}
    assert people[Role.ADMIN].patch(HERE, owned) == ""
    assert collector.patch(HERE, {"metadata": {"ownerReferences": None, "finalizers": None}}) == ""
    assert collector.delete(HERE) == ""


def test_viewers_and_editors_are_a_part_of_kubernetes_own_roles(people: dict[Role, Person], kubectl: Kubectl) -> None:
    for name, label in (("viewer", "aggregate-to-view"), ("editor", "aggregate-to-edit")):
        found = kubectl("get", "clusterroles", "-l", f"rbac.authorization.k8s.io/{label}=true", "-o", "name").stdout
        assert f"clusterrole.rbac.authorization.k8s.io/rampgate-{name}" in found.split()
