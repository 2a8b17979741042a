"""`rampgate simulate`: how often do these guardrails roll back a healthy ramp, and how soon a sick one? Asks no cluster, no Prometheus."""

import argparse
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rampgate_operator.cli.simulated import Result
    from rampgate_operator.core.spec import Spec
    from rampgate_operator.simulation.scenarios import Scenario

EPILOG = """\
one row for a world in which nothing is worse, and one for each --harm of each guardrail: it is that many times as often met in the first
treatment; requests are independent, and each is another unit; approvals are given at once, there is no schedule, and minExposures counts
requests
examples:
  rampgate simulate -f experiment.yaml --base-rate 1% --traffic 100/s
  rampgate simulate -f experiment.yaml --base-rate 1% --base-rate slow=5% --traffic 6000/m --harm 1.2 --harm 2 --plot power.svg
exit status: 0 simulated; 1 the Experiment is faulty (rampgate lint says where), or has no guardrail that compares; 2 wrong usage, or a
file that cannot be read or written; 3 an extra is not installed: `operator` and `plots`
"""
_SECONDS = {"s": 1, "m": 60, "h": 3600}
MOST_RUNS = 100_000


def add_to(subcommands: Any) -> None:  # noqa: ANN401  # argparse's type is private
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "simulate",
        help="try guardrails on simulated ramps, before real ones",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--filename", "-f", required=True, metavar="FILE", help="YAML with the Experiment; - reads standard input")
    parser.add_argument("--name", help="which Experiment, where the file has several")
    parser.add_argument(
        "--base-rate",
        action="append",
        required=True,
        type=_base_rate,
        metavar="[GUARDRAIL=]RATE",
        help="how often what is counted happens in control: 1%%; of a latency, the shares above each of its buckets: 30%%,5%%,1%%",
    )
    parser.add_argument("--traffic", required=True, type=_traffic, metavar="NUMBER/s", help="requests of all eligible units; also /m, /h")
    parser.add_argument(
        "--harm", action="append", type=_harm, metavar="RATIO", help="how many times as often in the first treatment (default: 1.5 and 2)"
    )
    parser.add_argument("--runs", type=_runs, default=1000, help="ramps of each row (default: %(default)s)")
    parser.add_argument("--seed", type=_seed, default=1, help="another one gives other ramps (default: %(default)s)")
    parser.add_argument("--plot", type=_picture, metavar="FILE.png|.svg", help="draw it as well")
    parser.add_argument("--output", "-o", choices=("text", "json"), default="text", help="how to print it (default: %(default)s)")
    parser.set_defaults(run=run, extra="operator,plots")


def run(arguments: argparse.Namespace) -> int:
    """Print what comes out; returns the exit status that EPILOG explains."""
    from rampgate_operator.cli.simulated import as_json, as_text
    from rampgate_operator.simulation.scenarios import UnusableError, scenarios

    save = _drawing() if arguments.plot is not None else None
    try:
        found = _experiment(arguments)
        harms = arguments.harm or [1.5, 2.0]
        asked = scenarios(found[1], per_second=arguments.traffic, rates=dict(arguments.base_rate), harms=harms)
    except UnusableError as error:
        return _refuse(str(error), status=1)
    except OSError as error:
        return _refuse(f"{arguments.filename}: {error.strerror}", status=2)
    result = _simulate(*found, asked, arguments)
    try:
        if save is not None:
            save(result, arguments.plot)
    except OSError as error:
        return _refuse(f"{arguments.plot}: {error.strerror}", status=2)
    sys.stdout.write(as_json(result) if arguments.output == "json" else as_text(result))
    return 0


def _drawing() -> "Callable[[Result, Path], None]":
    """Give what draws: before the work begins, for its extra may be missing."""
    from rampgate_operator.cli.plot import save

    return save


def _experiment(arguments: argparse.Namespace) -> "tuple[str, Spec]":
    """Read the Experiment. Raises OSError and UnusableError."""
    from rampgate_operator.core.lint import read_experiments
    from rampgate_operator.simulation.scenarios import UnusableError

    content = sys.stdin.buffer.read() if arguments.filename == "-" else Path(arguments.filename).read_bytes()
    known = read_experiments(content)
    wanted = {name: spec for name, spec in known.items() if arguments.name in (None, name)}
    if not wanted:
        raise UnusableError(f"no Experiment {f'named {arguments.name} ' if arguments.name else ''}in {arguments.filename}")
    if len(wanted) > 1:
        raise UnusableError(f"several Experiments in {arguments.filename}: choose one with --name, of {', '.join(wanted)}")
    (name, spec) = next(iter(wanted.items()))
    if spec is None:
        raise UnusableError(f"Experiment {name} would be refused: `rampgate lint {arguments.filename}` says why")
    return name, spec


def _simulate(name: str, spec: "Spec", asked: "tuple[Scenario, ...]", arguments: argparse.Namespace) -> "Result":
    """Play every scenario; a bar shows how far it is, where somebody watches."""
    import numpy as np
    from tqdm import tqdm

    from rampgate_operator.cli.simulated import Result, Row
    from rampgate_operator.simulation.plan import plan
    from rampgate_operator.simulation.scenarios import assumed, left_out
    from rampgate_operator.simulation.summary import summarise
    from rampgate_operator.simulation.twin import run as play
    from rampgate_operator.simulation.world import arriving

    planned, rows = plan(spec), []
    with tqdm(total=len(asked) * planned.scheduled, unit=" looks", disable=None, leave=False, delay=1) as bar:
        for index, scenario in enumerate(asked):
            chance, last = np.random.default_rng((arguments.seed, index)), (index + 1) * planned.scheduled
            ended = play(
                planned,
                arriving(spec, scenario.world, chance),
                number=arguments.runs,
                progress=partial(_move, bar, last),
            )
            bar.update(last - bar.n)
            rows.append(Row(scenario=scenario, summary=summarise(planned, ended), ended=ended))
    return Result(
        experiment=name,
        planned=planned,
        per_second=arguments.traffic,
        runs=arguments.runs,
        seed=arguments.seed,
        rows=tuple(rows),
        left_out=left_out(spec),
        assumed=assumed(spec),
    )


def _move(bar: Any, last: int) -> None:  # noqa: ANN401  # tqdm ships no types
    """Move a bar by one look; a ramp that is held takes more of them than are scheduled."""
    bar.update(bar.n < last)


def _base_rate(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, rates = text.rpartition("=")
    return name, tuple(_rate(each) for each in rates.split(","))


def _rate(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:[.][0-9]+)?)(%?)", text)
    rate = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < rate < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate between 0 and 100 %: write 1% or 0.01")
    return rate


def _traffic(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:[.][0-9]+)?)/([smh])", text)
    traffic = float(found[1]) / _SECONDS[found[2]] if found else 0.0
    if not 0 < traffic <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no traffic: write 100/s, 6000/m or 20000/h, at most 1000000/s")
    return traffic


def _harm(text: str) -> float:
    try:
        harm = float(text)
    except ValueError:
        harm = 0.0
    if not 0 < harm <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no ratio: write 2 for twice as many")
    return harm


def _seed(text: str) -> int:
    """Read what numpy takes for a seed."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


def _runs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_RUNS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_RUNS:,}")
    return int(text)


def _picture(text: str) -> Path:
    if Path(text).suffix not in {".png", ".svg"}:
        raise argparse.ArgumentTypeError(f"{text!r} must end in .png or .svg")
    return Path(text)


def _refuse(line: str, *, status: int) -> int:
    sys.stderr.write(f"rampgate simulate: {line}\n")
    return status
