"""Asks flagd's Python evaluator: a line of JSON in, a line of answers out. Runs in the environment that has it."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError

RESOLVE = {bool: "boolean", str: "string", int: "float", float: "float", dict: "object"}


def answer(resolve: Callable[..., Any], gate: str, context: dict[str, Any]) -> list[object]:
    """Give variant and value; the variant is an error's words when there is none."""
    attributes = {name: value for name, value in context.items() if name != "targetingKey"}
    try:
        details = resolve(gate, None, EvaluationContext(context.get("targetingKey"), attributes))
    except OpenFeatureError as error:
        return [f"{type(error).__name__}: {error}", None]
    return [details.variant, details.value]


def answers(document: str, asked: list[tuple[str, dict[str, Any]]]) -> list[list[object]]:
    """Load a document, and answer each gate by the type of its values."""
    core = FlagdCore()
    core.set_flags(document)
    kinds = {gate: RESOLVE[type(next(iter(flag["variants"].values())))] for gate, flag in json.loads(document)["flags"].items()}
    return [answer(getattr(core, f"resolve_{kinds[gate]}_value"), gate, context) for gate, context in asked]


logging.disable()
for line in sys.stdin:
    wanted = json.loads(line)
    print(json.dumps(answers(wanted["document"], wanted["asked"])), flush=True)  # noqa: T201  # to who asks
