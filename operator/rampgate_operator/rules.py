"""Rules in ConfigMaps: one key per gate, each written by compare-and-swap, so that no gate's write can undo a neighbour's (design §6).

Foreign ConfigMaps are never touched; ours are never deleted, and come back with all their gates in one write when somebody deletes them.
Knows keys and ConfigMaps; what an entry says is core/compile.py's.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from rampgate_operator.cache import Cache, key_of
from rampgate_operator.core.compile import fits
from rampgate_operator.core.flagd import FLAGD_FORMAT
from rampgate_operator.core.observation import (
    FORMAT,
    FORMAT_KEY,
    KEY_SUFFIX,
    RULES_LABEL,
    Entry,
    Ownership,
    RulesSeen,
    kill_key,
    read_entry,
    see_rules,
)
from rampgate_operator.health import WatchProbe
from rampgate_operator.ports import Body, Cluster, ClusterError, ConflictError, Key
from rampgate_operator.queue import Queue

logger = logging.getLogger(__name__)

_WITHOUT_DATA: Body = {}
_PARTS = ("data", "binaryData", "immutable")
MOST_FLOORS = 10_000
"""Removed gates whose generation is remembered, for one that is created again within the same second."""
MOST_NAMED, LONGEST_NAME = 10, 253
"""Names that a line of the log has, and their characters: no key of a ConfigMap is longer."""


class Rules:
    """The ConfigMaps with rules, as last seen, and the writes to them. Whoever tells of a change, the gates it touches are queued."""

    def __init__(self, cluster: Cluster, queue: Queue[Key], watch: WatchProbe) -> None:
        self._cluster, self._queue, self._watch = cluster, queue, watch
        self.cache = Cache()
        self.listeners: list[Callable[[Key, Body | None, Body | None], None]] = []
        """Hear of each ConfigMap whose keys have changed, as it was known before and as it is, after its gates are queued."""
        self._refusals: dict[Key, str] = {}  # of gates whose last write failed
        self._floors: OrderedDict[Key, int] = OrderedDict()  # of removed gates, the last ones

    async def see(self, config_map: Key, gate: str) -> RulesSeen:
        """See a gate's part of its ConfigMap; one that is not watched is asked for: it may be foreign, absent, or have lost its label."""
        body = self.cache.get(config_map) or await self.refresh(config_map)
        key = Key(config_map.namespace, gate)
        return replace(see_rules(body, gate), floor=self._floors.get(key, 0), refusal=self._refusals.get(key, ""))

    async def refresh(self, config_map: Key) -> Body | None:
        """Look again at the API server. One that is not ours is not kept: nothing would tell when it changes."""
        since = self.cache.version(config_map)
        body = await self._cluster.get_config_map(config_map)
        if body is None or see_rules(body, "").ownership is not Ownership.OURS:
            self.take_out(config_map)
        else:
            self.take_in(body, since=since)
        return body

    def take_in(self, body: Body, *, since: int = 0) -> None:
        """Take in a ConfigMap as it is, or was when a read began that `since` was known before; queue the gates whose part changed."""
        known = self.cache.get(key_of(body))
        if self.cache.see_live(body, since=since):
            self._queue_changed(known or _WITHOUT_DATA, body)
            if known is None or any(known.get(part) != body.get(part) for part in _PARTS):
                self._tell(key_of(body), known, body)

    def replace(self, bodies: Iterable[Body], *, since: Mapping[Key, int]) -> None:
        """Take in a complete list; `since` are the versions known when it was asked for."""
        listed = {key_of(body): body for body in bodies}
        for key, body in listed.items():
            self.take_in(body, since=since.get(key, 0))
        for key in since.keys() - listed.keys():
            self.take_out(key)

    def take_out(self, config_map: Key) -> None:
        """Take in that a ConfigMap is gone, or no longer to be watched; queue its gates."""
        known = self.cache.get(config_map)
        self.cache.forget(config_map)
        for gate in gates_in(known or _WITHOUT_DATA):
            self._queue.add(Key(config_map.namespace, gate))
        self._tell(config_map, known, None)

    async def write(self, config_map: Key, gate: str, line: str, *, seen: RulesSeen) -> None:
        """Make the gate's key say `line`, unless it does, the ConfigMap cannot be written, or it would grow too large.

        Raises ConflictError when the key is not what was seen.
        """
        body = self.cache.get(config_map)
        if seen.ownership is not Ownership.OURS or not fits(line, seen) or body is None:
            return
        if _data(body).get(gate + KEY_SUFFIX) != seen.line:
            raise ConflictError(f"the key {gate}{KEY_SUFFIX} has changed since the decision")
        if seen.line != line and not seen.immutable:
            with self._remembering_refusals(Key(config_map.namespace, gate)):
                self._take_in_own(await self._cluster.swap(body, key=gate + KEY_SUFFIX, new=line))
        await self._restore_label(config_map)

    async def create(self, config_map: Key, lines: Mapping[str, str], *, of: str) -> None:
        """Create an absent ConfigMap, for the sake of a gate, with all its gates at once; one that does not fit is left for later."""
        data: dict[str, str] = {}
        for gate, line in lines.items():
            if fits(line, see_rules({"data": {FORMAT_KEY: FORMAT, **data}}, gate)):
                data[gate + KEY_SUFFIX] = line
        with self._remembering_refusals(Key(config_map.namespace, of)):
            self._take_in_own(await self._cluster.create_config_map(config_map, data))

    async def remove(self, namespace: str, gate: str, *, keep: str | None) -> None:
        """Remove a gate's key from the namespace's ConfigMaps, but for the one to `keep`.

        A latched or shipped entry stays until a person removes it: deleting or re-creating a resource must neither revive what was
        rolled back nor turn a shipped feature off.
        """
        if keep is None:
            self._refusals.pop(Key(namespace, gate), None)
        for body in self.cache:
            metadata = body["metadata"]
            if metadata["namespace"] != namespace or metadata["name"] == keep or gate + KEY_SUFFIX not in _data(body):
                continue
            seen = see_rules(body, gate)
            if seen.entry is not None and not seen.immutable and not outlives(seen.entry):
                self._take_in_own(await self._cluster.swap(body, key=gate + KEY_SUFFIX, new=None))
                self._floors[Key(namespace, gate)] = seen.entry.generation
                if len(self._floors) > MOST_FLOORS:
                    self._floors.popitem(last=False)

    @contextmanager
    def _remembering_refusals(self, gate: Key) -> Iterator[None]:
        try:
            yield
        except ClusterError as error:
            self._refusals[gate] = str(error)
            raise
        self._refusals.pop(gate, None)

    async def _restore_label(self, config_map: Key) -> None:
        body = self.cache.get(config_map)
        if body is not None and RULES_LABEL not in (body["metadata"].get("labels") or {}):
            self._take_in_own(await self._cluster.restore_label(body))

    def _take_in_own(self, body: Body) -> None:
        self.take_in(body)
        if RULES_LABEL in (body["metadata"].get("labels") or {}):  # else the watch does not tell of it
            self._watch.expect(body)

    def _tell(self, config_map: Key, before: Body | None, after: Body | None) -> None:
        for hear in self.listeners:
            hear(config_map, before, after)

    def _queue_changed(self, before: Body, after: Body) -> None:
        old, new = _data(before), _data(after)
        is_kill_new = kill_key(before) != kill_key(after)
        for_all = is_kill_new or old.get(FORMAT_KEY) != new.get(FORMAT_KEY)
        if is_kill_new and (unknown := killed_without_entry(after)):
            sentence = "%s: the key kill names %s, of which there is no key here, so it stops nothing: is it misspelled?"
            logger.warning(sentence, key_of(after), _quoted(unknown))
        for gate in {*gates_in(before), *gates_in(after)}:
            if for_all or old.get(gate + KEY_SUFFIX) != new.get(gate + KEY_SUFFIX):
                self._queue.add(Key(after["metadata"]["namespace"], gate))


