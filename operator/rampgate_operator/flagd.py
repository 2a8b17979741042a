"""The flagd documents: a ConfigMap beside each one with rules, written after it and never in its way (design §6).

Knows which ConfigMaps have changed, when to write, and what went wrong; what a document says is core/flagd.py's. Level-based: it does not
matter why a ConfigMap came up.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Mapping

from rampgate_operator.core.flagd import FLAGD_FORMAT, FLAGD_KEY, FLAGD_SUFFIX, Document, Flag, compile_flagd
from rampgate_operator.core.observation import FORMAT, FORMAT_KEY, RULES_LABEL, FlagdSeen
from rampgate_operator.core.reasons import Reason
from rampgate_operator.health import WatchProbe
from rampgate_operator.ports import Body, Cluster, ClusterError, ConflictError, Key
from rampgate_operator.queue import Queue
from rampgate_operator.rules import Rules, gates_in

logger = logging.getLogger(__name__)
GATHERING, APART = 0.05, 1.0
"""Seconds that a change waits for others, and that lie between two writes of one document: a thousand gates make no thousand documents."""
RECHECK = 10.0
"""Seconds until a foreign ConfigMap, which is not watched, is looked at again; and until a write is tried again at the latest."""
WRITERS = 4
"""Documents that are written at once: where one takes its time, another's kill must not wait."""
TOLERATED, MOST_FAILURES = 3, 20
"""Failures in a row that nobody is told of: an API server that is slow is no trouble of an Experiment's. And where counting stops."""


