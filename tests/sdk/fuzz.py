"""`python -m tests.sdk.fuzz 1000000`: mutilated entries and odd contexts, one after another, in one process.

What must hold for each: nothing raises, nothing takes longer than 50 ms of the thread's CPU time, a gate whose bytes are no entry goes on
with its last good one, and its neighbour's answers never change. A failure names the seed and the number with which it comes again.
"""

import copy
import json
import logging
import random
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rampgate import Decision, Gates, Reason
from rampgate.errors import UnusableEntryError
from rampgate.rules import parse_entry, render_entry
from rampgate.snapshot import FORMAT_VALUE
from rampgate.sources import Receiver
from tests.sdk.entries import entry

LONGEST = 0.05
"""Seconds of CPU time that delivering an entry, or answering by it, may take."""

_NEIGHBOUR = render_entry(entry(gate="neighbour", percent=100)).encode()
_TESTS: list[dict[str, Any]] = [
    {"attribute": "country", "in": ["US", "CA"]},
    {"attribute": "plan", "notIn": ["free", "ünï"]},
    {"attribute": "user.plan", "equals": "pro"},
    {"attribute": "beta", "is": True},
    {"attribute": "x", "exists": False},
    {"attribute": "email", "endsWith": ["@example.com", "@"]},
    {"attribute": "name", "startsWith": ["a"]},
    {"attribute": "name", "contains": ["b", "\U0001f600"]},
    {"attribute": "age", "greaterOrEqual": 18},
    {"attribute": "age", "lessThan": 1e15},
    {"attribute": "since", "before": "2026-12-01T09:00:00Z"},
    {"attribute": "app", "semver": [[">=", [1, 2, 3]], ["<", [2, 0, 0]]]},
    {"attribute": "app", "semverAny": [[["=", [1, 0, 0]]], [[">", [9, 9, 9]]]]},
    {"any": [{"attribute": "country", "in": ["US"]}, {"not": {"attribute": "plan", "equals": "free"}}]},
    {"not": {"all": [{"attribute": "age", "greaterThan": 1}, {"attribute": "beta", "is": False}]}},
]
_ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"),
    "", "a", "US", "pro", "u", "\ud800", "\x00", "é" * 300, "1.2.3", "v1.2.3-rc.1+b", "2026-12-01T09:00:00Z", "9999-12-31T23:59:59+23:59",
    [], [[]], ["US"], {}, {"plan": "pro"}, {"": {"": ""}},
]  # fmt: skip
_ATTRIBUTES = ["userId", "country", "plan", "user", "user.plan", "beta", "x", "email", "name", "age", "since", "app", ""]
_TOKENS = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"1e999",
    b"-",
    b"\\u",
    b"\\ud800",
    b"\xff",
    b"\x00",
    b"NaN",
    b'"not":',
    b'"all":[',
]


class Report(NamedTuple):
    """How it went: cases, how many entries were still understood, were not, and were none; and the longest case, in seconds."""

    cases: int
    understood: int
    not_understood: int
    unusable: int
    longest: float


