"""`python -m tools.demo [--keep] [--untimed]`: plays the story and ends with the table of checks.

Exit status: 0 all checks ok; 1 one failed, or something did not start; 130 interrupted.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from subprocess import CalledProcessError
from types import FrameType
from typing import NoReturn

from tools.demo.audience import seat
from tools.demo.checks import Report
from tools.demo.deeds import Play
from tools.demo.keeping import invite, wait_for_interrupt
from tools.demo.scenario import play
from tools.demo.sources import Sources
from tools.demo.stage import set_up
from tools.demo.timeline import Timeline
from tools.demo.witness import NotSeenError
from tools.devcluster.binaries import BinaryMissingError
from tools.devcluster.server import ServerError

INTERRUPTED = 130


def main() -> int:
    """Play, and return the exit status."""
    options = _parser().parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):  # both unwind, so that everything ends in order; a background job ignores SIGINT else
        signal.signal(each, interrupt)
    timeline = Timeline(started=time.time())
    report = Report(timed=not options.untimed)
    directory = Path(tempfile.mkdtemp(prefix="rampgate-demo-"))
    try:
        _run(directory, timeline, report, keep=options.keep)
    except KeyboardInterrupt:
        timeline.plain("interrupted: everything has been stopped")
        shutil.rmtree(directory, ignore_errors=True)
        return INTERRUPTED
    except (BinaryMissingError, ServerError) as error:
        timeline.plain(f"demo: {error}")
    if report.exit_status == 0:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        timeline.plain(f"the logs are in {directory}")
    return report.exit_status


def _run(directory: Path, timeline: Timeline, report: Report, *, keep: bool) -> None:
    timeline.act("A control plane, Prometheus, the operator, 3 processes of a shop, and its users")
    with set_up(directory, timeline.say) as stage:
        sources = Sources()
        try:
            _play(Play(stage, seat(stage, timeline, sources), report, timeline))
        finally:
            sources.close()
        timeline.plain(report.table())
        timeline.say("the end")
        if keep:
            invite(stage, timeline, went_well=not report.failed)
            wait_for_interrupt(stage, timeline)


def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Say at once that it is heard, for it takes seconds until everything has ended; then raise KeyboardInterrupt."""
    os.write(sys.stdout.fileno(), b"\nstopping everything\n")  # not print: the signal may come in the middle of one
    raise KeyboardInterrupt


def _play(scene: Play) -> None:
    try:
        play(scene)
    except NotSeenError as error:
        scene.timeline.say(f"the demo cannot go on: {error}")
        for part in scene.stage.ended():
            scene.timeline.say(f"{part} does not run")
        scene.timeline.say("the operator's last words:")
        scene.timeline.show(scene.stage.operator.last_words())
    except CalledProcessError as error:
        scene.timeline.say(f"the demo cannot go on: {error}: {error.stderr}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--untimed", action="store_true", help="tell the measured seconds, but judge none: for a busy machine")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, with things to try, until Ctrl-C")
    return parser


if __name__ == "__main__":
    sys.exit(main())
