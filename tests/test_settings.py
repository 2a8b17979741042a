"""What may be set, and within which bounds."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from rampgate_operator.settings import Settings, SourceSettings


def test_without_a_word_all_namespaces_are_watched_and_no_source_is_known() -> None:
    settings = Settings()
    assert (settings.namespaces, settings.sources) == ((), {})


def test_the_environment_goes_before_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMPGATE_WORKERS", "3")
    assert Settings(workers=5).workers == 3


def test_durations_are_written_as_the_resource_writes_them() -> None:
    source = SourceSettings.model_validate({"url": "http://p:9090", "timeout": "300ms", "lookback": "1m", "tokenFile": "/token"})
    assert (source.timeout, source.lookback, source.token_file) == (timedelta(milliseconds=300), timedelta(minutes=1), Path("/token"))


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ftp://x"},
        {"url": "x"},
        {"url": "http://"},
        {"url": "http://[::1"},
        {"url": "http://x:99999"},
        {"url": "http://x:0"},
        {"url": "http://x/?query=1"},
        {"url": "http://x/?"},
        {"url": "http://x/#part"},
        {"maxConcurrent": 0},
        {"maxConcurrent": 65},
        {"timeout": "0s"},
        {"timeout": "3m"},
        {"timeout": "999999999999d"},
        {"lookback": "0s"},
        {"lookback": timedelta(seconds=-1)},
        {"lookback": "2h"},
        {"token": "secret"},
    ],
    ids=str,
)
def test_a_source_that_cannot_work_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SourceSettings.model_validate({"url": "http://x", **changes})


@pytest.mark.parametrize(
    "arguments",
    [
        {"workers": 0},
        {"workers": 65},
        {"resync": "9s"},
        {"resync": "2d"},
        {"namespaces": ["shop-*"]},
        {"namespaces": [""]},
        {"namespaces": ["Shop"]},
        {"namespaces": "shop"},
    ],
    ids=str,
)
def test_a_setting_out_of_its_bounds_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://prometheus:9090", "http://prometheus:9090"),
        ("http://prometheus:80/", "http://prometheus"),
        ("https://someone:secret@prometheus/tenant/a/", "https://prometheus/tenant/a"),
        ("http://[::1]:9090/prefix", "http://[::1]:9090/prefix"),
    ],
)
def test_a_url_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert SourceSettings.model_validate({"url": url}).shown_url == shown
