"""A real Prometheus on a free port, of loopback unless pods are to reach it, that takes new targets while it runs.

Knows Prometheus' flags and its file-based discovery. Must not know what the targets measure.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tools.devcluster.binaries import require
from tools.devcluster.loopback import HOST, answers, free_port
from tools.devcluster.server import Server

_HONORED = "__honor_labels"
"""A target's label by which it is scraped so; Prometheus drops what begins like that."""


class Prometheus:
    """A running Prometheus. Use it as a context manager, or call `stop`; it ends with this process at the latest."""

    def __init__(self, directory: Path, *, temporary: bool, scrape_interval: float, host: str) -> None:
        self.directory = directory
        self.host = host
        self.port = free_port()
        self._temporary = temporary
        self.targets = directory / "targets"
        shutil.rmtree(self.targets, ignore_errors=True)
        self.targets.mkdir(parents=True)
        self._wipe()
        self._configuration = directory / "prometheus.yaml"
        self._configuration.write_text(json.dumps(_configuration(self.targets, scrape_interval), indent=2) + "\n")
        self._server = Server("prometheus", self._command(), log=directory / "log", remove=directory if temporary else None)

    @classmethod
    def launch(cls, directory: Path | None = None, *, scrape_interval: float = 1.0, host: str = HOST) -> Self:
        """Start one without targets and without data, and wait until it is ready.

        Its files go to `directory` and stay there, else to a temporary one that goes with it. `scrape_interval` is in seconds,
        `host` the address of this machine that it listens on.
        Raises BinaryMissingError when Prometheus is not built, ServerError with the end of its log when it does not come up.
        """
        place = directory or Path(tempfile.mkdtemp(prefix="rampgate-prometheus-"))
        prometheus = cls(place, temporary=directory is None, scrape_interval=scrape_interval, host=host)
        try:
            prometheus.start()
        except BaseException:
            prometheus.close()
            raise
        return prometheus

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT unless another host was named; the same after a restart."""
        return f"http://{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._server.running

    @property
    def pid(self) -> int | None:
        """A process with which it ends; None when it is stopped."""
        return self._server.pid

    def add_target(self, job: str, address: str, labels: Mapping[str, str] | None = None, *, honor_labels: bool = False) -> None:
        """Scrape `http://ADDRESS/metrics` from now on (first within about a second), also after a restart.

        `address` is host:port. `labels` go on every series of the target; `namespace` is the one guardrails are confined by.
        With `honor_labels` those that it exports itself win, as an operator's must.
        The same job and address again replaces the labels.
        """
        honored = {_HONORED: "true"} if honor_labels else {}
        document = [{"targets": [address], "labels": {"job": job, **(labels or {}), **honored}}]
        path = self._target_file(job, address)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(document))
        partial.rename(path)  # discovery must never read half a file

    def remove_target(self, job: str, address: str) -> None:
        """Stop scraping it; its series become stale."""
        self._target_file(job, address).unlink(missing_ok=True)

    def start(self, *, wipe: bool = False) -> None:
        """Bring it (back) on the same port with the same targets, with `wipe` without its former data; returns when it is ready."""
        if wipe:
            self._wipe()
        self._server.start(lambda: answers(f"{self.url}/-/ready"))

    def stop(self) -> None:
        """Take it away; data and targets stay for `start`."""
        self._server.stop()

    def close(self) -> None:
        """Stop it for good: a temporary directory goes too."""
        self.stop()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wipe(self) -> None:
        shutil.rmtree(self.directory / "data", ignore_errors=True)

    def _target_file(self, job: str, address: str) -> Path:
        return self.targets / f"{hashlib.sha256(f'{job} {address}'.encode()).hexdigest()[:16]}.json"

    def _command(self) -> list[str | Path]:
        return [
            require("prometheus"),
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={self.host}:{self.port}",
            "--storage.tsdb.retention.time=1d",
            "--storage.tsdb.no-lockfile",  # after a kill the lock of a dead process must not keep the next one from its data
            "--scrape.discovery-reload-interval=100ms",  # else a new target waits 5 s
            "--log.level=warn",
        ]


def _configuration(targets: Path, scrape_interval: float) -> dict[str, object]:
    """Everything comes by file discovery: a target's own `job` label replaces the job's name."""
    interval = f"{round(scrape_interval * 1000)}ms"
    found = [{"files": [str(targets / "*.json")], "refresh_interval": "1s"}]

    def scrape(name: str, action: str, **options: bool) -> dict[str, object]:
        chosen = [{"source_labels": [_HONORED], "regex": "true", "action": action}]
        return {"job_name": name, "file_sd_configs": found, "relabel_configs": chosen, **options}

    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": "1m"},
        "scrape_configs": [scrape("devcluster", "drop"), scrape("devcluster-honored", "keep", honor_labels=True)],
    }
