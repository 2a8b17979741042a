"""Answers a set of looks from Prometheus servers.

Knows the configured sources, and which questions are asked alone. Must not know guardrails, verdicts or the clock: every instant comes
with the question. Slots and threads are `prometheus_slots`; what is asked together is collected by `prometheus_together`; what a question
takes is `prometheus_ask`, and many take `prometheus_presets`; HTTP is `prometheus_http`, bodies `prometheus_json`.

A query of a team's own is asked alone, and tenants take slots in turn, so that one with many slow questions keeps nobody else waiting.
Questions about the SDK's metrics go together, many tenants' in one query.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

from rampgate_operator.adapters.prometheus_ask import ask
from rampgate_operator.adapters.prometheus_http import DEFAULT_LIMITS, Limits
from rampgate_operator.adapters.prometheus_slots import Slots
from rampgate_operator.adapters.prometheus_together import Together
from rampgate_operator.core.looks import Answer, Failed, FailureReason, Kind, LookRequest
from rampgate_operator.settings import SourceSettings

OK = "Ok"
"""What came of a question that was answered, be it that there are no data."""


class Prometheus:
    """All configured sources. Use it from one event loop; close it when done."""

    def __init__(self, sources: Mapping[str, SourceSettings], *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._sources = dict(sources)
        size = sum(source.max_concurrent for source in sources.values())
        self._threads = ThreadPoolExecutor(max(size, 1), thread_name_prefix="prometheus")
        self._slots = {name: Slots(name, source, limits=limits, threads=self._threads) for name, source in sources.items()}
        self._together = {name: Together(slots) for name, slots in self._slots.items()}
        outcomes = (OK, *(reason.value for reason in FailureReason if reason is not FailureReason.UNKNOWN_SOURCE))
        self._answered = Counter({(name, outcome): 0 for name in sources for outcome in outcomes})  # from 0, so that a rise is seen

    def lookbacks(self) -> Mapping[str, timedelta]:
        """Say, by source, how old a sample an instant selector may return."""
        return {name: source.lookback for name, source in self._sources.items()}

    async def answer(self, requests: Collection[LookRequest]) -> Mapping[Hashable, Answer]:
        """Answer all questions together, each under its key; the same question is asked once.

        Never raises for anything that a server does or a query says. At most about six timeouts of the slowest source.
        """
        questions: dict[LookRequest, list[Hashable]] = {}
        for request in requests:
            questions.setdefault(replace(request, key=None), []).append(request.key)
        answers = await asyncio.gather(*map(self._ask, questions))
        return {key: answer for keys, answer in zip(questions.values(), answers, strict=True) for key in keys}

    def answered(self) -> Mapping[tuple[str, str], int]:
        """Say how many questions were answered, by source and by what came of them: `Ok`, or a FailureReason."""
        return self._answered

    def close(self) -> None:
        """Abandon what is in flight, and free the threads."""
        for slots in self._slots.values():
            slots.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, question: LookRequest) -> Answer:
        slots = self._slots.get(question.source)
        if slots is None:
            names = ", ".join(sorted(self._slots)) or "none"
            return Failed(FailureReason.UNKNOWN_SOURCE, f"No metrics source is called {question.source!r}; the operator knows: {names}.")
        if question.metric is not None:
            answer = await self._together[question.source].answer(question, question.metric)
        else:
            answer = await _ask_alone(question, slots)
        self._answered[question.source, answer.reason.value if isinstance(answer, Failed) else OK] += 1
        return answer


async def _ask_alone(question: LookRequest, slots: Slots) -> Answer:
    """Wait for a slot, ask in a thread, and stop waiting in time."""
    try:
        async with asyncio.timeout(slots.patience):
            await slots.acquire(question.tenant)
    except TimeoutError:
        return slots.busy
    # Counting may take further requests, and they are small.
    rounds = 3 if question.kind is Kind.INCREASES else 1
    try:
        return await slots.work(partial(ask, question), rounds=rounds)
    except TimeoutError:
        return slots.too_slow
