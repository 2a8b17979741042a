"""Write `docs/states.md`, how an attempt moves and why, from the state machine and the reasons: `python -m tools.states`, or `--check`.

Knows the table of ramp.py and the sentences of reasons.py; adds nothing of its own to either.
"""

import sys
from collections.abc import Iterator

from rampgate_operator.core.ramp import TRANSITIONS, Trigger
from rampgate_operator.core.reasons import SENTENCES, Reason
from rampgate_operator.core.status import Phase, WaitingFor
from tools.generated import ROOT, write_or_check

FILE = ROOT / "docs" / "states.md"
HEADER = """<!-- Generated from operator/rampgate_operator/core by `python -m tools.states`; edit ramp.py, triggers.py or reasons.py. -->
# How an attempt moves

What is not drawn here changes nothing. When several triggers fire at once, the first in this order wins:
"""


def text() -> str:
    """Give the file's content."""
    return "\n".join((HEADER + ", ".join(f"`{trigger}`" for trigger in Trigger) + ".", *_diagram(), *_waits(), *_reasons())) + "\n"


def _diagram() -> Iterator[str]:
    yield "\n```mermaid\nstateDiagram-v2\n    [*] --> Pending"
    for source in Phase:
        for target in Phase:
            triggers = [trigger for (phase, trigger), to in TRANSITIONS.items() if (phase, to) == (source, target)]
            if triggers:
                yield f"    {source} --> {target}: {', '.join(triggers)}"
    yield "```"


def _waits() -> Iterator[str]:
    yield (
        "\n## What a ramp waits for\n\n`status.waitingFor` is the first of these that holds: "
        + ", ".join(f"`{word}`" for word in WaitingFor)
        + ".\nTwo reasons come after all of them, since the hold may yet end them: "
        + f"`{Reason.READING_TOO_EARLY}` (`{WaitingFor.METRICS}`) and `{Reason.NOT_SHOWN_SAFE}` (`{WaitingFor.GUARDRAIL}`)."
    )


def _reasons() -> Iterator[str]:
    yield "\n## Reasons\n\nThe same word stands in conditions, Events, `status.history` and the log.\n\n| reason | sentence |\n|---|---|"
    for reason, sentence in SENTENCES.items():
        yield f"| `{reason}` | {sentence.replace('{{', '{').replace('}}', '}')} |"


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with `--check` say whether it is up to date: exit status 1 when it is not."""
    return write_or_check(FILE, text, module="tools.states", arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
