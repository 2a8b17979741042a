"""What a pod finds on the node, and what the host finds of it: as on any cluster."""

import json
import re

import pytest

from tests.node.conftest import web
from tools.devcluster import kubelet
from tools.devcluster.images import BUSYBOX
from tools.devcluster.loopback import answers
from tools.devcluster.places import SERVICE_RANGE
from tools.devcluster.prometheus import Prometheus
from tools.devcluster.server import ServerError

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
API_ADDRESS = SERVICE_RANGE.replace(".0.0/16", ".0.1")


@pytest.fixture
def inside(kubectl, namespace, run_pods):
    """`inside("ls /")`: what a shell in a pod of the test's prints."""
    run_pods("one")
    return lambda script: kubectl("exec", "one", "-n", namespace, "--", "sh", "-c", script).stdout


def test_a_pod_has_the_token_of_its_service_account_and_the_certificate_to_use_it_with(node, kubectl, namespace, inside):
    token = inside(f"cat {ACCOUNT}/token")

    assert inside(f"cat {ACCOUNT}/ca.crt") == node.cluster.ca_file.read_text()
    whoami = kubectl("auth", "whoami", f"--token={token}", "-o", "jsonpath={.status.userInfo.username}")
    assert whoami.stdout == f"system:serviceaccount:{namespace}:default"


def test_a_pod_finds_the_api_server_by_name_and_reaches_it(inside):
    assert re.search(rf"Address: {re.escape(API_ADDRESS)}\b", inside("nslookup kubernetes.default.svc.cluster.local"))
    # busybox speaks no TLS that the API server accepts: what it answers to plain HTTP shows as much
    assert "400 Bad Request" in inside("wget -qO- -S http://kubernetes.default.svc:443 2>&1 || true")


def test_logs_and_exec_work(kubectl, namespace, inside):
    assert inside("hostname") == "one\n"
    assert kubectl("logs", "one", "-n", namespace).stdout == "serving\n"


def test_a_service_of_two_pods_answers_from_a_pod_and_from_the_host(kubectl, namespace, run_pods, inside, fetch, wait_for):
    run_pods("two")
    kubectl("expose", "pod", "one", "-n", namespace, "--name=web", "--selector=app=web", "--port=80", "--target-port=8080")
    address = kubectl("get", "service", "web", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}").stdout

    for who, ask in (("a pod", lambda: inside("wget -qO- http://web || true")), ("the host", lambda: fetch(f"http://{address}"))):
        heard: set[str] = set()
        wait_for(lambda heard=heard, ask=ask: heard.add(ask()) or {"one\n", "two\n"} <= heard, f"both pods have answered {who}")


def test_a_prometheus_on_the_host_scrapes_a_pod_and_answers_pods(node, kubectl, namespace, inside, wait_for):
    address = kubectl("get", "pod", "one", "-n", namespace, "-o", "jsonpath={.status.podIP}").stdout
    inside("echo shop_orders_total 7 > /www/metrics.txt")  # a name that busybox serves as text
    with Prometheus.launch(scrape_interval=0.25, host=node.cluster.host) as prometheus:
        prometheus.add_target("shop", f"{address}:8080", {"__metrics_path__": "/metrics.txt"})

        query = f"wget -qO- '{prometheus.url}/api/v1/query?query=shop_orders_total'"
        wait_for(lambda: bool(json.loads(inside(query))["data"]["result"]), "the pod sees by Prometheus what it serves itself")


def test_a_restart_of_the_kubelet_keeps_pods_running_and_new_ones_start(node, kubectl, namespace, run_pods):
    run_pods("one")
    containers = ("get", "pod", "one", "-n", namespace, "-o", "jsonpath={.status.containerStatuses[*].containerID}")
    before = kubectl(*containers).stdout

    node.restart_kubelet()

    run_pods("two")
    assert answers(kubelet.HEALTH)
    assert kubectl(*containers).stdout == before != ""


def test_a_deleted_namespace_goes_with_all_that_is_in_it(kubectl, namespace, run_pods):
    run_pods("one")

    kubectl("delete", "namespace", namespace, "--timeout=50s")

    assert kubectl("get", "namespace", namespace, check=False).returncode == 1


def test_an_imported_image_runs_and_one_that_is_not_there_is_not_looked_for_elsewhere(node, kubectl, namespace, tmp_path, wait_for):
    (tmp_path / "broken.tar").write_text("no archive")
    with pytest.raises(ServerError, match=r"broken\.tar was not imported"):
        node.import_image(tmp_path / "broken.tar")

    kubectl("apply", "-n", namespace, "-f", "-", stdin=web("lost", image=BUSYBOX.replace("busybox", "lost")))

    reason = ("get", "pod", "lost", "-n", namespace, "-o", "jsonpath={.status.containerStatuses[*].state.waiting.reason}")
    wait_for(lambda: kubectl(*reason).stdout in ("ErrImagePull", "ImagePullBackOff"), "the pod says that its image is missing")