class FlagdDocuments:
    """Keeps a document beside each ConfigMap with rules; the gates that it newly says something of are queued."""

    def __init__(self, cluster: Cluster, rules: Rules, watch: WatchProbe, queue: Queue[Key]) -> None:
        self._cluster, self._rules, self._watch, self._queue = cluster, rules, watch, queue
        self._due = Queue[Key](lambda key: key.namespace)
        self._written_at: dict[Key, float] = {}
        self._failures: Counter[Key] = Counter()
        self._seen: dict[Key, Mapping[str, FlagdSeen]] = {}
        rules.listeners.append(self.tell)

    def tell(self, config_map: Key, *_: Body | None) -> None:
        """Hear that a ConfigMap, with rules or with a document, has changed or is gone."""
        for name in {config_map.name, config_map.name.removesuffix(FLAGD_SUFFIX)}:
            key = Key(config_map.namespace, name)
            self._due.add(key, delay=max(GATHERING, self._wait(key)))

    def see(self, config_map: Key, gate: str) -> FlagdSeen:
        """See what became of a gate of a ConfigMap with rules."""
        return self._seen.get(config_map, {}).get(gate, FlagdSeen())

    async def work(self) -> None:
        """Write documents, one at a time, until cancelled."""
        while (config_map := await self._due.take()) is not None:
            try:
                if (wait := self._wait(config_map)) > 0:  # for a change that came in the middle of the last write
                    self._due.add(config_map, delay=wait)
                else:
                    await self._try(config_map)
            finally:
                self._due.finish(config_map)

    def _wait(self, config_map: Key) -> float:
        """Give the seconds until its document may be written again; negative once it may."""
        return self._written_at.get(config_map, 0.0) + APART - asyncio.get_running_loop().time()

    async def _try(self, config_map: Key) -> None:
        try:
            await self.render(config_map)
        except ConflictError:  # somebody was faster: it is looked at again
            self._rules.cache.forget(_beside(config_map))
            self._due.add(config_map, delay=APART)
        except ClusterError as error:
            self._failed(config_map, str(error), earliest=error.retry_after)
        except Exception:  # a projection that trips a bug must not end the process that keeps the rules
            logger.exception("%s: this is a bug in the operator", _beside(config_map))
            self._failed(config_map, "a bug in the operator: its log says more", earliest=RECHECK)
        else:
            del self._failures[config_map]

    async def render(self, config_map: Key) -> None:
        """Bring the document beside a ConfigMap up to date, unless it is foreign; nothing is written when nothing has changed.

        Raises ConflictError when it is no longer what was seen, ClusterError when it cannot be written.
        """
        rules = self._rules.cache.get(config_map)
        if rules is None or _format(rules) != FORMAT:  # it comes back with all its gates, or is somebody else's now
            self._seen.pop(config_map, None)
            return
        document = await asyncio.to_thread(compile_flagd, rules)
        key = _beside(config_map)
        there = self._rules.cache.get(key) or await self._cluster.get_config_map(key)
        if there is None:
            await self._take_in(config_map, self._cluster.create_config_map(key, _data(document)))
        elif _format(there) != FLAGD_FORMAT:
            self._note(config_map, dict.fromkeys(document.flags, _foreign(key)))
            self._due.add(config_map, delay=RECHECK)
            return
        elif _says(there, document):
            self._rules.take_in(there)
        else:
            await self._take_in(config_map, self._cluster.replace_document(there, document.text))
        self._note(config_map, {gate: _seen(key, flag) for gate, flag in document.flags.items()})

    async def _take_in(self, config_map: Key, write: Awaitable[Body]) -> None:
        written = await write
        self._written_at[config_map] = asyncio.get_running_loop().time()
        self._rules.take_in(written)
        self._watch.expect(written)

    def _failed(self, config_map: Key, why: str, *, earliest: float) -> None:
        self._failures[config_map] = min(self._failures[config_map] + 1, MOST_FAILURES)
        logger.warning("%s: %s", _beside(config_map), why)
        if self._failures[config_map] > TOLERATED:
            # The first cause stands while it lasts: each new wording would be a status write per gate, to a server that is in trouble.
            behind = next((seen for seen in self._seen.get(config_map, {}).values() if seen.reason is Reason.FLAGD_BEHIND), None)
            behind = behind or FlagdSeen(reason=Reason.FLAGD_BEHIND, facts={"config_map": _beside(config_map).name, "why": why})
            rules = self._rules.cache.get(config_map)
            self._note(config_map, dict.fromkeys(gates_in(rules) if rules else (), behind))
        self._due.add(config_map, delay=max(earliest, min(RECHECK, APART * 2 ** self._failures[config_map])))

    def _note(self, config_map: Key, seen: Mapping[str, FlagdSeen]) -> None:
        """Note what became of each gate, and queue those for which it is news."""
        known = self._seen.get(config_map, {})
        self._seen[config_map] = seen
        for gate, now in seen.items():
            if known.get(gate) != now:
                self._queue.add(Key(config_map.namespace, gate))


def _seen(config_map: Key, flag: Flag) -> FlagdSeen:
    if not flag.problem:
        return FlagdSeen(reason=Reason.RENDERED_FOR_FLAGD, facts={"config_map": config_map.name})
    instead = "on control for everybody" if flag.text else "left out"
    return FlagdSeen(reason=Reason.NOT_RENDERABLE, facts={"config_map": config_map.name, "problem": flag.problem, "instead": instead})


def _foreign(config_map: Key) -> FlagdSeen:
    return FlagdSeen(reason=Reason.FOREIGN_FLAGD_CONFIG_MAP, facts={"config_map": config_map.name})


def _beside(config_map: Key) -> Key:
    return Key(config_map.namespace, config_map.name + FLAGD_SUFFIX)


def _data(document: Document) -> Mapping[str, str]:
    return {FORMAT_KEY: FLAGD_FORMAT, FLAGD_KEY: document.text}


def _format(config_map: Body) -> object:
    return (config_map.get("data") or {}).get(FORMAT_KEY)


def _says(config_map: Body, document: Document) -> bool:
    """Tell whether a ConfigMap says the document, and is watched."""
    return config_map["data"].get(FLAGD_KEY) == document.text and RULES_LABEL in (config_map["metadata"].get("labels") or {})
