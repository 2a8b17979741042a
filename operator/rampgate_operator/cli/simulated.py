"""What came out of a simulation, as people and programs read it. Must not know how ramps are played."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rampgate_operator.simulation.plan import Plan
from rampgate_operator.simulation.scenarios import Scenario
from rampgate_operator.simulation.summary import Summary
from rampgate_operator.simulation.twin import Ended

_HEAD = ("", "rolled back", "minutes", "requests", "on the step", "held", "open")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One world, and how the ramps in it ended."""

    scenario: Scenario
    summary: Summary
    ended: Ended

    @property
    def title(self) -> str:
        """The world in a few words."""
        name = self.scenario.guardrail
        if name is None:
            return "no harm"
        rates = self.scenario.world.rates[name]
        worse = (min(1.0, rate * self.scenario.harm) for rate in rates)
        return f"{name} {'/'.join(f'{100 * rate:.3g}' for rate in rates)} → {'/'.join(f'{100 * rate:.3g}' for rate in worse)} %"


@dataclass(frozen=True, kw_only=True)
class Result:
    """All that came out."""

    experiment: str
    planned: Plan
    per_second: float
    runs: int
    seed: int
    rows: tuple[Row, ...]
    left_out: Mapping[str, str]
    assumed: Mapping[str, str]


def as_json(result: Result) -> str:
    """Give `{"experiment", …, "scenarios": [{"guardrail", "harm", "rolledBack", …}]}`; docs/simulate.md has the fields."""
    document = {
        "experiment": result.experiment,
        "falseRollbackRate": result.planned.spec.false_rollback_rate,
        "trafficPerSecond": result.per_second,
        "runs": result.runs,
        "seed": result.seed,
        "looks": result.planned.scheduled,
        "leftOut": dict(result.left_out),
        "assumed": dict(result.assumed),
        "scenarios": [_fields(row) for row in result.rows],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _fields(row: Row) -> dict[str, Any]:
    summary = row.summary
    return {
        "guardrail": row.scenario.guardrail,
        "harm": row.scenario.harm,
        "baseRates": {name: list(rates) for name, rates in row.scenario.world.rates.items()},
        "rolledBack": summary.rolled_back,
        "standardError": summary.standard_error,
        "medianMinutes": summary.minutes,
        "medianRequests": summary.requests,
        "steps": [{"percent": percent, "share": share} for percent, share in summary.steps],
        "held": summary.held,
        "inconclusive": summary.inconclusive,
    }


def as_text(result: Result) -> str:
    """Give a table, a row for each world, and what its columns mean."""
    return "".join(f"{line}\n".replace(" \n", "\n") for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    planned, spec = result.planned, result.planned.spec
    yield (
        f"{result.experiment}: {result.runs:,} ramps a row, {result.per_second:,.4g} requests/s, "
        f"{planned.scheduled:,} looks every {spec.interval}, falseRollbackRate {100 * spec.false_rollback_rate:g} %"
    )
    for name, why in result.left_out.items():
        yield f"not simulated: {name}: {why}"
    for name, what in result.assumed.items():
        yield f"assumed: {name}: {what}"
    yield ""
    cells = [_HEAD, *(_cells(row) for row in result.rows)]
    widths = [max(len(each[column]) for each in cells) for column in range(len(_HEAD))]
    for each in cells:
        yield "  ".join([each[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(each[1:], widths[1:], strict=True))])
    yield ""
    yield "minutes and requests of treatment until then: medians of the ramps that were rolled back; the step: where most of them were"
    yield "held: still on a step after three times the time; open: ended with neither harm nor its absence shown"


def _cells(row: Row) -> tuple[str, ...]:
    summary = row.summary
    back = f"{100 * summary.rolled_back:.2f} ± {100 * summary.standard_error:.2f} %"
    if summary.minutes is None or summary.requests is None:
        return (row.title, back, "", "", "", *_rest(summary))
    percent, share = max(summary.steps, key=lambda step: step[1])
    return (row.title, back, f"{summary.minutes:,.4g}", f"{summary.requests:,.0f}", f"{percent:g} % ({100 * share:.0f} %)", *_rest(summary))


def _rest(summary: Summary) -> tuple[str, str]:
    return f"{100 * summary.held:.1f} %", f"{100 * summary.inconclusive:.1f} %"