class _Hand:
    """A source that delivers what it is handed."""

    def start(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def start_in_child(self) -> None:
        pass

    def close(self) -> None:
        pass

    def deliver(self, line: bytes) -> None:
        """Deliver a line beside the neighbour's."""
        self.receiver.deliver({"format": FORMAT_VALUE.encode(), "g.json": line, "neighbour.json": _NEIGHBOUR})


def fuzz(cases: int, *, seed: int) -> Report:
    """Run so many cases. Raises AssertionError with what did not hold."""
    dice, hand = random.Random(seed), _Hand()
    outcomes, longest = {"understood": 0, "not": 0, "unusable": 0}, 0.0
    with Gates(hand) as gates:
        good = render_entry(entry())
        hand.deliver(good.encode())
        for number in range(cases):
            line, context = _mutate(_base(dice), dice), _context(dice)
            took, decisions = _timed(gates, hand, line, context)
            if took > LONGEST:  # by itself, or because a collection of garbage fell into it?
                took = min(_again(gates, hand, line, context) for _ in range(3))
            longest = max(longest, took)
            outcome, good = _judge(line, good)
            outcomes[outcome] += 1
            problem = _problem(decisions, _ask_once(good, context), took)
            assert not problem, f"{problem}: seed {seed}, case {number}, entry {line!r}, context {context!r}"
    return Report(cases, outcomes["understood"], outcomes["not"], outcomes["unusable"], longest)


def _timed(gates: Gates, hand: _Hand, line: bytes, context: Any) -> tuple[float, list[Decision]]:
    began = time.thread_time()
    hand.deliver(line)
    decisions = list(_ask(gates, context))
    return time.thread_time() - began, decisions


def _again(gates: Gates, hand: _Hand, line: bytes, context: Any) -> float:
    hand.deliver(b"")  # else the same bytes would not be read again
    return _timed(gates, hand, line, context)[0]


def _ask(gates: Gates, context: Any) -> Iterator[Decision]:
    yield gates.decide("neighbour", {"userId": "u"})
    yield gates.decide("g", context, default="default")
    yield gates.peek("g", context, default="default")
    with gates.measure("g", context, default="default") as measured:
        yield measured.decision


def _ask_once(line: str, context: Any) -> Decision:
    return Gates.from_rules({"g": line}).decide("g", context, default="default")


def _judge(line: bytes, good: str) -> tuple[str, str]:
    """What a line is, and the line that is in force after it."""
    try:
        read = parse_entry(line, gate="g")
    except UnusableEntryError:
        return "unusable", good
    return "not" if read.problem else "understood", line.decode()


def _problem(decisions: list[Decision], expected: Decision, took: float) -> str:
    neighbour, *answers = decisions
    if neighbour.reason is not Reason.ENROLLED:
        return f"the neighbour answered {neighbour}"
    # By their texts: values may be NaN, which JSON has not but contexts have.
    if any(str(answer) != str(expected) for answer in answers):
        return f"answers {answers} instead of {expected}"
    return f"took {took:.3f} s" if took > LONGEST else ""


def _base(dice: random.Random) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "percent": dice.choice([0, 0.01, 33.33, 50, 100]),
        "eligibility": dice.sample(_TESTS, dice.randrange(4)),
        "hashInput": dice.choice(["UTF8", "CBOR"]),
    }
    extra = dice.choice(
        [{}, {}, {"ship": "treatment"}, {"serve": "KILLED", "latch": "Kill"}, {"overrides": [{"variant": "treatment", "units": ["u"]}]}]
    )
    return copy.deepcopy(entry(**changes, **extra))  # mutated in place


def _mutate(fields: dict[str, Any], dice: random.Random) -> bytes:
    if dice.random() < 0.75:
        for _ in range(dice.randrange(3)):
            _replace_a_node(fields, dice)
        return json.dumps(fields).encode("utf-8", "surrogatepass")
    line = bytearray(render_entry(fields).encode())
    for _ in range(dice.randrange(1, 4)):
        start = dice.randrange(len(line) + 1)
        end = min(len(line), start + dice.choice([0, 0, 1, 1, 5, 40]))
        line[start:end] = dice.choice([b"", dice.choice(_TOKENS), bytes([dice.randrange(256)]), bytes(line[:20])])
    return bytes(line)


def _replace_a_node(fields: dict[str, Any], dice: random.Random) -> None:
    node: Any = fields
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = dice.choice(keys)
        inner = node[key]
        if isinstance(inner, dict | list) and inner and dice.random() < 0.7:
            node = inner
            continue
        if isinstance(node, dict) and dice.random() < 0.2:
            del node[key]
        elif dice.random() < 0.1:
            node[key] = _deep(inner, dice.randrange(1, 200))
        else:
            node[key] = copy.deepcopy(dice.choice(_ODD))
        return


def _deep(inner: Any, depth: int) -> Any:
    for _ in range(depth):
        inner = {"not": inner}
    return inner


def _context(dice: random.Random) -> Any:
    if dice.random() < 0.05:
        return dice.choice(_ODD)
    context: Mapping[str, Any] = {dice.choice(_ATTRIBUTES): dice.choice(_ODD) for _ in range(dice.randrange(5))}
    return {**context, "userId": dice.choice(["u", "v", *_ODD])} if dice.random() < 0.8 else context


def main() -> None:
    """Run as many cases as told, show how far it is, and say how it went."""
    logging.disable()
    cases, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    chunk, done, total, began = 20_000, 0, Report(0, 0, 0, 0, 0.0), time.monotonic()
    while done < cases:
        report = fuzz(min(chunk, cases - done), seed=seed + done)
        total = Report(*(a + b for a, b in zip(total[:4], report[:4], strict=True)), max(total.longest, report.longest))
        done += report.cases
        sys.stderr.write(f"\r{done:,} of {cases:,} cases, {time.monotonic() - began:.0f} s ")
    sys.stderr.write("\n")
    sys.stdout.write(
        f"seed {seed}: {total.cases:,} cases, {total.understood:,} understood, {total.not_understood:,} not, {total.unusable:,} no entry; "
    )
    sys.stdout.write(f"nothing raised, the longest took {total.longest * 1000:.1f} ms of CPU time\n")


if __name__ == "__main__":
    main()
