"""What comes out of many values, put to a real API server: every field is known, every object admitted, and nothing warned of."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chart.helm import CHART, RELEASE, Helm, Json, the
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds, kubectl

HERE = Path(__file__).parent
STRICT = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
SOURCES: Json = {"default": {"url": "http://prometheus.monitoring:9090"}}
SECURE: Json = {"url": "https://prometheus.billing/prefix", "timeout": "5s", "maxConcurrent": 4, "lookback": "1m"}
COMBINATIONS: dict[str, Json] = {
    "the defaults": {},
    "one replica, some namespaces": {"replicas": 1, "namespaces": ["shop", "search"], "sources": SOURCES},
    "every setting": {
        "sources": SOURCES, "nudgePods": False, "renderFlagd": True, "workers": 4, "resync": "1m", "lease": {"duration": "20s"},
        "port": 9000, "log": {"format": "human", "level": "debug"},
    },
    "tokens and certificates": {
        "sources": {
            "default": {**SECURE, "token": {"serviceAccount": {"audience": "prometheus"}}, "ca": {"configMap": {"name": "a", "key": "ca"}}},
            "billing": {**SECURE, "token": {"secret": {"name": "token"}}, "ca": {"secret": {"name": "ca"}}},
            "files": {**SECURE, "tokenFile": "/extra/token", "caFile": "/extra/ca.crt"},
        },
        "extraVolumes": [{"name": "extra", "secret": {"secretName": "extra"}}],
        "extraVolumeMounts": [{"name": "extra", "mountPath": "/extra", "readOnly": True}],
        "extraEnv": [{"name": "RAMPGATE_WORKERS", "value": "2"}],
    },
    "where it runs": {
        "priorityClassName": "", "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
        ]}}},
        "podLabels": {"team": "platform"}, "podAnnotations": {"a": "b"}, "imagePullSecrets": [{"name": "registry"}],
        "image": {"repository": "registry.shop.example/rampgate", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    },
    "network policies": {"networkPolicy": {"enabled": True}, "sources": {**SOURCES, "billing": SECURE}},
    "network policies of one's own": {
        "networkPolicy": {
            "enabled": True,
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
            "apiServer": {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [6443]},
            "dns": {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]},
            "sources": {"to": [{"namespaceSelector": {}}], "ports": [9090]},
        },
        "serve": {"enabled": True, "namespace": "shop"},
    },
    "scraped by a ServiceMonitor, with all there is to be seen": {
        "metrics": {
            "serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"release": "kube-prometheus-stack"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "kube-prometheus-stack"}},
            "dashboards": {"enabled": True, "namespace": "monitoring", "annotations": {"folder": "Rampgate"}},
        },
        "serve": {"enabled": True, "namespace": "shop"},
    },
    "scraped by a PodMonitor": {"metrics": {"podMonitor": {"enabled": True}}},
    "a server for other languages": {
        "serve": {
            "enabled": True, "namespace": "shop", "configMapName": "search-gates", "replicas": 1, "port": 9001,
            "apiKeys": {"secretName": "keys", "key": "all"}, "corsOrigins": ["https://shop.example"],
        },
        "podLabels": {"team": "platform"}, "nodeSelector": {"disk": "ssd"},
    },
    "one team's own, nothing of the cluster's": {
        "nameOverride": "team-a", "namespaces": ["shop"], "crds": {"install": False}, "rbac": {"people": False},
        "admission": {"killer": False, "approver": False, "pods": False, "rules": False}, "sources": SOURCES,
    },
    "rights that somebody else gives": {
        "rbac": {"create": False, "people": False}, "serviceAccount": {"create": False, "name": "mine"}, "admission": {"killer": False},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def known() -> Iterator[Cluster]:
    """An API server that knows Prometheus Operator's kinds, with the namespaces that the values name; nothing was ever installed there."""
    with Cluster.start() as cluster:
        apply_crds(cluster, HERE / "stubs.yaml")
        for name in (RELEASE, "shop", "search", "monitoring"):
            kubectl(cluster, "create", "namespace", name)
            levels = (f"pod-security.kubernetes.io/{way}=restricted" for way in ("enforce", "warn"))
            kubectl(cluster, "label", "namespace", name, *levels)
        yield cluster


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_what_is_rendered_is_admitted_with_every_field_known(values: Json, known: Cluster, helm: Helm) -> None:
    objects = [each for each in helm.render(values, with_tests=True) if each["kind"] != "CustomResourceDefinition"]
    done = kubectl(known, *STRICT, stdin=yaml.safe_dump_all(objects), check=False)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if line] == []
    pods = [each for each in objects if each["kind"] == "Deployment"]
    for template in pods:
        pod = {"apiVersion": "v1", "kind": "Pod", **template["spec"]["template"]}
        pod["metadata"] |= {"name": "probe", "namespace": template["metadata"]["namespace"]}
        admitted = kubectl(known, "create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(pod), check=False)
        assert (admitted.returncode, admitted.stderr) == (0, ""), "the strictest Pod Security Standard has nothing against it"


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_both_helms_render_the_same(values: Json, helm: Helm, tmp_path: Path) -> None:
    other = Helm("helm4", home=tmp_path)
    assert by_place(helm.render(values, with_tests=True)) == by_place(other.render(values, with_tests=True))


def by_place(objects: list[Json]) -> dict[tuple[str, str, str], Json]:
    return {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in objects}


def test_in_some_namespaces_there_is_no_right_beyond_them(helm: Helm) -> None:
    objects = helm.render(COMBINATIONS["one replica, some namespaces"] | {"rbac": {"people": False}, "admission": {"killer": False}})
    assert [each["metadata"]["name"] for each in objects if each["kind"] in {"ClusterRole", "ClusterRoleBinding"}] == []
    roles = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in objects if each["kind"] == "Role"}
    assert roles == {("shop", "rampgate-operator"), ("search", "rampgate-operator"), (RELEASE, "rampgate-operator-lease")}


