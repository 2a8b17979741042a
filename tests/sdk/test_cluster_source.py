"""rampgate.sources.cluster against a real API server, as an application that may read one ConfigMap and nothing else."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import pytest

from rampgate import Gates, Reason
from rampgate.errors import ConfigurationError
from rampgate.rules import render_entry
from rampgate.sources import cluster as module
from rampgate.sources.cluster import ClusterSource, Place, locate, longest_delay
from tests.sdk.entries import entry
from tests.sdk.forking import in_a_forked_process
from tests.sdk.proxy import Relay
from tests.sdk.waiting import DEADLINE, eventually
from tools.devcluster.cluster import Cluster
from tools.devcluster.roles import Role

Kubectl = Callable[..., Any]
CONTROL = render_entry(entry(percent=0))
TREATMENT = render_entry(entry(ship="treatment"))

ACCESS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reads-gates}
rules: [{apiGroups: [""], resources: [configmaps], resourceNames: [feature-gates], verbs: [list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reads-gates}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reads-gates}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "rampgate:application"}]
"""


class Rules:
    """The ConfigMap of a namespace, written by an administrator."""

    def __init__(self, kubectl: Kubectl, namespace: str, *, access: str = ACCESS) -> None:
        self._kubectl, self.namespace = kubectl, namespace
        kubectl("apply", "-n", namespace, "-f", "-", stdin=access)

    def create(self, name: str = "feature-gates", **data: str) -> None:
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"format": "rampgate.dev/1", **data}}
        self._kubectl("create", "-n", self.namespace, "-f", "-", stdin=json.dumps(document))

    def patch(self, **data: str | None) -> None:
        self._kubectl("patch", "-n", self.namespace, "configmap", "feature-gates", "--type=merge", "-p", json.dumps({"data": data}))

    def delete(self) -> None:
        self._kubectl("delete", "-n", self.namespace, "configmap", "feature-gates")


@pytest.fixture
def rules(kubectl: Kubectl, namespace: str) -> Rules:
    return Rules(kubectl, namespace)


@pytest.fixture
def place(cluster: Cluster, namespace: str, tmp_path: Path) -> Place:
    (tmp_path / "token").write_text(cluster.token(Role.APPLICATION) + "\n")
    return Place(cluster.url, namespace, "feature-gates", tmp_path / "token", cluster.ca_file)


class Connect(Protocol):
    def __call__(self, place: Place, **options: Any) -> Gates: ...


@pytest.fixture
def connect() -> Iterator[Connect]:
    opened = []

    def open_gates(place: Place, **options: Any) -> Gates:
        gates = Gates.from_cluster(
            place.namespace, url=place.url, token_file=place.token_file, ca_file=place.ca_file, **{"wait": 10, **options}
        )
        opened.append(gates)
        return gates

    yield open_gates
    for gates in opened:
        gates.close()


def serves(gates: Gates, variant: str) -> bool:
    return eventually(lambda: gates.variant("g", {"userId": "u"}, default="default") == variant)


class Counting(ClusterSource):
    """A source that counts its lists and watches."""

    def __init__(self, place: Place, *, watch_seconds: float = 60, first_version: str | None = None) -> None:
        super().__init__(place, watch_seconds=watch_seconds)
        self.lists, self.watched_from = 0, list[str]()
        self._first_version = first_version

    def _list(self, receiver: Any) -> str:
        self.lists += 1
        version, self._first_version = self._first_version or super()._list(receiver), None
        return version

    def _watch(self, receiver: Any, version: str) -> Iterator[str]:
        self.watched_from.append(version)
        return super()._watch(receiver, version)


class Held(Counting):
    """A source whose watches begin one by one, when they are let."""

    def __init__(self, place: Place, *, watch_seconds: float) -> None:
        super().__init__(place, watch_seconds=watch_seconds)
        self.let = threading.Semaphore(0)

    def _watch(self, receiver: Any, version: str) -> Any:
        self.watched_from.append(version)
        assert self.let.acquire(timeout=DEADLINE)
        return ClusterSource._watch(self, receiver, version)


