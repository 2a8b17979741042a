"""How an explanation is printed: for people, step by step, and as JSON for programs.

Knows layouts. Must not know how a gate is evaluated: every sentence and figure is the explanation's own.
"""

import json
from collections.abc import Iterator
from typing import Any

from rampgate import Decision
from rampgate.explain import Explanation, Step, StepName
from rampgate.explain_eligibility import Tested, shown

SHOWN = ("gate", "variant", "value", "reason", "label", "generation", "attempt", "percent")
_NAME_WIDTH = max(len(name) for name in StepName)
_WIDEST_TEST = 60
_SHOWN_VALUES = 5


def as_json(explanation: Explanation) -> str:
    """Give `{"decision": {…}, "steps": [{"step", "why", "decides", …}]}`; docs/running.md has the fields."""
    decision = {field: getattr(explanation.decision, field) for field in SHOWN}
    document = {"decision": decision, "steps": [_step_fields(step) for step in explanation.steps]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_text(explanation: Explanation) -> str:
    """Give the steps in order, the deciding one marked, what was not asked any more, and the decision."""
    decision = explanation.decision
    lines = [_title(decision), ""]
    for step in explanation.steps:
        lines.extend(_step_lines(step))
    rest = [name.value for name in StepName][len(explanation.steps) :]
    if rest:
        lines += ["", f"  not asked any more: {', '.join(rest)}"]
    return "\n".join([*lines, "", _outcome(decision), ""])


def printable(text: str) -> str:
    """Escape as JSON does whatever would speak to the terminal: an attribute's name may be anything, and is another's choice."""
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if char.isascii() else json.dumps(char)[1:-1]


def _step_fields(step: Step) -> dict[str, Any]:
    fields: dict[str, Any] = {"step": step.name.value, "why": step.why, "decides": step.decision is not None, **step.figures}
    return fields | ({"tests": [_test_fields(test) for test in step.tests]} if step.name is StepName.ELIGIBILITY else {})


def _test_fields(test: Tested) -> dict[str, Any]:
    if test.within:
        return {"group": test.operator, "holds": test.holds, "tests": [_test_fields(each) for each in test.within]}
    named = {"attribute": test.attribute, "operator": test.operator, "operand": test.operand}
    return named | {"found": test.found, "holds": test.holds, "why": test.why}


def _title(decision: Decision) -> str:
    if decision.variant is None:
        return decision.gate
    return f"{decision.gate}: attempt {decision.attempt} at {decision.percent:g} %, generation {decision.generation}"


def _step_lines(step: Step) -> Iterator[str]:
    mark = ">" if step.decision is not None else " "
    yield f"{mark} {step.name.value:<{_NAME_WIDTH}}  {step.why}"
    margin = " " * (_NAME_WIDTH + 4)
    if "hash" in step.figures:
        encoded = "" if step.figures["hashInput"] == "UTF8" else f" as {step.figures['hashInput']}"
        yield f"{margin}murmur3_x86_32 of {json.dumps(step.figures['text'], ensure_ascii=False)}{encoded} is {step.figures['hash']}"
    tests = list(_test_lines(step.tests))
    width = min(max((len(left) for left, _ in tests), default=0), _WIDEST_TEST)
    yield from (f"{margin}{left:<{width}}  {right}".rstrip() for left, right in tests)


def _test_lines(tests: tuple[Tested, ...], depth: int = 0) -> Iterator[tuple[str, str]]:
    for test in tests:
        start = f"{'yes' if test.holds else 'no':<4} {'  ' * depth}"
        if test.within:
            yield f"{start}{test.operator}", ""
            yield from _test_lines(test.within, depth + 1)
        else:
            yield f"{start}{test.attribute} {test.operator} {_operand(test.operand)}", test.why


def _operand(operand: Any) -> str:  # noqa: ANN401  # JSON
    if not isinstance(operand, list):
        return shown(operand)
    more = len(operand) - _SHOWN_VALUES
    values = [*(shown(value) for value in operand[:_SHOWN_VALUES]), *([f"and {more} more"] if more > 0 else [])]
    return f"[{', '.join(values)}]"


def _outcome(decision: Decision) -> str:
    if decision.variant is None:
        return f"=> the application's own default: {decision.reason}"
    return f"=> {decision.variant}, value {json.dumps(decision.value, ensure_ascii=False)}: {decision.reason}, in metrics {decision.label}"
