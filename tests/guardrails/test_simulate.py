"""`rampgate simulate`, as a person runs it."""

import json
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from rampgate_operator.__main__ import main
from rampgate_operator.cli.simulated import Row
from rampgate_operator.simulation.scenarios import Scenario
from rampgate_operator.simulation.world import World

ROOT = Path(__file__).parents[2]
GUARDED = str(ROOT / "examples" / "experiments" / "guarded.yaml")
QUERIES = str(ROOT / "examples" / "experiments" / "new-checkout.yaml")
REFUSED = str(ROOT / "examples" / "experiments" / "refused.yaml")
WORLD = ("--base-rate", "1%", "--base-rate", "slow=5%", "--traffic", "100/s", "--runs", "200")
LATENCY = Path(GUARDED).read_text().replace("slowerThan: 250ms", "latency: {buckets: [100ms, 250ms, 1s]}")


def simulate(capfd: pytest.CaptureFixture[str], *arguments: str, file: str = GUARDED) -> tuple[int, str, str]:
    status = main(["simulate", "-f", file, *arguments])
    return status, *capfd.readouterr()


def result(capfd: pytest.CaptureFixture[str], *arguments: str, file: str = GUARDED) -> dict[str, Any]:
    status, out, _ = simulate(capfd, *WORLD, "--output", "json", *arguments, file=file)
    assert status == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_healthy_ramp_is_rarely_rolled_back_and_a_sick_one_soon(capfd: pytest.CaptureFixture[str]) -> None:
    found = result(capfd, "--harm", "2")
    healthy, *sick = found["scenarios"]
    assert (healthy["guardrail"], healthy["harm"], healthy["held"]) == (None, 1.0, 0.0)
    assert healthy["rolledBack"] <= found["falseRollbackRate"] + 3 * 0.0155  # standard errors of 5 % of 200
    assert [each["guardrail"] for each in sick] == ["errors", "slow", "orders"]
    assert [each["rolledBack"] for each in sick] == [1.0] * 3
    assert all(each["medianMinutes"] < 150 and each["medianRequests"] < 10_000 for each in sick)
    assert all(sum(step["share"] for step in each["steps"]) == pytest.approx(1) for each in sick)


def test_the_same_seed_gives_the_same_ramps_and_another_one_others(capfd: pytest.CaptureFixture[str]) -> None:
    first, again, other = (result(capfd, "--harm", "1.5", "--seed", seed)["scenarios"][1] for seed in ("1", "1", "2"))
    assert first == again
    assert first != other