def test_a_teams_own_install_has_nothing_of_the_clusters(helm: Helm) -> None:
    objects = helm.render(COMBINATIONS["one team's own, nothing of the cluster's"])
    assert {each["metadata"].get("namespace") for each in objects} == {RELEASE, "shop"}


def test_without_nudging_there_is_neither_a_right_to_pods_nor_a_policy_for_them(helm: Helm) -> None:
    objects = helm.render({"nudgePods": False})
    assert all("pods" not in rule["resources"] for rule in the(objects, "ClusterRole", "rampgate-operator")["rules"])
    assert "rampgate-operator-pods" not in {each["metadata"]["name"] for each in objects}


def test_one_replica_has_no_budget_that_would_hold_up_a_drain(helm: Helm) -> None:
    assert "PodDisruptionBudget" not in {each["kind"] for each in helm.render({"replicas": 1})}


def test_tokens_and_certificates_are_where_the_configuration_says(helm: Helm) -> None:
    objects = helm.render(COMBINATIONS["tokens and certificates"])
    pod = the(objects, "Deployment", "rampgate-operator")["spec"]["template"]["spec"]
    [volume] = [each for each in pod["volumes"] if "projected" in each]
    paths = [item["path"] for source in volume["projected"]["sources"] for item in items(source)]
    [mount] = [each["mountPath"] for each in pod["containers"][0]["volumeMounts"] if each["name"] == volume["name"]]
    configuration = yaml.safe_load(the(objects, "ConfigMap", "rampgate-operator")["data"]["operator.yaml"])
    named = [path for name in ("default", "billing") for path in (configuration["sources"][name][file] for file in ("tokenFile", "caFile"))]
    assert {f"{mount}/{path}" for path in paths} == set(named)
    assert configuration["sources"]["files"]["tokenFile"] == "/extra/token"


def items(source: Json) -> list[Json]:
    [(kind, projection)] = source.items()
    return [projection] if kind == "serviceAccountToken" else list(projection["items"])


def test_the_network_policy_lets_the_operator_reach_the_ports_of_its_sources(helm: Helm) -> None:
    policy = the(helm.render(COMBINATIONS["network policies"]), "NetworkPolicy", "rampgate-operator")
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53, 443, 6443, 9090}


def test_whatever_alerts_and_dashboards_are_there_are_rendered_and_nothing_when_there_are_none(helm: Helm, tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    (chart / "files" / "alerts.yaml").unlink(missing_ok=True)
    shutil.rmtree(chart / "files" / "dashboards", ignore_errors=True)
    values = {"metrics": {"prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}}
    assert by_place(helm.render(values, chart=chart)) == by_place(helm.render({}, chart=chart))
    text = "groups:\n  - name: a\n    rules: [{alert: A, expr: up == 0, annotations: {summary: 'no {{ $labels.pod }}'}}]\n"
    (chart / "files" / "alerts.yaml").write_text(text)
    (chart / "files" / "dashboards").mkdir()
    (chart / "files" / "dashboards" / "fleet.json").write_text('{"title": "{{ pod }}"}\n')
    objects = helm.render(values, chart=chart)
    assert the(objects, "PrometheusRule", "rampgate")["spec"] == yaml.safe_load(text)
    dashboard = the(objects, "ConfigMap", "rampgate-dashboard-fleet")
    assert dashboard["data"] == {"fleet.json": '{"title": "{{ pod }}"}\n'}
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_notes_say_what_to_do_next_and_what_is_missing(each_helm: Helm, own_cluster: Cluster, tmp_path: Path) -> None:
    helm = Helm(each_helm.name, home=tmp_path, kubeconfig=own_cluster.kubeconfig())

    def notes(**values: object) -> str:
        return helm.run("install", RELEASE, CHART, "--namespace", RELEASE, "--dry-run=server", values=values).stdout.split("NOTES:")[1]

    bare, complete = notes(), notes(sources=SOURCES, image={"repository": "registry.shop.example/rampgate"})
    assert "no Prometheus is named" in bare
    assert "is in no registry" in bare
    assert "ATTENTION" not in complete
    for command in ("kubectl rollout status", "helm test rampgate -n rampgate", "kubectl apply -n shop", '{"spec":{"killed":true}}'):
        assert command in complete
    assert "kubectl create namespace search" in notes(namespaces=["search", "shop"])
    assert "no source is called `default`" in notes(sources={"billing": SECURE})
