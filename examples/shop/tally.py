"""What the shop's users were shown, counted by the client: who was enrolled at which percentage, and whether anybody was moved.

Knows the shop's answers only: it is the users' side of the story, beside the operator's and Prometheus'.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

ENROLLED, NOT_ENROLLED = "ENROLLED", "NOT_ENROLLED"
KEPT_STEPS = 20
"""How many (attempt, percentage) pairs are remembered; the oldest goes first."""

Step = tuple[int, float]
"""Attempt and percentage."""


@dataclass
class Tally:
    """Grows by the number of users and attempts, not of requests."""

    requests: int = 0
    enrolled: int = 0
    """Requests of enrolled users, in whichever arm."""
    failed: int = 0
    unanswered: int = 0
    moved: set[str] = field(default_factory=set)
    """Users who were shown another arm than before."""
    dropped: set[str] = field(default_factory=set)
    """Users who were enrolled at a percentage and not at a higher one of the same attempt."""
    _seen: dict[Step, dict[str, bool]] = field(default_factory=dict)
    _arms: dict[str, str] = field(default_factory=dict)
    _enrolled_at: dict[tuple[str, int], float] = field(default_factory=dict)
    """By user and attempt: the percentage at which the user was enrolled first."""

    def add(self, user: str, answer: Mapping[str, object], *, failed: bool) -> None:
        """Take in one answer of /checkout."""
        self.requests += 1
        self.failed += failed
        if answer["reason"] not in (ENROLLED, NOT_ENROLLED):
            return
        step = (int(str(answer["attempt"])), float(str(answer["percent"])))
        is_enrolled = answer["reason"] == ENROLLED
        self._users_of(step)[user] = is_enrolled
        if is_enrolled:
            self.enrolled += 1
            self._enrolled_at.setdefault((user, step[0]), step[1])
            if self._arms.setdefault(user, str(answer["variant"])) != answer["variant"]:
                self.moved.add(user)
        elif self._enrolled_at.get((user, step[0]), inf) <= step[1]:
            self.dropped.add(user)

    def summary(self) -> dict[str, object]:
        """Give the counts as JSON: `steps` is keyed by attempt/percent, such as 1/10."""
        steps = {f"{attempt}/{percent:g}": _count(users) for (attempt, percent), users in self._seen.items()}
        return {
            "requests": self.requests,
            "enrolled": self.enrolled,
            "failed": self.failed,
            "unanswered": self.unanswered,
            "moved": len(self.moved),
            "dropped": len(self.dropped),
            "steps": steps,
        }

    def _users_of(self, step: Step) -> dict[str, bool]:
        if step not in self._seen and len(self._seen) >= KEPT_STEPS:
            del self._seen[next(iter(self._seen))]
        return self._seen.setdefault(step, {})


def _count(users: Mapping[str, bool]) -> dict[str, int]:
    return {"users": len(users), "enrolled": sum(users.values())}