def test_a_row_of_text_is_a_world_with_its_rates(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, _ = simulate(capfd, *WORLD)
    assert status == 0
    assert "express-checkout: 200 ramps a row, 100 requests/s, 390 looks every 1m, falseRollbackRate 5 %" in out
    assert [line.split("  ")[0] for line in out.splitlines() if "→" in line or line.startswith("no harm")] == [
        "no harm",
        "errors 1 → 1.5 %",
        "errors 1 → 2 %",
        "slow 5 → 7.5 %",
        "slow 5 → 10 %",
        "orders 1 → 1.5 %",
        "orders 1 → 2 %",
    ]


def test_a_latency_has_a_rate_for_each_bucket(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "latency.yaml"
    file.write_text(LATENCY)
    found = result(capfd, "--base-rate", "slow=30%,5%,1%", "--harm", "1.5", file=str(file))
    assert found["scenarios"][2]["baseRates"]["slow"] == [0.3, 0.05, 0.01]
    assert found["scenarios"][2]["rolledBack"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "file", "status", "said"),
    [
        (WORLD, QUERIES, 1, "no guardrail with maxIncrease: what can be simulated are comparisons of what is counted"),
        (WORLD, REFUSED, 1, f"would be refused: `rampgate lint {REFUSED}` says why"),
        (WORLD, "none.yaml", 2, "none.yaml: No such file or directory"),
        ((*WORLD, "--name", "other"), GUARDED, 1, f"no Experiment named other in {GUARDED}"),
        ((*WORLD, "--base-rate", "typo=1%"), GUARDED, 1, "no guardrail named typo is simulated; there are errors, orders, slow"),
        ((*WORLD, "--base-rate", "slow=5%,1%"), GUARDED, 1, "guardrail slow needs 1 rate, no more: --base-rate slow=30%"),
        (("--base-rate", "slow=5%", "--traffic", "9/m"), GUARDED, 1, "guardrail errors needs a rate: --base-rate errors=1%"),
        ((*WORLD, "--plot", "no/such/folder.svg"), GUARDED, 2, "no/such/folder.svg: No such file or directory"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_what_to_do(
    arguments: tuple[str, ...], file: str, status: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ended, out, err = simulate(capfd, *arguments, file=file)
    assert (ended, out) == (status, "")
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--base-rate", "1.5", "--traffic", "1/s"), "'1.5' is no rate between 0 and 100 %: write 1% or 0.01"),
        (("--base-rate", "1%", "--traffic", "100"), "'100' is no traffic: write 100/s, 6000/m or 20000/h"),
        ((*WORLD, "--harm", "twice"), "'twice' is no ratio: write 2 for twice as many"),
        ((*WORLD, "--runs", "0"), "'0' is no number from 1 to 100,000"),
        ((*WORLD, "--plot", "power.pdf"), "'power.pdf' must end in .png or .svg"),
    ],
)
def test_wrong_usage_says_what_is_right(arguments: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        simulate(capfd, *arguments)
    assert ended.value.code == 2
    assert said in capfd.readouterr().err


def test_queries_beside_counts_are_left_out_and_said_to_be(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "mixed.yaml"
    file.write_text(Path(GUARDED).read_text() + "    - {name: p99, query: p99, max: 1}\n    - {name: any, errorRate: {}, max: 0.1}\n")
    assert result(capfd, "--harm", "2", file=str(file))["leftOut"].keys() == {"p99", "any"}
    assert "not simulated: p99: a query may be of anything" in simulate(capfd, *WORLD, file=str(file))[1]


def test_a_dispersion_that_only_a_cluster_can_measure_is_taken_as_1_and_said_to_be(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file, text = tmp_path / "measured.yaml", Path(GUARDED).read_text()
    file.write_text(text.replace("slowerThan: 250ms", "slowerThan: 250ms\n      dispersion: {measuredOver: 30m}"))
    measured, known = result(capfd, "--harm", "2", file=str(file)), result(capfd, "--harm", "2")
    assert (measured["assumed"].keys(), known["assumed"]) == ({"slow"}, {})
    assert measured["scenarios"] == known["scenarios"]
    said = "assumed: slow: dispersion is measured over 30m: here events are independent, and it is 1"
    assert said in simulate(capfd, *WORLD, file=str(file))[1]


def test_of_several_experiments_one_is_chosen_by_name(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, text = tmp_path / "two.yaml", Path(GUARDED).read_text()
    file.write_text(f"{text}\n---\n{text.replace('express-checkout', 'search')}")
    assert "choose one with --name, of express-checkout, search" in simulate(capfd, *WORLD, file=str(file))[2]
    assert result(capfd, "--name", "search", file=str(file))["experiment"] == "search"


@pytest.mark.parametrize(("name", "begins"), [("power.png", b"\x89PNG"), ("power.svg", b"<?xml")])
def test_it_is_drawn_as_well(name: str, begins: bytes, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = simulate(capfd, *WORLD, "--plot", str(tmp_path / name))
    assert (status, err) == (0, "")
    assert (tmp_path / name).read_bytes().startswith(begins)


@pytest.mark.parametrize("missing", ["numpy", "matplotlib"])
def test_a_missing_extra_is_named(missing: str) -> None:
    script = f"import sys; sys.modules['{missing}'] = None; from rampgate_operator.__main__ import main; sys.exit(main(sys.argv[1:]))"
    ended = python("-c", script, "simulate", "-f", GUARDED, *WORLD, "--plot", "never.png")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith(f"rampgate: {missing}")
    assert "is not installed; this command needs the extra `operator,plots`" in ended.stderr


def test_no_bar_is_drawn_where_nobody_watches() -> None:
    ended = python("-m", "rampgate_operator", "simulate", "-f", GUARDED, *WORLD)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_file_may_come_from_standard_input() -> None:
    ended = python("-m", "rampgate_operator", "simulate", "-f", "-", *WORLD, stdin=Path(GUARDED).read_text())
    assert ended.stdout.startswith("express-checkout: ")


def python(*arguments: str, stdin: str = "") -> "CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)


def test_no_rate_is_shown_above_all() -> None:
    scenario = Scenario(guardrail="slow", harm=5.0, world=World(per_second=1, rates={"slow": (0.3, 0.1)}))
    assert Row(scenario=scenario, summary=None, ended=None).title == "slow 30/10 → 100/50 %"  # type: ignore[arg-type]
