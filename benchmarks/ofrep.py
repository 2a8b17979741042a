"""How many OFREP requests `rampgate serve` answers: `python -m benchmarks.ofrep` prints one JSON object.

Single evaluations over kept connections from this process, against the command as anybody would run it, with metrics and an API key.
`ofrep_requests_per_s` is per second of the server's processor time (user and system), which neighbours on a busy machine do not change;
`wall_requests_per_s` is by the clock, with this client on another core and likely to be the slower of the two.
"""

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.scale import cpu_seconds
from rampgate.rules import render_entry
from tools.devcluster.loopback import free_port

CONNECTIONS, REQUESTS, ROUNDS, GATES = 16, 20_000, 3, 100
KEY = "benchmark"
ENTRY = {
    "attempt": 1,
    "control": {"name": "control", "value": False},
    "eligibility": [{"attribute": "country", "in": ["US", "CA"]}, {"attribute": "plan", "in": ["pro"]}],
    "format": 1,
    "generation": 1,
    "hashInput": "UTF8",
    "percent": 30,
    "salt": "shop/new-checkout",
    "unit": "targetingKey",
    "variants": [{"name": "control", "value": False, "weight": 1}, {"name": "treatment", "value": True, "weight": 1}],
}


def request(number: int, path: str) -> bytes:
    """One request, as a client library would send it."""
    context = {"targetingKey": f"user-{number % 1000}", "country": ("US", "CA", "DE")[number % 3], "plan": "pro" if number % 10 else "free"}
    body = json.dumps({"context": context}).encode()
    headers = {"Host": "localhost", "Content-Type": "application/json", "X-API-Key": KEY, "Content-Length": str(len(body))}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


async def ask(port: int, requests: list[bytes]) -> None:
    """Send these over one connection, each after the last one's answer; raises when one is not answered with 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with closing(writer):
        for each in requests:
            writer.write(each)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = head.lower().partition(b"content-length:")[2].partition(b"\r")[0]
            await reader.readexactly(int(length))


async def load(port: int, count: int, path: str) -> None:
    """Ask `count` times, over all connections at once."""
    requests = [request(number, path) for number in range(count)]
    await asyncio.gather(*(ask(port, requests[connection::CONNECTIONS]) for connection in range(CONNECTIONS)))


def measure(port: int, pid: int, *, path: str, count: int) -> tuple[float, float]:
    """The best of some rounds, per second of processor time and of the clock."""
    asyncio.run(load(port, count // 10, path))
    rates = []
    for _ in range(ROUNDS):
        used, began = cpu_seconds(pid), time.perf_counter()
        asyncio.run(load(port, count, path))
        took, used = time.perf_counter() - began, cpu_seconds(pid) - used
        rates.append((count / used, count / took))
    return max(rate for rate, _ in rates), max(rate for _, rate in rates)


def main() -> None:
    """Start the server, load it, print."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(GATES):
            gate = f"gate-{number}"
            (Path(folder) / f"{gate}.json").write_text(render_entry({**ENTRY, "gate": gate}))
        (Path(folder) / "format").write_text("rampgate.dev/1")
        (Path(folder) / "keys").write_text(KEY)
        command = ["serve", "--rules", folder, "--listen", f"127.0.0.1:{port}", "--api-key-file", f"{folder}/keys"]
        whole = [sys.executable, "-m", "rampgate_operator", *command]
        with subprocess.Popen(whole, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own command
            assert server.stderr is not None
            server.stderr.readline()  # that it listens
            try:
                single, wall = measure(port, server.pid, path="/ofrep/v1/evaluate/flags/gate-1", count=REQUESTS)
                bulk, _ = measure(port, server.pid, path="/ofrep/v1/evaluate/flags", count=REQUESTS // 20)
            finally:
                server.send_signal(signal.SIGTERM)
    figures = {"ofrep_requests_per_s": single, "wall_requests_per_s": wall, f"ofrep_bulk_of_{GATES}_per_s": bulk}
    sys.stdout.write(json.dumps({name: round(value) for name, value in figures.items()}) + "\n")


if __name__ == "__main__":
    main()
