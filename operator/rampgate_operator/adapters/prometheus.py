"""Answers a set of looks from Prometheus servers.

Knows how many questions may be in flight, how long anybody waits, and whose slot is whose. Must not know guardrails, verdicts or the
clock: every instant comes with the question. What a question takes is `prometheus_ask`, HTTP `prometheus_http`, bodies `prometheus_json`.

Threads: `requests` blocks, so each call has a thread from one pool as large as all sources' `max_concurrent` together. A source's slot is
given back when the thread has ended, not when the wait for it has: a source that hangs can fill its own slots, never another's; and
tenants take slots in turn, so that one with many slow questions keeps nobody else waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from rampgate_operator.adapters.prometheus_ask import ask
from rampgate_operator.adapters.prometheus_http import DEFAULT_LIMITS, Call, Limits
from rampgate_operator.core.looks import Answer, Failed, FailureReason, Kind, LookRequest
from rampgate_operator.fair import FairSlots
from rampgate_operator.settings import SourceSettings

_GRACE = timedelta(seconds=2)
"""For connecting and reading, on top of the query's own timeout."""

_WAITS = 3
"""How many timeouts a question waits for a free slot of its source."""


class Prometheus:
    """All configured sources. Use it from one event loop; close it when done."""

    def __init__(self, sources: Mapping[str, SourceSettings], *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._endpoints = {name: _Endpoint(name, source, limits) for name, source in sources.items()}
        size = sum(source.max_concurrent for source in sources.values())
        self._threads = ThreadPoolExecutor(max(size, 1), thread_name_prefix="prometheus")

    def lookbacks(self) -> Mapping[str, timedelta]:
        """Say, by source, how old a sample an instant selector may return."""
        return {name: endpoint.lookback for name, endpoint in self._endpoints.items()}

    async def answer(self, requests: Collection[LookRequest]) -> Mapping[Hashable, Answer]:
        """Answer all questions together, each under its key; the same question is asked once.

        Never raises for anything that a server does or a query says. At most about six timeouts of the slowest source.
        """
        questions: dict[LookRequest, list[Hashable]] = {}
        for request in requests:
            questions.setdefault(replace(request, key=None), []).append(request.key)
        answers = await asyncio.gather(*map(self._ask, questions))
        return {key: answer for keys, answer in zip(questions.values(), answers, strict=True) for key in keys}

    def close(self) -> None:
        """Abandon what is in flight, and free the threads."""
        for endpoint in self._endpoints.values():
            endpoint.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, question: LookRequest) -> Answer:
        endpoint = self._endpoints.get(question.source)
        if endpoint is None:
            names = ", ".join(sorted(self._endpoints)) or "none"
            return Failed(FailureReason.UNKNOWN_SOURCE, f"No metrics source is called {question.source!r}; the operator knows: {names}.")
        return await endpoint.run(question, self._threads)


class _Endpoint:
    """One source: its free slots, its calls in flight."""

    def __init__(self, name: str, source: SourceSettings, limits: Limits) -> None:
        self._name, self._source, self._limits = name, source, limits
        self.lookback = source.lookback
        self._slots = FairSlots(source.max_concurrent)
        self._calls: set[Call] = set()

    def close(self) -> None:
        """End the calls in flight."""
        for call in tuple(self._calls):
            call.abandon()

    async def run(self, question: LookRequest, threads: ThreadPoolExecutor) -> Answer:
        """Wait for a slot, ask in a thread, and stop waiting in time."""
        source, timeout = self._source, self._source.timeout.total_seconds()
        try:
            async with asyncio.timeout(_WAITS * timeout):
                await self._slots.acquire(question.tenant)
        except TimeoutError:
            busy = f"All {source.max_concurrent} connections to metrics source {self._name} stayed busy"
            return Failed(FailureReason.THROTTLED, f"{busy}: lengthen intervals, or allow it more.")
        call = Call(self._name, source, self._limits)
        running = self._start(call, question, threads)
        # Counting may take a second request.
        rounds = 2 if question.kind is Kind.INCREASES else 1
        try:
            async with asyncio.timeout(rounds * timeout + _GRACE.total_seconds()):
                return await asyncio.shield(asyncio.wrap_future(running))
        except TimeoutError:
            return Failed(FailureReason.TIMEOUT, f"Metrics source {self._name} gave no complete answer in time.")
        finally:
            if not running.done():
                call.abandon()

    def _start(self, call: Call, question: LookRequest, threads: ThreadPoolExecutor) -> Future[Answer]:
        loop = asyncio.get_running_loop()
        self._calls.add(call)

        def ended() -> None:
            self._calls.discard(call)
            self._slots.release()

        def tell_the_loop(_: Future[Answer]) -> None:
            # A thread may outlive the loop; then nobody waits for its slot either.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ended)

        running = threads.submit(ask, question, call)
        running.add_done_callback(tell_the_loop)
        return running