def outlives(entry: Entry) -> bool:
    """Tell whether an entry must stay when its Experiment is gone: what ended, or was shipped, is a person's to remove."""
    return not {"latch", "ship"}.isdisjoint(entry.content)


def gates_in(config_map: Body) -> tuple[str, ...]:
    """Give the gates that have an entry in a ConfigMap; what else a key of such a name may hold is nobody's."""
    if _data(config_map).get(FORMAT_KEY) == FLAGD_FORMAT:
        return ()
    named = ((key.removesuffix(KEY_SUFFIX), value) for key, value in _data(config_map).items() if key.endswith(KEY_SUFFIX))
    return tuple(gate for gate, value in named if gate and read_entry(value, gate) is not None)


def killed_without_entry(config_map: Body) -> tuple[str, ...]:
    """Give the names in the key `kill` that are of no gate here: break-glass that stops nothing."""
    named = dict.fromkeys(kill_key(config_map).replace(",", " ").split())
    return tuple(name for name in named if name != "*" and name + KEY_SUFFIX not in _data(config_map))


def _quoted(names: tuple[str, ...]) -> str:
    """Quote the first names, and count the others: whoever may write the key may write a mebibyte of them, and any character."""
    shown = ", ".join(json.dumps(name[:LONGEST_NAME]) for name in names[:MOST_NAMED])
    return shown + (f" and {len(names) - MOST_NAMED} others" if len(names) > MOST_NAMED else "")


def _data(config_map: Body) -> Mapping[str, str]:
    return config_map.get("data") or {}