def test_rules_are_there_when_the_constructor_returns_and_other_configmaps_are_not_read(
    rules: Rules, place: Place, connect: Connect
) -> None:
    rules.create(name="app-settings", **{"h.json": CONTROL})
    rules.create(**{"g.json": TREATMENT})
    gates = connect(place)
    assert gates.variant("g", default="default") == "treatment"
    assert gates.decide("h").reason is Reason.UNKNOWN_GATE


def test_a_patch_a_kill_and_its_end_are_obeyed(rules: Rules, place: Place, connect: Connect) -> None:
    rules.create(**{"g.json": CONTROL})
    gates = connect(place)
    rules.patch(**{"g.json": TREATMENT})
    assert serves(gates, "treatment")
    rules.patch(kill="g")
    assert eventually(lambda: gates.decide("g").reason is Reason.KILLED)
    rules.patch(kill=None)
    assert serves(gates, "treatment")
    rules.patch(**{"g.json": None})
    assert eventually(lambda: gates.decide("g").reason is Reason.UNKNOWN_GATE)


def test_a_deleted_configmap_leaves_the_last_good_rules_until_it_comes_back(
    rules: Rules, place: Place, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    rules.create(**{"g.json": CONTROL})
    gates = connect(place)
    with caplog.at_level(logging.WARNING):
        rules.delete()
        assert eventually(lambda: "last good" in caplog.text)
    assert gates.variant("g", {"userId": "u"}, default="default") == "control"
    rules.create(**{"g.json": TREATMENT})
    assert serves(gates, "treatment")


def test_a_configmap_that_does_not_exist_yet_is_the_default_until_it_does(rules: Rules, place: Place, connect: Connect) -> None:
    gates = connect(place, wait=0)
    assert gates.decide("g", default="default")[1:4] == (None, "default", Reason.ERROR)
    rules.create(**{"g.json": TREATMENT})
    assert serves(gates, "treatment")


def test_a_restarted_api_server_is_found_again(rules: Rules, place: Place, connect: Connect, cluster: Cluster) -> None:
    rules.create(**{"g.json": CONTROL})
    gates = connect(place)
    cluster.stop_api_server()
    try:
        assert gates.variant("g", {"userId": "u"}, default="default") == "control"
    finally:
        cluster.start_api_server()
    rules.patch(**{"g.json": TREATMENT})
    assert eventually(lambda: gates.variant("g", default="default") == "treatment", within=60)


def test_a_rotated_token_is_read_again(rules: Rules, place: Place, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    rules.create(**{"g.json": TREATMENT})
    assert place.token_file is not None
    valid = place.token_file.read_text()
    place.token_file.write_text("expired")
    with caplog.at_level(logging.WARNING):
        gates = connect(place, wait=0)
        assert eventually(lambda: "401" in caplog.text)
    assert gates.decide("g").reason is Reason.ERROR
    place.token_file.write_text(valid)
    assert serves(gates, "treatment")


def test_who_may_list_and_not_watch_is_told_so_once(
    kubectl: Kubectl, namespace: str, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    Rules(kubectl, namespace, access=ACCESS.replace("list, watch", "list")).create(**{"g.json": TREATMENT})
    source = Counting(place)
    with caplog.at_level(logging.INFO), Gates(source, wait=10) as gates:
        assert serves(gates, "treatment")
        listed = source.lists
        assert eventually(lambda: source.lists >= listed + 3)
    assert [each for each in caplog.messages if "403" in each or "well again" in each] == [
        f"rules in ConfigMap {namespace}/feature-gates: _RefusedError: 403 Forbidden"
    ]


def test_the_api_servers_certificate_is_checked(rules: Rules, place: Place, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    rules.create(**{"g.json": TREATMENT})
    with caplog.at_level(logging.WARNING):
        gates = Gates.from_cluster(place.namespace, url=place.url, token_file=place.token_file, wait=0)
        with closing(gates):
            assert eventually(lambda: "certificate verify failed" in caplog.text)
            assert gates.decide("g").reason is Reason.ERROR


def test_proxies_of_the_environment_are_not_used(rules: Rules, place: Place, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    rules.create(**{"g.json": TREATMENT})
    assert connect(place).variant("g", default="default") == "treatment"


def test_a_watch_that_the_server_ends_is_resumed_after_its_last_event_without_a_new_list(rules: Rules, place: Place) -> None:
    rules.create(**{"g.json": CONTROL})
    source = Held(place, watch_seconds=4)
    with Gates(source, wait=10) as gates:
        for watches, (text, variant) in enumerate([(TREATMENT, "treatment"), (CONTROL, "control")], start=1):
            assert eventually(lambda watches=watches: len(source.watched_from) == watches)
            rules.patch(**{"g.json": text})  # before the watch begins: however long kubectl takes, it is heard of in time
            source.let.release()
            assert serves(gates, variant)
        assert eventually(lambda: len(source.watched_from) == 3)
        assert (source.lists, len(set(source.watched_from))) == (1, 3)
        source.let.release()


def test_a_watch_that_ended_without_a_word_is_not_believed(rules: Rules, place: Place) -> None:
    rules.create(**{"g.json": CONTROL})
    source = Counting(place, watch_seconds=1)
    with Gates(source, wait=10) as gates:
        confirmed = gates._in_force._confirmed_at
        assert eventually(lambda: source.lists >= 2)
        assert eventually(lambda: gates._in_force._confirmed_at > confirmed)


def test_a_broken_connection_is_made_again(rules: Rules, place: Place, cluster: Cluster) -> None:
    rules.create(**{"g.json": CONTROL})
    with Relay(cluster.port) as relay:
        source = Counting(place._replace(url=f"https://127.0.0.1:{relay.port}"))
        with Gates(source, wait=10) as gates:
            rules.patch(**{"h.json": CONTROL})
            assert eventually(lambda: gates.decide("h").reason is not Reason.UNKNOWN_GATE)  # so the watch is open
            relay.cut()
            rules.patch(**{"g.json": TREATMENT})
            assert serves(gates, "treatment")


def test_a_version_that_is_gone_leads_to_a_new_list(rules: Rules, place: Place, cluster: Cluster) -> None:
    rules.create(**{"g.json": TREATMENT})
    cluster.restart_api_server()  # its watch cache begins again: version 1 is older than anything that it remembers
    source = Counting(place, first_version="1")
    with Gates(source, wait=10) as gates:
        assert serves(gates, "treatment")
    assert source.lists == 2
    assert source.watched_from[0] == "1"


def test_a_server_that_was_set_back_behind_our_version_is_listed_again(rules: Rules, place: Place) -> None:
    rules.create(**{"g.json": TREATMENT})
    source = Counting(place, watch_seconds=1, first_version="999999999")  # the real server accepts this watch, and says nothing
    with Gates(source, wait=0) as gates:
        assert serves(gates, "treatment")
    assert source.watched_from[0] == "999999999"


def test_a_stream_that_falls_silent_is_given_up(rules: Rules, place: Place, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE_MARGIN", 0.5)
    rules.create(**{"g.json": CONTROL})
    with Relay(cluster.port) as relay:
        source = Counting(place._replace(url=f"https://127.0.0.1:{relay.port}"), watch_seconds=3)
        with Gates(source, wait=10) as gates:
            rules.patch(**{"h.json": CONTROL})
            assert eventually(lambda: gates.decide("h").reason is not Reason.UNKNOWN_GATE)  # so the watch is open
            relay.freeze()
            rules.patch(**{"g.json": TREATMENT})
            assert serves(gates, "treatment")


class Heard:
    """A receiver that writes down what it hears."""

    def __init__(self) -> None:
        self.news: list[object] = []

    def deliver(self, keys: object) -> None:
        self.news.append(keys)

    def confirm(self) -> None:
        self.news.append("confirmed")


@pytest.mark.parametrize(
    ("kind", "data", "news"),
    [
        ("BOOKMARK", {}, "confirmed"),
        ("ADDED", {"data": {"format": "rampgate.dev/1"}}, {"format": b"rampgate.dev/1"}),
        ("MODIFIED", {"data": {"a": "ü"}, "binaryData": {"b": "/w=="}}, {"a": "ü".encode(), "b": b"\xff"}),
        ("MODIFIED", {}, {}),
        ("DELETED", {"data": {"format": "rampgate.dev/1"}}, {}),
    ],
)
def test_each_kind_of_event_is_taken_for_what_it_says(kind: str, data: dict[str, Any], news: object) -> None:
    heard = Heard()
    assert module._take({"type": kind, "object": {"metadata": {"resourceVersion": "7"}, **data}}, heard) == "7"
    assert heard.news == [news]


def test_close_ends_an_open_watch_at_once(rules: Rules, place: Place, connect: Connect) -> None:
    rules.create(**{"g.json": CONTROL})
    gates = connect(place)
    source = gates._source
    assert isinstance(source, ClusterSource)
    rules.patch(**{"h.json": CONTROL})
    assert eventually(lambda: gates.decide("h").reason is not Reason.UNKNOWN_GATE)  # so the watch is open
    gates.close()
    assert source._thread is not None
    assert not source._thread.is_alive()
    assert gates.variant("g", {"userId": "u"}, default="default") == "control"


def test_a_forked_process_watches_by_a_connection_of_its_own_and_the_parent_goes_on_with_its(
    rules: Rules, place: Place, connect: Connect
) -> None:
    rules.create(**{"g.json": CONTROL})
    gates = connect(place)
    _, saw = in_a_forked_process(lambda: serves(gates, "treatment"))
    rules.patch(**{"g.json": TREATMENT})
    assert saw()
    assert serves(gates, "treatment")
    rules.patch(**{"g.json": CONTROL})
    assert serves(gates, "control")


def test_a_server_that_is_not_there_holds_up_the_start_no_longer_than_told() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as never_accepts:
        url = f"http://127.0.0.1:{never_accepts.getsockname()[1]}"
        started = threading.Event()

        def start() -> None:
            with Gates.from_cluster("shop", url=url, wait=0.01) as gates:
                assert gates.decide("g", default=7)[1:4] == (None, 7, Reason.ERROR)
                started.set()

        thread = threading.Thread(target=start)
        thread.start()
        assert started.wait(20)
        thread.join()


def test_a_token_that_cannot_be_sent_is_not_quoted_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (file := tmp_path / "file").write_text("hush\nhush")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with Gates.from_cluster("shop", url=url, token_file=file, wait=0):
            assert eventually(lambda: "ValueError" in caplog.text)
    assert f"{file}: wanted a token on one line" in caplog.text
    assert "hush" not in caplog.text


def test_pauses_between_failures_double_up_to_half_a_minute() -> None:
    assert [longest_delay(failures) for failures in (1, 2, 3, 4, 5, 6, 7, 8, 10_000)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_inside_a_pod_everything_comes_from_the_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ACCOUNT", tmp_path)
    (tmp_path / "namespace").write_text("shop\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert locate(None, "feature-gates", url=None, token_file=None, ca_file=None) == Place(
        "https://10.96.0.1:6443", "shop", "feature-gates", tmp_path / "token", tmp_path / "ca.crt"
    )
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert locate("other", "gates", url=None, token_file="t", ca_file="c") == Place(
        "https://[fd00::1]:6443", "other", "gates", Path("t"), Path("c")
    )


def test_outside_a_pod_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError, match="pass url"):
        Gates.from_cluster("shop")
    with pytest.raises(ConfigurationError, match="pass namespace"):
        Gates.from_cluster(url="http://127.0.0.1:8001")
    with pytest.raises(ConfigurationError, match="http"):
        Gates.from_cluster("shop", url="127.0.0.1:8001")
    assert locate("shop", "gates", url="http://127.0.0.1:8001", token_file=None, ca_file=None)[3:] == (None, None)
