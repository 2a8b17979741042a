"""Whether a change of a ConfigMap must reach pods at once: what it makes of the gates' exposure.

The kubelet refreshes a mount about once a minute; pods that are nudged are refreshed at once (design §8).
Knows two versions of a ConfigMap, with rules or with what flagd reads. Must not know pods, or how they are told.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, KEY_SUFFIX, kill_key, read_entry

GATES_LABEL = "rampgate.dev/gates"
"""On pods that mount a ConfigMap with rules: its name."""
RULES_ANNOTATION = "rampgate.dev/rules"
"""On the same pods: the resourceVersion of that ConfigMap that they were told of last."""
ConfigMap = Mapping[str, Any]


class Urgency(StrEnum):
    """How soon pods must be told."""

    NOW = "Now"
    """Somebody is put back on control: before everything else."""
    SOON = "Soon"
    """Exposure may fall in another way, or a step's clock waits for them."""


def urgency_of(before: ConfigMap, after: ConfigMap, *, is_awaited: Callable[[str], bool] = lambda _gate: False) -> Urgency | None:
    """Say how soon pods must be told of a change; None when it does nothing but raise a percentage, which may take its time.

    `is_awaited` tells of a gate whether its steps wait until pods run them. Of a document for flagd every change is told.
    """
    if is_for_flagd(after):
        return _urgency_of_document(before, after)
    if not is_ours(after):
        return None
    if not _killed(after) <= _killed(before):
        return Urgency.NOW
    old, new = _lines(before), _lines(after)
    changed = {gate for gate in old.keys() | new.keys() if old.get(gate) != new.get(gate)}
    found = {_urgency_of_entry(gate, old.get(gate), new.get(gate)) or (Urgency.SOON if is_awaited(gate) else None) for gate in changed}
    if _killed(before) - _killed(after):  # a step's clock begins anew with it, and no generation tells when pods know
        found.add(Urgency.SOON)
    return next((each for each in Urgency if each in found), None)


def changed_at(config_map: ConfigMap) -> datetime | None:
    """Say when a ConfigMap was last written, by its managed fields; None when it does not say."""
    times = (_read_time(each.get("time") or "") for each in config_map["metadata"].get("managedFields") or ())
    return max((time for time in times if time is not None), default=None)


def is_ours(config_map: ConfigMap) -> bool:
    """Tell whether it holds rules, and not a document for flagd or something of somebody else."""
    return _data(config_map).get(FORMAT_KEY) == FORMAT


def is_for_flagd(config_map: ConfigMap) -> bool:
    """Tell whether it holds a document for flagd."""
    return _data(config_map).get(FORMAT_KEY) == FLAGD_FORMAT


def _read_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # it is anybody's to write, and a year 0 is none for Python
        return None


def _urgency_of_document(before: ConfigMap, after: ConfigMap) -> Urgency | None:
    if _data(before) == _data(after):
        return None
    return Urgency.SOON if _on_control(after) <= _on_control(before) else Urgency.NOW


def _on_control(document: ConfigMap) -> set[str]:
    """Give the flags that say why everybody is on control."""
    try:
        flags = json.loads(_data(document).get(FLAGD_KEY, "{}"))["flags"]
        return {gate for gate, flag in flags.items() if "serve" in flag["metadata"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # somebody has written it by hand; it is put back
        return set()


def _urgency_of_entry(gate: str, before: str | None, after: str | None) -> Urgency | None:
    old, new = read_entry(before, gate), read_entry(after, gate)
    was_served = old is not None and "serve" not in old.content
    if new is None:  # pods keep what they had of an entry that cannot be read; of one that is gone, they fall back to their defaults
        return Urgency.SOON if after is None and was_served else None
    if "serve" in new.content:
        return Urgency.NOW if old is None or was_served else None
    if old is None:
        return None if before is None else Urgency.SOON
    return Urgency.SOON if was_served and not _only_rises(old.content, new.content) else None


def _only_rises(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    try:
        return {**before, "percent": 0} == {**after, "percent": 0} and after["percent"] >= before["percent"]
    except RecursionError:  # a field that nests as deep as can just be read: written by hand
        return False


def _killed(config_map: ConfigMap) -> set[str]:
    return set(kill_key(config_map).replace(",", " ").split())


def _lines(config_map: ConfigMap) -> Mapping[str, str]:
    data = _data(config_map) if is_ours(config_map) else {}
    return {key.removesuffix(KEY_SUFFIX): value for key, value in data.items() if key.endswith(KEY_SUFFIX)}


def _data(config_map: ConfigMap) -> Mapping[str, str]:
    return config_map.get("data") or {}
