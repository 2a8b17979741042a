"""Which rules pods run, of many gates with one query; runs in a thread.

An instant query, so that Prometheus leaves out what it knows to be gone. Knows the gauge that the SDK tells its generation by, and the
labels of a target. Must not know who waits for the answers, or what is enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

from rampgate_operator.adapters.prometheus_ask import Most, milliseconds, read_all
from rampgate_operator.adapters.prometheus_http import Call
from rampgate_operator.adapters.prometheus_json import read_vector
from rampgate_operator.core.looks import Answer, LookRequest, NoData, Running
from rampgate_operator.core.promql import show_surely
from rampgate_operator.core.promql_gates import GENERATION, select
from rampgate_operator.core.status_fields import LONGEST_WORD

_MOST_NAMED = 3


def ask_generations(questions: Sequence[LookRequest], call: Call) -> Mapping[LookRequest, Answer]:
    """Answer questions of the kind GENERATIONS.

    Raises:
        SourceError: the query failed, and with it every question; when it is by data, fewer gates may do.
    """
    gates = {question: (question.tenant, question.metric.gate if question.metric else "") for question in questions}
    selected = select([GENERATION], namespaces={namespace for namespace, _ in gates.values()}, gates={gate for _, gate in gates.values()})
    most = Most(series=call.limits.max_together_series, size=call.limits.max_together_bytes)
    at = max(milliseconds(question.at) for question in questions)
    found, _ = read_all(show_surely(selected), call, at=at, most=most, read=partial(read_vector, source=call.name))
    told: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for labels, value in found:
        told.setdefault((labels.get("namespace", ""), labels.get("gate", "")), []).append((_name(labels), value))
    return {question: _answer(question, told.get(gate, ())) for question, gate in gates.items()}


def _answer(question: LookRequest, told: Sequence[tuple[str, float]]) -> Running | NoData:
    if not told:
        return NoData(f"no series of {GENERATION} tells of this gate in this namespace")
    behind = [name for name, value in told if not question.generation <= value < math.inf]
    return Running(seen=len(told), on=len(told) - len(behind), behind=tuple(sorted(set(behind))[:_MOST_NAMED]))


def _name(labels: Mapping[str, str]) -> str:
    name = labels.get("pod") or labels.get("instance") or "one without a name"
    return "".join(letter if letter.isprintable() else " " for letter in name)[:LONGEST_WORD]
