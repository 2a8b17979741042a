"""All gates of one ConfigMap at one moment, and how the next moment follows from its keys.

Knows the keys (`<gate>.json`, `format`, `kill`) and the rule that trouble never takes good rules away.
Must not know sources, threads, clocks or metrics: `advance` is a pure function of the last snapshot and the keys that a source delivered.
"""

from collections.abc import Mapping
from typing import NamedTuple

from rampgate.decision import Label
from rampgate.errors import UnusableEntryError
from rampgate.rules import is_unicode, parse_entry

FORMAT_KEY = "format"
FORMAT_VALUE = "rampgate.dev/1"
KILL_KEY = "kill"
ENTRY_SUFFIX = ".json"

Keys = Mapping[str, bytes]
"""A ConfigMap's data: key to bytes."""


class Loaded(NamedTuple):
    """One gate: the bytes last seen, those last understood (None: never) and what is wrong with the former; whether `kill` names it.

    `generation` and `labels` are of the bytes understood; labels are those of everything that can be drawn: the arms and the baseline.
    Neither the entry nor what is compiled of it is kept here: a process asks for few of the gates that it has, and thousands of small
    objects would make its garbage collector stop it.
    """

    raw: bytes
    good: bytes | None
    problem: str
    killed: bool
    generation: int = 0
    labels: tuple[str, ...] = ()


class Snapshot(NamedTuple):
    """Immutable; evaluations hold one reference to it. `ready` is False until a source delivered rules for the first time.

    `changed` are the gates that appeared, went, or answer by other rules than in the snapshot before; `problems` says in one line what is
    wrong with entries, and is empty when nothing is.
    """

    gates: Mapping[str, Loaded] = {}
    ready: bool = False
    changed: frozenset[str] = frozenset()
    problems: str = ""


EMPTY = Snapshot()


def is_rules_key(key: str) -> bool:
    """Whether a key of this name means anything here."""
    return key in (FORMAT_KEY, KILL_KEY) or key.endswith(ENTRY_SUFFIX)


def is_ours(keys: Keys) -> bool:
    """Whether these are a ConfigMap of rules: what tells an empty set of gates from a wrong or missing mount."""
    return keys.get(FORMAT_KEY, b"").strip() == FORMAT_VALUE.encode()


def advance(last: Snapshot, keys: Keys) -> Snapshot:
    """Return the snapshot that `keys` make of the last one; the last one itself when nothing changed or `format` does not fit.

    A gate whose key is gone is gone; a gate whose bytes are no entry stays as it was; a gate whose bytes are the same is not parsed again.
    """
    if not is_ours(keys):
        return last
    kill = frozenset(keys.get(KILL_KEY, b"").decode(errors="replace").replace(",", " ").split())
    gates, changed, problems = {}, set(last.gates), []
    for key, raw in keys.items():
        gate = key.removesuffix(ENTRY_SUFFIX)
        if gate in ("", key) or not is_unicode(gate):  # a file may have a name that no entry, and no metric, can have
            continue
        before = last.gates.get(gate)
        loaded = gates[gate] = _load(before, raw, gate=gate, killed="*" in kill or gate in kill)
        if loaded is before:
            changed.discard(gate)
        else:
            changed.add(gate)
        if loaded.problem:
            problems.append(f"gate {gate}: {loaded.problem}")
    if last.ready and not changed:
        return last
    return Snapshot(gates, ready=True, changed=frozenset(changed), problems="; ".join(sorted(problems)))


def _load(last: Loaded | None, raw: bytes, *, gate: str, killed: bool) -> Loaded:
    if last is not None and last.raw == raw:
        return last if last.killed == killed else last._replace(killed=killed)
    try:
        entry = parse_entry(raw, gate=gate)
    except UnusableEntryError as error:
        known = last or Loaded(raw, None, "", killed)
        return known._replace(raw=raw, problem=str(error), killed=killed)
    labels = (*(variant.name for variant in entry.rule.variants), Label.BASELINE.value) if entry.rule else ()
    return Loaded(raw, raw, entry.problem, killed, entry.generation, labels)
