"""`rampgate serve`, as a person or a pod starts it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rampgate.rules import render_entry
from rampgate_operator.cli.serve import KeyFile, UsageError
from tests.sdk.ofrep_server import FLAGS, Asked
from tests.sdk.waiting import eventually
from tests.test_command import rampgate
from tests.test_evaluate import CONFIG_MAP, ENTRY
from tools.devcluster.loopback import free_port

CONTEXT = {"userId": "u-1"}


class Served(Asked):
    """A running command: where it listens, its process, and what it said first."""

    process: "subprocess.Popen[str]"
    said: str

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def serving(*arguments: str, listen: str = "127.0.0.1:0") -> Iterator[Served]:
    command = [sys.executable, "-m", "rampgate_operator", "serve", "--listen", listen, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said, port = "", None
            while port is None:
                line = process.stderr.readline()
                assert line, said
                said += line
                port = re.search(r"listening on http://\S+:(\d+)$", line.strip())
            served = Served(int(port[1]))
            served.process, served.said = process, said
            yield served
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "gates"
    folder.mkdir()
    (folder / "format").write_text("rampgate.dev/1")
    (folder / "new-checkout.json").write_text(render_entry(ENTRY))
    return folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_a_signal_and_then_ends_well(number: int, directory: Path) -> None:
    with serving("--rules", str(directory)) as server:
        answer = server.evaluate("new-checkout", CONTEXT)
        assert (answer.status, answer.fields["value"]) == (200, "new")
        assert server.request("GET", "/healthz").status == 200
        assert b"rampgate_ofrep_requests_total" in server.request("GET", "/metrics").body
        assert server.stop(number) == 0


def test_an_answer_under_way_is_given_before_it_ends(directory: Path) -> None:
    with serving("--rules", str(directory)) as server:
        head = b"POST /ofrep/v1/evaluate/flags/new-checkout HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection, connection.makefile("rb") as answer:
            connection.sendall(head + b"{")
            server.request("GET", "/healthz")  # so that the first one's beginning is there
            server.process.send_signal(signal.SIGTERM)
            assert eventually(lambda: refuses(server.port))
            connection.sendall(b"}")
            assert answer.readline().startswith(b"HTTP/1.1 200")
        assert server.process.wait(30) == 0


def test_a_header_without_end_ends_the_connection_and_bodies_may_still_be_long(directory: Path) -> None:
    with serving("--rules", str(directory)) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection, pytest.raises(ConnectionError):
            connection.sendall(b"POST / HTTP/1.1\r\nX: " + b"a" * 64 * 1_048_576)
        for _ in range(3):
            assert server.evaluate("new-checkout", {**CONTEXT, "long": "x" * 40_000}).status == 200


def test_trailers_without_end_end_the_connection(directory: Path) -> None:
    with serving("--rules", str(directory)) as server:
        head = f"POST {FLAGS} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection, connection.makefile("rb") as answer:
            connection.sendall(head + b"1\r\nx\r\n0\r\n")
            assert answer.readline().startswith(b"HTTP/1.1 415")  # without its body, which goes on
            with pytest.raises(ConnectionError):
                connection.sendall((b"X: " + b"a" * 1_018 + b"\r\n") * 64 * 1_024)  # more than all buffers on the way hold


def test_a_body_that_comes_in_one_piece_with_its_head_is_measured_by_its_own_limit(directory: Path) -> None:
    body = json.dumps({"context": {**CONTEXT, "long": "x" * 200_000}}).encode()
    head = f"POST {FLAGS}/new-checkout HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with (
        serving("--rules", str(directory), "--max-body", "1048576") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection,
        connection.makefile("rb") as answer,
    ):
        connection.sendall(head.encode() + body)
        assert answer.readline().startswith(b"HTTP/1.1 200 ")


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_change_of_the_rules_is_answered(directory: Path) -> None:
    with serving("--rules", str(directory)) as server:
        (directory / "kill").write_text("*")
        assert eventually(lambda: server.evaluate("new-checkout", CONTEXT).fields["reason"] == "DISABLED")


def test_rules_that_come_late_are_taken(tmp_path: Path) -> None:
    with serving("--rules", str(tmp_path), "--wait", "0") as server:
        assert server.request("GET", "/healthz").status == 503
        (tmp_path / "format").write_text("rampgate.dev/1")
        assert eventually(lambda: server.request("GET", "/healthz").status == 200)


def test_a_signal_while_it_waits_for_rules_ends_it_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rampgate_operator", "serve", "--listen", "127.0.0.1:0", "--rules", str(tmp_path), "--wait", "60"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert eventually(lambda: listens(process.pid))
        process.terminate()
        assert process.wait(30) == 0


def listens(pid: int) -> bool:
    """Whether a process has a socket: it takes its address before it waits."""
    with suppress(OSError):  # it opens and closes files while we look
        return any(str(each.readlink()).startswith("socket:") for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_it_serves_a_config_map_that_kubectl_printed(tmp_path: Path) -> None:
    file = tmp_path / "gates.json"
    data = {**CONFIG_MAP["data"], "second.json": render_entry({**ENTRY, "gate": "second"}), "kill": "second"}
    file.write_text(json.dumps({"kind": "ConfigMap", "data": data}))
    with serving("--config-map", str(file)) as server:
        assert [server.evaluate(gate, CONTEXT).fields["reason"] for gate in ("new-checkout", "second")] == ["SPLIT", "DISABLED"]


def test_a_key_file_is_read_again_when_it_changes(directory: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("first\n\n  second  \n")

    def opens(key: str) -> bool:
        return server.evaluate("new-checkout", CONTEXT, {"X-API-Key": key}).status == 200

    with serving("--rules", str(directory), "--api-key-file", str(keys)) as server:
        assert [opens(key) for key in ("first", "second", "third", "")] == [True, True, False, False]
        (tmp_path / "new").write_text("third\n")
        (tmp_path / "new").rename(keys)
        assert [opens(key) for key in ("first", "third")] == [False, True]


def test_keys_stay_while_their_file_is_away_and_none_opens_when_it_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first")
    keys = KeyFile(file)
    file.unlink()
    assert keys() == ("first",)
    file.write_text("")
    assert keys() == ()


def test_a_key_file_that_is_away_is_a_line_in_the_log_and_not_one_for_each_question(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys"
    file.write_text("first")
    keys = KeyFile(file)
    file.unlink()
    assert [keys() for _ in range(3)] == [("first",)] * 3
    file.write_text("second")
    assert keys() == ("second",)
    file.unlink()
    keys()
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


def test_a_key_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="no UTF-8"):
        KeyFile(tmp_path / "keys")


@pytest.mark.parametrize(
    ("listen", "keys", "is_warned"),
    [("127.0.0.1:0", False, False), (":0", False, True), ("0.0.0.0:0", True, False)],
)
def test_it_warns_when_everybody_may_ask(listen: str, keys: bool, is_warned: bool, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("key")
    options = ["--api-key-file", str(tmp_path / "keys")] if keys else []
    with serving("--rules", str(directory), *options, listen=listen) as server:
        assert server.stop() == 0
        assert server.process.stderr is not None
        assert ("EVERYBODY" in server.said + server.process.stderr.read()) == is_warned


def test_limits_are_obeyed(directory: Path) -> None:
    (directory / "second.json").write_text(render_entry({**ENTRY, "gate": "second"}))
    limits = ["--max-body", "100", "--max-context", "2", "--max-depth", "2", "--max-bulk", "1"]
    with serving("--rules", str(directory), *limits) as server:
        contexts: list[object] = [{"a": "x" * 100}, {"a": 1, "b": 2, "c": 3}, {"a": {"b": {}}}, {"a": [1]}]
        assert [server.evaluate("new-checkout", context).status for context in contexts] == [413, 400, 400, 200]
        assert server.evaluate().status == 400


@pytest.mark.parametrize(
    ("sentence", "arguments", "said"),
    [
        ("no rules named", [], "one of the arguments --rules --namespace/-n --config-map is required"),
        ("no such directory", ["--rules", "nowhere"], "nowhere: there is no such directory"),
        ("no such file", ["--config-map", "nowhere.json"], "nowhere.json: there is no such file"),
        ("a name without a namespace", ["--rules", ".", "--name", "gates"], "--name goes with --namespace"),
        ("outside a cluster", ["--namespace", "shop"], "--namespace is for a pod"),
        ("no key file", ["--rules", ".", "--api-key-file", "nowhere"], "nowhere: No such file or directory"),
        ("an empty key file", ["--rules", ".", "--api-key-file", os.devnull], "wanted one API key a line, found none"),
        ("no port", ["--rules", ".", "--listen", "localhost"], "cannot listen on localhost: wanted HOST:PORT"),
        ("a port that is none", ["--rules", ".", "--listen", "127.0.0.1:70000"], "wanted HOST:PORT"),
        ("another's address", ["--rules", ".", "--listen", "192.0.2.1:0"], "cannot listen on 192.0.2.1:0: "),
        ("a limit of nothing", ["--rules", ".", "--max-body", "0"], "argument --max-body"),
    ],
)
def test_what_cannot_be_tried_is_exit_status_2_and_says_why(
    sentence: str, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    refused = rampgate("serve", "--listen", "127.0.0.1:0", *arguments)
    assert (refused.returncode, said in refused.stderr, "Traceback" in refused.stderr) == (2, True, False), (sentence, refused.stderr)


def test_an_address_that_is_taken_is_exit_status_2(directory: Path) -> None:
    with serving("--rules", str(directory)) as server:
        refused = rampgate("serve", "--rules", str(directory), "--listen", f"127.0.0.1:{server.port}")
    assert (refused.returncode, "Address already in use" in refused.stderr) == (2, True)


def test_without_its_extra_it_says_what_to_install(directory: Path) -> None:
    arguments = ["serve", "--rules", str(directory)]
    script = f"import sys; sys.modules['uvicorn'] = None; from rampgate_operator.__main__ import main; sys.exit(main({arguments!r}))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, "pip install '.[server]'" in ended.stderr) == (3, True)


def test_it_needs_nothing_of_the_operators_extra(directory: Path) -> None:
    port = free_port()
    missing = ("kopf", "kubernetes", "pydantic", "yaml", "aiohttp", "pythonjsonlogger")
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in missing)
    arguments = ["serve", "--rules", str(directory), "--listen", f"127.0.0.1:{port}"]
    script = f"import sys; {blocked}; from rampgate_operator.__main__ import main; sys.exit(main({arguments!r}))"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "listening" in process.stderr.readline()
        assert Asked(port).evaluate("new-checkout", CONTEXT).status == 200
        process.terminate()
        assert process.wait(30) == 0
