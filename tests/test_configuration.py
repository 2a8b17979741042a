"""Where settings come from: a file, the environment before it, and refusals of one line each that name the place."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from rampgate_operator.configuration import ConfigurationError, load_settings, unknown_variables
from rampgate_operator.settings import Settings

FILE = """
sources:
  default: {url: "http://prometheus:9090", timeout: 3s}
  billing: {url: "https://billing:9090", tokenFile: /token, maxConcurrent: 2, lookback: 1m}
namespaces: [shop]
resync: 1m
"""


def load(file: Path | None) -> Settings:
    return load_settings(file, os.environ)


def refused(file: Path | None) -> list[str]:
    """What is said, without the directory of the file."""
    with pytest.raises(ConfigurationError) as error:
        load(file)
    assert all("\n" not in line and "pydantic" not in line for line in error.value.lines)
    return [line.replace(f"{file.parent}/" if file else "\0", "") for line in error.value.lines]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "operator.yaml"
    path.write_text(FILE)
    return path


def test_the_file_names_the_sources(file: Path) -> None:
    settings = load(file)
    assert settings.namespaces == ("shop",)
    assert settings.resync == timedelta(minutes=1)
    assert str(settings.sources["default"].url) == "http://prometheus:9090/"
    assert settings.sources["default"].timeout == timedelta(seconds=3)
    assert (settings.sources["billing"].token_file, settings.sources["billing"].max_concurrent) == (Path("/token"), 2)


def test_an_empty_file_sets_nothing(file: Path) -> None:
    file.write_text("# nothing yet\n")
    assert load(file) == Settings()


def test_a_setting_of_two_words_is_written_as_others_are(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("renderFlagd: true")
    assert load(file).render_flagd
    assert load(file).nudge_pods
    monkeypatch.setenv("RAMPGATE_RENDER_FLAGD", "false")
    assert not load(file).render_flagd
    monkeypatch.delenv("RAMPGATE_RENDER_FLAGD")
    file.write_text("renderFlagd: [yes]")
    assert refused(file) == ["operator.yaml: renderFlagd: Input should be a valid boolean"]
    file.write_text("render_flagd: true")
    assert refused(file) == ["operator.yaml: render_flagd: there is no such setting"]


def test_the_environment_goes_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPGATE_NAMESPACES", '["other"]')
    monkeypatch.setenv("RAMPGATE_SOURCES__DEFAULT__URL", "http://elsewhere:9090")
    monkeypatch.setenv("RAMPGATE_SOURCES__BILLING__MAX_CONCURRENT", "3")
    settings = load(file)
    assert settings.namespaces == ("other",)
    assert str(settings.sources["default"].url) == "http://elsewhere:9090/"
    assert settings.sources["default"].timeout == timedelta(seconds=3)
    assert settings.sources["billing"].max_concurrent == 3


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("namespaces: shop", ["operator.yaml: namespaces: write a list, such as [shop]"]),
        ("namespaces: [shop, 'a-*']", ["operator.yaml: namespaces[1]: 'a-*' is no name of a namespace"]),
        ("surces: {}", ["operator.yaml: surces: there is no such setting"]),
        ("_env_file: x", ["operator.yaml: _env_file: there is no such setting"]),
        ("1: x", ["operator.yaml: 1: there is no such setting"]),
        ("sources: [a]", ['operator.yaml: sources: write a mapping, such as {default: {url: "http://prometheus.monitoring:9090"}}']),
        ("sources: {main: http://p}", ['operator.yaml: sources.main: write a mapping, such as {url: "http://prometheus.monitoring:9090"}']),
        ("sources: {main: {}}", ["operator.yaml: sources.main.url: it must be given"]),
        ("sources: {main: {url: 'http://p', 1: 2}}", ["operator.yaml: sources.main.1: there is no such setting"]),
        (
            "sources: {main: {url: 'http://p?x=1', maxConcurrent: 0}}",
            [
                "operator.yaml: sources.main.url: write http://HOST[:PORT][/PREFIX] or https://…, without a query or a fragment",
                "operator.yaml: sources.main.maxConcurrent: Input should be greater than or equal to 1",
            ],
        ),
        (
            "sources: {main: {url: 'http://p', timeout: soon}}",
            ["operator.yaml: sources.main.timeout: 'soon' is no duration such as 300ms, 90s, 10m, 4h or 7d"],
        ),
        ("resync: 1s", ["operator.yaml: resync: write a duration from 10s to 1d"]),
        (
            "workers: 0\nsurces: {}",
            ["operator.yaml: surces: there is no such setting", "operator.yaml: workers: Input should be greater than or equal to 1"],
        ),
        (
            "lease: {identity: one}",
            ["operator.yaml: lease.identity: replicas share this file; each has its own by RAMPGATE_LEASE__IDENTITY"],
        ),
        (
            "lease: {name: My_Lease}",
            ["operator.yaml: lease.name: 'My_Lease' is no name of a Lease: use lower-case letters, digits and hyphens"],
        ),
        ("- a list", ["operator.yaml: write a mapping, such as `namespaces: [shop]`"]),
        ("just words", ["operator.yaml: write a mapping, such as `namespaces: [shop]`"]),
        ("sources: [", ["operator.yaml: line 1, column 11: no YAML: expected the node content, but found '<stream end>'"]),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_file_and_field(text: str, lines: list[str], file: Path) -> None:
    file.write_text(text)
    assert refused(file) == lines


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("RAMPGATE_NAMESPACES", "shop", 'RAMPGATE_NAMESPACES: write JSON, such as ["shop"]'),
        ("RAMPGATE_NAMESPACES", '"shop"', 'RAMPGATE_NAMESPACES: write JSON, such as ["shop"]'),
        ("RAMPGATE_NAMESPACES", "", 'RAMPGATE_NAMESPACES: write JSON, such as ["shop"]'),
        ("RAMPGATE_NAMESPACES", '["a", "B"]', "RAMPGATE_NAMESPACES: [1]: 'B' is no name of a namespace"),
        ("RAMPGATE_SOURCES", "x", 'RAMPGATE_SOURCES: write JSON, such as {"default": {"url": "http://prometheus.monitoring:9090"}}'),
        ("RAMPGATE_SOURCES", '{"main": {}}', "RAMPGATE_SOURCES: main.url: it must be given"),
        ("RAMPGATE_SOURCES__MAIN", "x", 'RAMPGATE_SOURCES__MAIN: write JSON, such as {"url": "http://prometheus.monitoring:9090"}'),
        ("RAMPGATE_SOURCES__MAIN__TIMEOUT", "1s", "RAMPGATE_SOURCES__MAIN__URL: it must be given"),
        ("RAMPGATE_WORKERS", "many", "RAMPGATE_WORKERS: Input should be a valid integer, unable to parse string as an integer"),
    ],
)
def test_a_mistake_in_the_environment_is_one_line_with_the_variable(
    name: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert refused(None) == [line]


def test_a_mistake_is_told_where_it_was_made(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(FILE + "workers: 0")
    monkeypatch.setenv("RAMPGATE_SOURCES__BILLING__MAX_CONCURRENT", "0")
    assert refused(file) == [
        "RAMPGATE_SOURCES__BILLING__MAX_CONCURRENT: Input should be greater than or equal to 1",
        "operator.yaml: workers: Input should be greater than or equal to 1",
    ]


def test_a_password_in_a_url_is_not_repeated(file: Path) -> None:
    file.write_text("sources: {main: {url: 'http://someone:secret@p/?x=1'}}")
    assert "secret" not in "".join(refused(file))


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent.yaml") == ["absent.yaml: No such file or directory"]


def test_a_misspelled_variable_is_named_and_a_setting_is_not() -> None:
    environment = ["HOME", "RAMPGATE_SORCES__DEFAULT__URL", "RAMPGATE_SOURCES__DEFAULT__URL", "RAMPGATE_WORKERS", "RAMPGATE_WORKER"]
    assert unknown_variables(environment) == ("RAMPGATE_SORCES__DEFAULT__URL", "RAMPGATE_WORKER")
