"""Every YAML block of the documents would be accepted where it belongs: by the API server and the operator, or by the configuration."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rampgate_operator.configuration import load_settings
from rampgate_operator.core.examine import examine
from rampgate_operator.core.problems import problems
from rampgate_operator.core.spec import Spec
from tests.chart.helm import Helm
from tests.docs.pages import ROOT, Block, blocks

YAML = blocks("yaml")
DELIVERED = {"Application", "HelmRelease", "PodMonitor"}
"""Kinds of Argo CD, Flux and Prometheus Operator."""
SOURCES = ("default", "billing")
EXAMPLE = yaml.safe_load((ROOT / "examples" / "experiments" / "new-checkout.yaml").read_text())


def is_experiment(content: Any) -> bool:
    return isinstance(content, dict) and content.get("kind") == "Experiment"


def is_guardrails(content: Any) -> bool:
    return isinstance(content, list) and all({"query", "counters", "errorRate", "slowerThan", "latency"} & item.keys() for item in content)


def is_values(content: Any) -> bool:
    """Of the chart: its settings are written as the operator's own, and tokens and certificates in a way of its own."""
    if not isinstance(content, dict):
        return False
    credentials = any({"token", "ca"} & source.keys() for source in content.get("sources", {}).values())
    return credentials or bool({"image", "admission", "metrics"} & content.keys())


def is_settings(content: Any) -> bool:
    return isinstance(content, dict) and "sources" in content and not is_values(content)


def is_of_others(content: Any) -> bool:
    """Kubernetes' own kinds, a part of a pod, Prometheus' configuration or its stack's values, a CI job."""
    return isinstance(content, dict) and bool(
        {"job_name", "containers", "jobs", "prometheus"} & content.keys() or content.get("kind") in {"Role", "Deployment", *DELIVERED}
    )


def blocks_that(wanted: Any) -> list[Block]:
    return [block for block in YAML if wanted(yaml.safe_load(block.text))]


def judge(manifest: dict[str, Any]) -> None:
    assert [str(problem) for problem in problems(manifest)] == []
    examined = examine(manifest, sources=dict.fromkeys(SOURCES, timedelta(minutes=5)))
    assert isinstance(examined, Spec), examined


@pytest.mark.parametrize("block", YAML, ids=str)
def test_it_is_known_what_a_block_belongs_to(block: Block) -> None:
    content = yaml.safe_load(block.text)
    assert sum(belongs(content) for belongs in (is_experiment, is_guardrails, is_values, is_settings, is_of_others)) == 1


@pytest.mark.parametrize("block", blocks_that(is_experiment), ids=str)
def test_an_experiment_is_accepted(block: Block) -> None:
    judge(yaml.safe_load(block.text))


@pytest.mark.parametrize("block", blocks_that(is_guardrails), ids=str)
def test_guardrails_are_accepted_as_a_part_of_an_experiment(block: Block) -> None:
    judge({**EXAMPLE, "spec": {**EXAMPLE["spec"], "guardrails": yaml.safe_load(block.text)}})


@pytest.mark.parametrize("block", blocks_that(is_settings), ids=str)
def test_a_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "operator.yaml"
    file.write_text(block.text)
    assert set(load_settings(file, {}).sources) == set(SOURCES)


@pytest.mark.parametrize("block", blocks_that(is_values), ids=str)
def test_values_are_accepted_by_the_chart(block: Block, tmp_path: Path) -> None:
    assert Helm("helm3", home=tmp_path).render(yaml.safe_load(block.text)) != []


def test_the_examples_directory_is_judged_the_same() -> None:
    judge(EXAMPLE)
    refused = yaml.safe_load((ROOT / "examples" / "experiments" / "refused.yaml").read_text())
    assert problems(refused) != []
