"""The PodMonitor of docs/recipes.md, by a stub of its kind: fields that there are, in the application's namespace, honouring no labels."""

import yaml

from tests.conftest import Kubectl
from tests.docs.pages import ROOT, blocks
from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import apply_crds

STUBS = ROOT / "tests" / "chart" / "stubs.yaml"


def test_the_pod_monitor_is_accepted_and_leaves_the_namespace_to_the_scrape(cluster: Cluster, kubectl: Kubectl, namespace: str) -> None:
    apply_crds(cluster, STUBS)
    [text] = [block.text for block in blocks("yaml") if "kind: PodMonitor" in block.text]
    applied = kubectl(
        "apply", "--server-side", "--dry-run=server", "-f", "-", stdin=text.replace("namespace: shop", f"namespace: {namespace}")
    )
    assert applied.stderr == ""
    monitor = yaml.safe_load(text)
    assert "honorLabels" not in text
    assert "namespaceSelector" not in monitor["spec"], "its own namespace alone"


def test_the_stack_enforces_the_namespace_for_all_but_the_operator() -> None:
    [text] = [block.text for block in blocks("yaml") if "prometheusSpec" in block.text]
    spec = yaml.safe_load(text)["prometheus"]["prometheusSpec"]
    assert spec["enforcedNamespaceLabel"] == "namespace"
    assert {exempt["namespace"] for exempt in spec["excludedFromEnforcement"]} == {"rampgate"}
