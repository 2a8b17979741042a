"""The operator's configuration: a file, the environment before it, and refusals that name the field."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from rampgate_operator.settings import load_settings, unknown_variables

FILE = """
sources:
  default: {url: "http://prometheus:9090", timeout: 3s}
  billing: {url: "https://billing:9090", tokenFile: /token, maxConcurrent: 2, lookback: 1m}
namespaces: [shop]
resync: 1m
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rampgate.yaml"
    path.write_text(FILE)
    return path


def test_without_a_file_all_namespaces_are_watched_and_no_source_is_known() -> None:
    settings = load_settings(None)
    assert (settings.namespaces, settings.sources) == ((), {})


def test_the_file_names_the_sources(file: Path) -> None:
    settings = load_settings(file)
    assert settings.namespaces == ("shop",)
    assert settings.resync == timedelta(minutes=1)
    assert str(settings.sources["default"].url) == "http://prometheus:9090/"
    assert settings.sources["default"].timeout == timedelta(seconds=3)
    assert (settings.sources["billing"].token_file, settings.sources["billing"].max_concurrent) == (Path("/token"), 2)


def test_the_environment_goes_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPGATE_NAMESPACES", '["other"]')
    monkeypatch.setenv("RAMPGATE_SOURCES__DEFAULT__URL", "http://elsewhere:9090")
    settings = load_settings(file)
    assert settings.namespaces == ("other",)
    assert str(settings.sources["default"].url) == "http://elsewhere:9090/"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("surces: {}", "surces"),
        ("sources: {default: {url: prometheus}}", "sources.default.url"),
        ("sources: {default: {url: 'http://p:9090', timeout: soon}}", "sources.default.timeout"),
        ("workers: 0", "workers"),
    ],
)
def test_a_mistake_is_refused_by_the_name_of_its_field(text: str, field: str, tmp_path: Path) -> None:
    path = tmp_path / "rampgate.yaml"
    path.write_text(text)
    with pytest.raises(ValidationError) as refused:
        load_settings(path)
    assert field in {".".join(map(str, error["loc"])) for error in refused.value.errors()}


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_settings(tmp_path / "absent.yaml")


def test_a_misspelled_variable_is_named_and_a_setting_is_not() -> None:
    environment = ["HOME", "RAMPGATE_SORCES__DEFAULT__URL", "RAMPGATE_SOURCES__DEFAULT__URL", "RAMPGATE_WORKERS", "RAMPGATE_WORKER"]
    assert unknown_variables(environment) == ("RAMPGATE_SORCES__DEFAULT__URL", "RAMPGATE_WORKER")
