import json
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.devcluster.loopback import HOST, free_port
from tools.devcluster.prometheus import Prometheus


class OneCounter(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"# TYPE wishes_total counter\nwishes_total 3\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def target() -> Iterator[str]:
    with ThreadingHTTPServer((HOST, free_port()), OneCounter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def query(prometheus: Prometheus, promql: str) -> list[dict[str, str]]:
    with urllib.request.urlopen(f"{prometheus.url}/api/v1/query?query={urllib.parse.quote(promql)}") as response:
        return [series["metric"] for series in json.load(response)["data"]["result"]]


def wait_for(prometheus: Prometheus, promql: str, *, present: bool = True) -> list[dict[str, str]]:
    deadline = time.monotonic() + 20
    while bool(found := query(prometheus, promql)) != present:
        assert time.monotonic() < deadline, f"{promql} is {found}"
        time.sleep(0.05)
    return found


def test_a_target_added_while_it_runs_is_scraped_with_its_labels(prometheus, target):
    prometheus.add_target("shop", target, {"namespace": "t-wishes"})

    (series,) = wait_for(prometheus, 'wishes_total{namespace="t-wishes"}')

    prometheus.remove_target("shop", target)
    assert series == {"__name__": "wishes_total", "job": "shop", "instance": target, "namespace": "t-wishes"}


def test_a_removed_target_becomes_stale(prometheus, target):
    prometheus.add_target("shop", target, {"namespace": "t-removed"})
    wait_for(prometheus, 'wishes_total{namespace="t-removed"}')

    prometheus.remove_target("shop", target)

    assert wait_for(prometheus, 'wishes_total{namespace="t-removed"}', present=False) == []


@pytest.mark.parametrize(("wipe", "remembered"), [(False, 1), (True, 0)])
def test_a_restart_keeps_port_and_targets_and_forgets_the_data_only_when_told(target, wipe, remembered):
    with Prometheus.launch(scrape_interval=0.2) as prometheus:
        prometheus.add_target("shop", target)
        wait_for(prometheus, "wishes_total")
        stopped_at, url = time.time(), prometheus.url
        prometheus.stop()

        prometheus.start(wipe=wipe)

        assert prometheus.url == url
        assert len(query(prometheus, f"wishes_total @ {stopped_at:.3f}")) == remembered
        wait_for(prometheus, f"wishes_total and timestamp(wishes_total) > {stopped_at + 0.2:.3f}")
