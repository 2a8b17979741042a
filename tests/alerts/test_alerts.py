"""The alerts, each with what it must say and must not say, by Prometheus' own promtool."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.cases import CASES, Case
from tests.chart.helm import CHART, Helm, the
from tools.devcluster.binaries import require

FILE = Path(__file__).parents[2] / "charts" / "rampgate" / "files" / "alerts.yaml"
RULES = {rule["alert"]: rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]}


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run([require("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def expanded(text: str, labels: dict[str, str], value: float) -> str:
    """A template as Prometheus expands it, as far as ours go: labels and the value."""
    return re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], text).replace("{{ $value }}", f"{value:g}")


def expected(case: Case) -> list[dict[str, Any]]:
    rule = RULES[case.alert]
    if case.fires is None:
        return []
    texts = {name: expanded(text, case.fires, case.value) for name, text in rule["annotations"].items()}
    return [{"exp_labels": rule["labels"] | case.fires, "exp_annotations": texts}]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.sentence}")
def test_an_alert_fires_when_it_must_and_only_then(case: Case, tmp_path: Path) -> None:
    at = f"{case.minutes}m"
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": samples} for series, samples in case.series.items()],
        "alert_rule_test": [{"alertname": case.alert, "eval_time": at, "exp_alerts": expected(case)}],
    }
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", file)


def test_promtool_finds_nothing_to_say_of_them() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", FILE)


@pytest.mark.parametrize("name", ["helm3", "helm4"])
def test_the_chart_hands_them_on_as_they_are(name: str, tmp_path: Path) -> None:
    rendered = Helm(name, home=tmp_path).render({"metrics": {"prometheusRule": {"enabled": True}}})
    assert the(rendered, "PrometheusRule", "rampgate")["spec"] == yaml.safe_load(FILE.read_text())


def test_of_a_release_by_another_name_they_name_what_there_is(tmp_path: Path) -> None:
    values = {"metrics": {"prometheusRule": {"enabled": True}}}
    printed = Helm("helm3", home=tmp_path).run("template", "team-a", CHART, "--namespace", "shop-a", values=values).stdout
    rules = next(each for each in yaml.safe_load_all(printed) if each and each["kind"] == "PrometheusRule")["spec"]["groups"]
    of = {rule["alert"]: rule for group in rules for rule in group["rules"]}
    assert of["RampgateOperatorAbsent"]["expr"] == 'absent(rampgate_operator_leader{namespace="shop-a"})'
    assert "kubectl get lease team-a-operator -n" in of["RampgateNoLeader"]["annotations"]["description"]
    assert "rampgate-operator" not in json.dumps(rules)
    assert 'namespace="rampgate"' not in yaml.safe_dump(rules)


@pytest.mark.parametrize("base", ["https://git.shop.example/rampgate", "https://git.shop.example/rampgate/"])
def test_the_chart_makes_a_whole_url_of_the_way_to_the_runbook(base: str, tmp_path: Path) -> None:
    rendered = Helm("helm3", home=tmp_path).render({"metrics": {"prometheusRule": {"enabled": True, "runbookBase": base}}})
    groups = the(rendered, "PrometheusRule", "rampgate")["spec"]["groups"]
    urls = {rule["alert"]: rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]}
    assert urls == {name: f"{base.rstrip('/')}/{rule['annotations']['runbook_url']}" for name, rule in RULES.items()}


@pytest.mark.parametrize("alert", RULES)
def test_each_is_seen_to_fire_and_to_be_silent(alert: str) -> None:
    assert {case.fires is None for case in CASES if case.alert == alert} == {True, False}


@pytest.mark.parametrize("alert", RULES)
def test_each_says_how_bad_it_is_what_to_run_and_where_to_read_on(alert: str) -> None:
    rule = RULES[alert]
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{alert.lower()}"
    assert re.search(r"`kubectl [^`]+`$", rule["annotations"]["description"])
