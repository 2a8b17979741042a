"""What was seen: the gate's entry and its ConfigMap, the readings that came in, the time. Values only; gathering them is reconcile.py's."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeAlias

from rampgate.errors import UnusableEntryError
from rampgate.rules import parse_entry, render_entry
from rampgate.snapshot import ENTRY_SUFFIX as KEY_SUFFIX
from rampgate.snapshot import FORMAT_KEY, KILL_KEY
from rampgate.snapshot import FORMAT_VALUE as FORMAT
from rampgate_operator.core.looks import Answer, Exposed
from rampgate_operator.core.reasons import Reason
from rampgate_operator.core.remember import remember

__all__ = [  # the names on the wire are the SDK's
    "FORMAT",
    "FORMAT_KEY",
    "KEY_SUFFIX",
    "KILL_KEY",
]
RULES_LABEL = "rampgate.dev/rules"
"""On every ConfigMap of ours, for the watch alone; whose it is, the key `format` says."""
LARGEST_NUMBER = 2**52
"""Half of what JSON numbers are good for (RFC 8259 §6): a generation that was forged at the limit must leave room to rise above it."""
MOST_REMEMBERED = 8 * 1024**2
"""Characters of entries: of some ten thousand, as they are. What is read from one may take twenty times its characters."""
ROOM = 900 * 1024
"""Bytes that all keys of one ConfigMap may take together; the API server refuses 1 MiB."""


class Ownership(StrEnum):
    """Whose ConfigMap it is."""

    ABSENT = "Absent"
    OURS = "Ours"
    FOREIGN = "Foreign"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A gate's entry as it stands in the ConfigMap; `content` is its JSON without the generation."""

    line: str
    generation: int
    content: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, kw_only=True)
class RulesSeen:
    """The ConfigMap as one gate sees it."""

    ownership: Ownership
    entry: Entry | None = None
    line: str | None = None
    """The raw value of the gate's key; there even when it cannot be read as an entry."""
    room: int = ROOM
    """Bytes that this gate's entry may take beside its neighbours."""
    break_glass: bool = False
    """Whether the key `kill` names this gate."""
    floor: int = 0
    """The generation that the gate's entry last had before it was removed: a new one must be higher."""
    refusal: str = ""
    """Why the last write for this gate failed; empty once one has succeeded."""
    immutable: bool = False
    """Whether somebody made the ConfigMap immutable: no key of it can be changed, by whomever."""


@dataclass(frozen=True, kw_only=True)
class FlagdSeen:
    """What the flagd document says of one gate; `reason` is None while that is not known yet."""

    reason: Reason | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the reason's sentence wants."""


@dataclass(frozen=True, kw_only=True)
class NudgeRefused:
    """That pods cannot be told of changes at once: the operator may not `verb` pods, for want of a right or by admission."""

    config_map: str
    verb: str
    why: str = field(default="", compare=False)
    """The API server's sentence. The next one names another pod, and is no news."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """The answers to one look at one guardrail.

    Of a query by treatment, the treatment "" when it names none; of counters by counter, `events` and `total`.
    """

    guardrail: str
    digest: str
    """Of the guardrail's definition that was asked: answers to an older one are void."""
    attempt: int
    at: datetime
    reads_from: datetime
    """How far back the query reaches; where the window of counters begins."""
    answers: Mapping[str, Answer]
    counted_to: datetime | None = None
    """Where the window of counters ends."""
    measures: bool = False
    """Whether dispersion is to be measured by it: then its windows lie before what is compared, and are no evidence."""


@dataclass(frozen=True, kw_only=True)
class ExposureLook:
    """First exposures by variant in `(since, until]`."""

    since: datetime
    until: datetime
    answer: Answer
    cuts: tuple[datetime, ...] = ()
    """Where one window ends and the next begins."""

    @property
    def windows(self) -> tuple[tuple[datetime, datetime], ...]:
        """Each window's beginning, exclusive, and end."""
        return tuple(pairwise((self.since, *self.cuts, self.until)))

    @property
    def processes(self) -> float:
        """How many counted, each every unit once; 1 when that is not known."""
        return max(1.0, self.answer.processes) if isinstance(self.answer, Exposed) else 1.0


@dataclass(frozen=True, kw_only=True)
class PodsLook:
    """How many pods run the rules of a generation."""

    generation: int
    answer: Answer


Reading: TypeAlias = Look | ExposureLook | PodsLook


@dataclass(frozen=True, kw_only=True)
class Observation:
    """All that a decision may depend on beside the Experiment and its status."""

    now: datetime
    rules: RulesSeen
    looks: tuple[Look, ...] = ()
    exposures: tuple[ExposureLook, ...] = ()
    pods: PodsLook | None = None
    flagd: FlagdSeen | None = None
    """None when no flagd documents are rendered."""
    nudge_refused: NudgeRefused | None = None
    """None while nothing stands in the way of telling pods."""
    nudge_known: bool = True
    """Whether it is known if something does; False of a process that has begun and has not told them yet."""


@remember(characters=MOST_REMEMBERED)
def read_entry(line: str | None, gate: str) -> Entry | None:
    """Read a gate's entry; None when there is none, or none that its frozen fields (design §6) can be read from, as in every SDK.

    Remembered, for every decision reads the same line again.
    """
    try:
        numbers = parse_entry(line or "", gate=gate)
    except UnusableEntryError:
        return None
    if max(numbers.generation, numbers.attempt) > LARGEST_NUMBER:
        return None
    content = json.loads(line or "")
    generation = content.pop("generation")
    try:
        return Entry(line=line or "", generation=generation, content=content, digest=digest(content))
    except (ValueError, RecursionError):  # an infinity, or a field that nests without end: written by hand
        return None


def digest(value: object) -> str:
    """Give a short digest of a JSON value, by which a change is noticed."""
    return hashlib.sha256(render_entry(value).encode()).hexdigest()[:16]


def see_rules(config_map: Mapping[str, Any] | None, gate: str) -> RulesSeen:
    """See one gate's part of a ConfigMap; None when there is no such ConfigMap."""
    if config_map is None:
        return RulesSeen(ownership=Ownership.ABSENT)
    data: Mapping[str, str] = config_map.get("data") or {}
    if data.get(FORMAT_KEY) != FORMAT:
        return RulesSeen(ownership=Ownership.FOREIGN)
    key = gate + KEY_SUFFIX
    values = {**data, **(config_map.get("binaryData") or {})}  # base64: rather too large than too small
    others = sum(len(name.encode()) + len(value.encode()) for name, value in values.items() if name != key)
    named = kill_key(config_map).replace(",", " ").split()
    return RulesSeen(
        ownership=Ownership.OURS,
        entry=read_entry(data.get(key), gate),
        line=data.get(key),
        room=ROOM - others - len(key.encode()),
        break_glass=gate in named or "*" in named,
        immutable=config_map.get("immutable") is True,
    )


def kill_key(config_map: Mapping[str, Any]) -> str:
    """Give what the key `kill` says; `kubectl create configmap --from-file` puts it under binaryData when it is no UTF-8."""
    encoded = (config_map.get("binaryData") or {}).get(KILL_KEY)
    return (config_map.get("data") or {}).get(KILL_KEY, "") if encoded is None else base64.b64decode(encoded).decode(errors="replace")
