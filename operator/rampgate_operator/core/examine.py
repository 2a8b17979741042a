"""Whether a spec can be run: all that the models, the checks and the query compiler say of it, in one sentence per fault."""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from rampgate_operator.core.checks import find_problems
from rampgate_operator.core.compile import compile_draw, draw_digest
from rampgate_operator.core.experiment import salt_of
from rampgate_operator.core.guardrail_spec import Guardrail
from rampgate_operator.core.problems import Problem, from_validation_error
from rampgate_operator.core.promql import LOOKBACK, QueryError, counter_for, query_for
from rampgate_operator.core.spec import Spec
from rampgate_operator.core.status import Status, read_status

SHOWN_PROBLEMS = 5
DEEPEST_VALUE = 20


def examine(body: Mapping[str, Any], *, sources: Mapping[str, timedelta]) -> Spec | str:
    """Give the spec of an Experiment, or what is wrong with it.

    `sources` are those that the operator's configuration names, with how old a sample each may return. Every query that will be asked is
    compiled here, and remembered: the largest spec takes seconds, which a look must not.
    """
    found = find_faults(body, sources=sources)
    return found if isinstance(found, Spec) else _sentence(found)


def find_faults(body: Mapping[str, Any], *, sources: Mapping[str, timedelta] | None) -> Spec | tuple[Problem, ...]:
    """Give the spec of an Experiment, or each of its faults by its field. Without `sources`, their names are not judged."""
    deep = tuple(_deep_values(body.get("spec") or {}))
    if deep:
        return deep
    try:
        spec = Spec.from_wire(body.get("spec"))
    except ValidationError as error:
        return tuple(from_validation_error(error, under="spec"))
    status = read_status(body.get("status"))
    found = (*find_problems(spec), *_unreadable_queries(spec, body["metadata"], sources), *_other_draw(spec, body["metadata"], status))
    return found or spec


def _deep_values(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Refuse values that no schema can bound, before anything goes through them level by level."""
    for index, variant in enumerate(spec.get("variants") or ()):
        if depth_of(variant.get("value"), at_most=DEEPEST_VALUE) > DEEPEST_VALUE:
            yield Problem(f"spec.variants[{index}].value", f"nests deeper than {DEEPEST_VALUE} levels")


def depth_of(value: object, *, at_most: int) -> int:
    """Count the levels of a JSON value, until it is clear that there are more than `at_most`."""
    level, depth = [value], 0
    while depth <= at_most and any(isinstance(each, list | dict) for each in level):
        level = [inner for each in level if isinstance(each, list | dict) for inner in (each.values() if isinstance(each, dict) else each)]
        depth += 1
    return depth


def _other_draw(spec: Spec, metadata: Mapping[str, Any], status: Status | None) -> Iterator[Problem]:
    """Refuse to move units within an attempt.

    The CRD's rules refuse it from one spec to the next, but an attempt that was raised and lowered again while the operator did not run
    passes them.
    """
    if status is None or not status.draw_digest or spec.attempt > status.attempt:
        return
    if status.draw_digest == draw_digest(compile_draw(spec, salt_of(spec, metadata["namespace"], metadata["name"]))):
        return
    text = f"not what attempt {status.attempt} began with; set them back, or set attempt to {status.attempt + 1} or higher"
    yield Problem("spec", f"unit, salt, hashInput, variants or control are {text}")


def _unreadable_queries(spec: Spec, metadata: Mapping[str, Any], sources: Mapping[str, timedelta] | None) -> Iterator[Problem]:
    place = {"gate": metadata["name"], "namespace": metadata["namespace"]}
    for index, guardrail in enumerate(spec.guardrails or ()):
        if sources is not None and guardrail.source not in sources:
            known = ", ".join(sorted(sources)) or "none"
            text = f"there is no source {guardrail.source!r}; the operator's configuration names: {known}"
            yield Problem(f"spec.guardrails[{index}].source", text)
        lookback = (sources or {}).get(guardrail.source, LOOKBACK)
        yield from _unreadable(guardrail, spec, f"spec.guardrails[{index}]", lookback, place)


def _unreadable(guardrail: Guardrail, spec: Spec, path: str, lookback: timedelta, place: Mapping[str, str]) -> Iterator[Problem]:
    if guardrail.query is not None:
        try:
            for treatment in spec.drawn_treatments:
                query_for(treatment.name, text=guardrail.query, lookback=lookback, **place)
        except QueryError as error:
            yield Problem(f"{path}.query", str(error))
    if guardrail.counters is not None:
        for name, text in (("events", guardrail.counters.events), ("total", guardrail.counters.total)):
            try:
                counter_for(spec.arms, text=text, **place)
            except QueryError as error:
                yield Problem(f"{path}.counters.{name}", str(error))


def _sentence(found: Collection[Problem]) -> str:
    shown = "; ".join(str(problem) for problem in list(found)[:SHOWN_PROBLEMS])
    more = len(found) - SHOWN_PROBLEMS
    return shown + (f"; and {more} more" if more > 0 else "")
