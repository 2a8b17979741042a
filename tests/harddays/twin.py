"""An operator that nothing ever happened to: the same windows of the same Prometheus, read once and in order.

Knows the product's pure functions and its adapter, which have tests of their own. Must not know of looks, writes or restarts.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from rampgate_operator.adapters.prometheus import Prometheus
from rampgate_operator.core.counted import Window, asked, windows
from rampgate_operator.core.evidence import Weighing, add_all
from rampgate_operator.core.grid import edges
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.looks import Kind, LookRequest
from rampgate_operator.core.quantities import duration
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Evidence, read_status
from rampgate_operator.core.status_fields import StepCounts
from rampgate_operator.settings import SourceSettings
from tests.apiserver.team import Json
from tools.devcluster.prometheus import Prometheus as Server


class Twin(NamedTuple):
    """What it knows of one Experiment with one guardrail on counters."""

    metadata: Json
    spec: Spec
    guardrail: Guardrail
    server: Server

    def evidence(self, steps: tuple[StepCounts, ...], percents: tuple[float, ...], *, until: datetime) -> tuple[Evidence, ...]:
        """Give its evidence after the same steps. Of a step that is over it counts as much as the other did: that is for the caller to
        judge, by the step's counts, which must be those of whole windows from the step's beginning on.
        """
        known: tuple[Evidence, ...] = ()
        ends = (*(after.started_at for _, after in pairwise(steps)), until)
        for step, percent, end in zip(steps, percents, ends, strict=True):
            grid = edges(step.started_at, end, origin=step.started_at, interval=duration(self.spec.interval))
            counted = self._count(grid)
            tried = [self._add(counted[:number], grid[number], step, percent, known) for number in range(len(counted), 0, -1)]
            known = next((found for found in tried if found[0].steps[-1] == step), tried[0])
        return known

    def _add(
        self, counted: tuple[Window, ...], counted_to: datetime, step: StepCounts, percent: float, before: tuple[Evidence, ...]
    ) -> tuple[Evidence, ...]:
        weighing = Weighing(
            guardrail=self.guardrail,
            spec=self.spec,
            started_at=step.started_at,
            percent=percent,
            counted_to=counted_to,
            windows=counted,
            exposed_before={},
        )
        return add_all(weighing, before)

    def _count(self, grid: tuple[datetime, ...]) -> tuple[Window, ...]:
        place: Mapping[str, str] = {"gate": self.metadata["name"], "namespace": self.metadata["namespace"]}
        requests = [
            LookRequest(
                key=name,
                source="default",
                query=str(query),
                at=grid[-1],
                tenant=place["namespace"],
                kind=Kind.INCREASES,
                since=grid[0],
                cuts=grid[1:-1],
            )
            for name, query in asked(self.guardrail, arms=self.spec.arms, **place).items()
        ]
        client = Prometheus({"default": SourceSettings.model_validate({"url": self.server.url})})
        try:
            answers = asyncio.run(client.answer(requests))
        finally:
            client.close()
        return windows(self.guardrail, {str(name): answer for name, answer in answers.items()})


def compare(experiment: Json, server: Server, *percents: float) -> tuple[tuple[Evidence, ...], tuple[Evidence, ...]]:
    """Give the evidence that a status has, and that of a twin that took the same last steps."""
    spec, status = Spec.from_wire(experiment["spec"]), read_status(experiment["status"])
    assert spec.guardrails is not None
    assert status is not None
    (guardrail,) = spec.guardrails
    (known,) = status.guardrails
    assert known.counted_to is not None
    twin = Twin(experiment["metadata"], spec, guardrail, server)
    steps = known.evidence[0].steps
    return known.evidence, twin.evidence(steps, percents[-len(steps) :], until=known.counted_to)
