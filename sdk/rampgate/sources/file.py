"""Rules from one file: a ConfigMap as `kubectl get configmap NAME -o json` prints it. For development, and for what is no cluster.

Knows how a file that changed is told from one that did not. Must not know what keys mean.
"""

import json
import os
from binascii import a2b_base64
from pathlib import Path
from stat import S_ISREG

from rampgate.pulse import Pulse
from rampgate.snapshot import Keys
from rampgate.sources import Receiver
from rampgate.trouble import Trouble

INTERVAL = 0.05
"""Seconds between looks: half of the 100 ms within which a change is promised to be seen."""

_LARGEST_FILE = 16 * 1024 * 1024  # a ConfigMap holds 1 MiB; JSON may escape each byte of it


class FileSource:
    """Looks every `interval` seconds from a daemon thread; what is no ConfigMap is tried again, and the last good rules stay."""

    def __init__(self, path: str | os.PathLike[str], *, interval: float = INTERVAL) -> None:
        self._path = Path(path)
        self._pulse = Pulse("rampgate-file", self._look, seconds=interval, trouble=Trouble(f"rules in {self._path}"))
        self._receiver: Receiver | None = None
        self._seen: tuple[int, ...] | None = None

    def start(self, receiver: Receiver) -> None:
        """Begin to look."""
        self._receiver = receiver
        self._pulse.start()

    def start_in_child(self) -> None:
        """Begin to look again, as if nothing had been seen."""
        self._seen = None
        self._pulse.start()

    def close(self) -> None:
        """Stop looking and wait for the thread to end."""
        self._pulse.close()

    def _look(self) -> None:
        """Deliver if the file is not the one last seen; what is no ConfigMap is looked at again, for it may be half-written."""
        assert self._receiver is not None
        status = self._path.stat()
        if not S_ISREG(status.st_mode):  # to open a pipe would be to wait for ever
            raise OSError("it is no regular file")
        version = status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size  # as in directory.py
        if version == self._seen:
            self._receiver.confirm()
            return
        with self._path.open("rb") as file:
            keys = read_config_map(file.read(_LARGEST_FILE))
        self._receiver.deliver(keys)
        self._seen = version


def read_config_map(text: bytes) -> Keys:
    """Read a ConfigMap's keys from its JSON. Raises ValueError when it is none; the message says what a ConfigMap looks like."""
    try:
        fields = json.loads(text)
        texts, blobs = fields.get("data") or {}, fields.get("binaryData") or {}  # binaryData: where kubectl puts what is no UTF-8
        keys = {key: text.encode("utf-8", "surrogatepass") for key, text in texts.items()}
        return keys | {key: a2b_base64(blob) for key, blob in blobs.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no ConfigMap as `kubectl get configmap NAME -o json` prints it: {error}") from None
