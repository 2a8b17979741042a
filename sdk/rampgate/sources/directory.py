"""Rules from a directory: a mounted ConfigMap, or plain files with the same names.

Knows how the kubelet swaps a volume: it writes a new directory, then renames the symlink `..data` onto it, so that all keys change at once.
Reading the link tells cheaply whether anything changed, and reading below its target gives keys of one moment. inotify would not do: a
watch on a file ends with the old inode. Must not know what keys mean.
"""

import os
from collections.abc import Collection
from pathlib import Path

from rampgate.pulse import Pulse
from rampgate.sharing import sharing
from rampgate.snapshot import ENTRY_SUFFIX, FORMAT_KEY, KILL_KEY, Keys, is_rules_key
from rampgate.sources import Receiver
from rampgate.trouble import Trouble

INTERVAL = 0.05
"""Seconds between looks: half of the 100 ms within which a change is promised to be seen."""

_DATA = "..data"
_MANY = 50  # fewer files are read at once
_READ_AT_ONCE = 64 * 1024
_LARGEST_FILE = 2 * 1024 * 1024  # a ConfigMap holds 1 MiB

Version = tuple[object, ...]


class DirectorySource:
    """Looks every `interval` seconds from a daemon thread; what cannot be read is tried again, and the last good rules stay."""

    def __init__(self, path: str | os.PathLike[str], *, interval: float = INTERVAL) -> None:
        self._root = Path(path)
        self._pulse = Pulse("rampgate-directory", self._look, seconds=interval, trouble=Trouble(f"rules in {self._root}"))
        self._receiver: Receiver | None = None
        self._seen: Version | None = None
        self._last: Keys = {}

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
        """Deliver if the directory's version is not the one last seen."""
        assert self._receiver is not None
        version = _version(self._root)
        if version == self._seen:
            self._receiver.confirm()
            return
        with sharing:
            self._read(version, self._receiver)

    def _read(self, version: Version, receiver: Receiver) -> None:
        self._deliver_what_is_wanted(version, receiver)
        unreadable: list[OSError] = []
        keys = read_keys(self._root, self._last, unreadable)
        if _version(self._root) == version:  # else it changed while it was read: what was read may be of two moments
            receiver.deliver(keys)
            self._last = keys
            if unreadable:  # try again, and say so meanwhile
                raise unreadable[0]
            self._seen = version

    def _deliver_what_is_wanted(self, version: Version, receiver: Receiver) -> None:
        """Deliver a change of the gates that the application asks for before all others are read: of thousands, they are few."""
        urgent = {FORMAT_KEY, KILL_KEY, *(gate + ENTRY_SUFFIX for gate in receiver.wanted())}
        if len(self._last) < _MANY or len(urgent) > len(self._last) // 2:
            return
        rest = {key: raw for key, raw in self._last.items() if key not in urgent}
        keys = read_keys(self._root, self._last, [], only=urgent)
        if _version(self._root) == version:
            receiver.deliver({**rest, **keys})


def _current(root: Path) -> Path:
    """Directory that holds the files of this moment: the target of `..data`, or the root of a plain directory."""
    try:
        return root / (root / _DATA).readlink()
    except OSError:
        return root


def _version(root: Path) -> Version:
    current = _current(root)
    if current != root:
        status = current.stat()  # a volume that was mounted anew may use a name again
        return current, status.st_ino, status.st_mtime_ns
    with os.scandir(root) as entries:
        return tuple(sorted(version for entry in entries if is_rules_key(entry.name) and (version := _file_version(entry))))


def _file_version(entry: os.DirEntry[str]) -> tuple[str, int, int, int, int] | None:
    """Give what changes with a file's content; None for what is no file, such as a link that leads nowhere: it harms no other key.

    Of its times, the one that nobody can set too: who unpacks an archive may keep the other, and entries change without changing in length.
    """
    try:
        status = entry.stat()
    except OSError:
        return None
    return entry.name, status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _read(path: str) -> bytes:
    """Read a file by its descriptor: there may be thousands, and a file object costs five times the reading."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = b""
        while len(data) < _LARGEST_FILE and (more := os.read(file, _READ_AT_ONCE)):
            data += more
        return data
    finally:
        os.close(file)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def read_keys(root: Path, last: Keys | None = None, unreadable: list[OSError] | None = None, *, only: Collection[str] = ()) -> Keys:
    """Read what a directory holds at this moment. Raises OSError.

    With `unreadable`, a file that cannot be read is noted there, and has the bytes that it has in `last`: it harms no other key.
    With `only`, no other files are read.
    """
    keys = {}
    with os.scandir(_current(root)) as entries:
        for entry in entries:
            if (entry.name in only if only else is_rules_key(entry.name)) and _is_file(entry):
                try:
                    keys[entry.name] = _read(entry.path)
                except OSError as error:
                    if unreadable is None:
                        raise
                    unreadable.append(error)
                    keys[entry.name] = (last or {}).get(entry.name, b"")
    return keys
