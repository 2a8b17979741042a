"""Rules in ConfigMaps: one key per gate, each written by compare-and-swap, so that no gate's write can undo a neighbour's (design §6).

Foreign ConfigMaps are never touched; ours are never deleted, and come back with all their gates in one write when somebody deletes them.
Knows keys and ConfigMaps; what an entry says is core/compile.py's.
"""

from collections.abc import Mapping

from rampgate_operator.cache import Cache, key_of
from rampgate_operator.core.compile import fits
from rampgate_operator.core.observation import (
    FORMAT,
    FORMAT_KEY,
    KEY_SUFFIX,
    KILL_KEY,
    RULES_LABEL,
    Ownership,
    RulesSeen,
    read_entry,
    see_rules,
)
from rampgate_operator.ports import Body, Cluster, Key


class Rules:
    """The ConfigMaps with rules, as last seen, and the writes to them."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.cache = Cache()

    async def see(self, config_map: Key, gate: str) -> RulesSeen:
        """See a gate's part of its ConfigMap; one that is not watched is asked for: it may be foreign, absent, or have lost its label."""
        body = self.cache.get(config_map)
        if body is None:
            body = await self._cluster.get_config_map(config_map)
            if body is not None and see_rules(_data(body), gate).ownership is Ownership.OURS:
                self.cache.see(body)
        return see_rules(None if body is None else _data(body), gate)

    def take_in(self, body: Body) -> set[str]:
        """Take in a ConfigMap from the watch, and give the gates whose part of it is not what was known."""
        known = self.cache.get(key_of(body))
        self.cache.see(body)
        if known is None:
            return set(gates_in(body))
        before, after = _data(known), _data(self.cache.get(key_of(body)) or {})
        if any(before.get(key) != after.get(key) for key in (FORMAT_KEY, KILL_KEY)):
            return {*gates_in(known), *gates_in(body)}
        return {gate for gate in {*gates_in(known), *gates_in(body)} if before.get(gate + KEY_SUFFIX) != after.get(gate + KEY_SUFFIX)}

    async def write(self, config_map: Key, gate: str, line: str, *, seen: RulesSeen) -> bool:
        """Make the gate's key say `line`, unless it does, the ConfigMap is foreign, or it would grow too large; tell whether it changed.

        Raises ConflictError when the key is not what was seen.
        """
        if seen.ownership is not Ownership.OURS or not fits(line, seen):
            return False
        if seen.line != line:
            self.cache.see(await self._cluster.swap(config_map, key=gate + KEY_SUFFIX, old=seen.line, new=line))
        await self._restore_label(config_map)
        return seen.line != line

    async def create(self, config_map: Key, lines: Mapping[str, str]) -> None:
        """Create an absent ConfigMap with all its gates at once; a gate that does not fit beside the others is left for later."""
        data: dict[str, str] = {}
        for gate, line in lines.items():
            if fits(line, see_rules({FORMAT_KEY: FORMAT, **data}, gate)):
                data[gate + KEY_SUFFIX] = line
        self.cache.see(await self._cluster.create_config_map(config_map, data))

    async def remove(self, namespace: str, gate: str, *, keep: str | None) -> None:
        """Remove a gate's key from the namespace's ConfigMaps, but for the one to `keep`.

        A latched or shipped entry stays until a person removes it: deleting or re-creating a resource must neither revive what was
        rolled back nor turn a shipped feature off.
        """
        for body in self.cache:
            metadata = body["metadata"]
            line = _data(body).get(gate + KEY_SUFFIX)
            elsewhere = metadata["namespace"] != namespace or metadata["name"] == keep
            if elsewhere or line is None or _data(body).get(FORMAT_KEY) != FORMAT:
                continue
            entry = read_entry(line, gate)
            if entry is not None and not {"latch", "ship"} & entry.content.keys():
                key = Key(namespace, metadata["name"])
                self.cache.see(await self._cluster.swap(key, key=gate + KEY_SUFFIX, old=line, new=None))

    async def refresh(self, config_map: Key) -> None:
        """Look again at the API server. One that is not ours is not kept: nothing would tell when it changes."""
        body = await self._cluster.get_config_map(config_map)
        if body is not None and _data(body).get(FORMAT_KEY) == FORMAT:
            self.cache.see(body)
        else:
            self.cache.forget(config_map)

    async def _restore_label(self, config_map: Key) -> None:
        body = self.cache.get(config_map)
        if body is not None and RULES_LABEL not in (body["metadata"].get("labels") or {}):
            self.cache.see(await self._cluster.restore_label(body))


def gates_in(config_map: Body) -> tuple[str, ...]:
    """Give the gates that have an entry in a ConfigMap."""
    return tuple(key.removesuffix(KEY_SUFFIX) for key in _data(config_map) if key.endswith(KEY_SUFFIX))


def _data(config_map: Body) -> Mapping[str, str]:
    return config_map.get("data") or {}
