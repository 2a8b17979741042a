"""The operator's configuration: a validated YAML file, plus environment variables `RAMPGATE_…` that go before it.

Metrics sources are named here and nowhere else: a tenant's resource refers to a name, never to a URL.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AnyHttpUrl, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from rampgate_operator.core.quantities import duration

PREFIX = "RAMPGATE_"
Span = Annotated[timedelta, BeforeValidator(lambda value: duration(value) if isinstance(value, str) else value)]
"""A duration as the resource writes it: `10s`, `5m`."""


class SourceSettings(BaseModel):
    """One Prometheus."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True)

    url: AnyHttpUrl
    """Its base URL; redirects are not followed."""
    token_file: Path | None = None
    """A file with a bearer token, read again at every request."""
    ca_file: Path | None = None
    """A CA bundle to verify it by; by default the public ones that `requests` ships."""
    timeout: Span = timedelta(seconds=10)
    """The longest that one answer may take."""
    max_concurrent: Annotated[int, Field(ge=1, le=64)] = 8
    """How many queries may be under way at once."""
    lookback: Span = timedelta(minutes=5)
    """How old a sample an instant selector may return."""


class Settings(BaseSettings):
    """All that `rampgate operator` can be told."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    namespaces: tuple[str, ...] = ()
    """The namespaces to watch; all of them by default."""
    sources: dict[str, SourceSettings] = {}
    """The Prometheus servers that guardrails may name; `default` is the one they name when they say nothing."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """How many Experiments are reconciled at once."""
    resync: Span = timedelta(minutes=5)
    """How often everything is listed again, against deletions that the watch missed."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)


def unknown_variables(environment: Iterable[str]) -> tuple[str, ...]:
    """Give the environment variables that begin as ours do and name no setting: most likely misspelled.

    They cannot be refused: Kubernetes sets some of its own for a Service whose name begins with `rampgate`.
    """
    names = {field.upper() for field in Settings.model_fields}
    ours = (name for name in environment if name.startswith(PREFIX))
    return tuple(sorted(name for name in ours if name.removeprefix(PREFIX).split("__")[0].upper() not in names))


def load_settings(file: Path | None) -> Settings:
    """Read the configuration; raises `pydantic.ValidationError` with the field at fault, or OSError when the file cannot be read."""
    if file is None:
        return Settings()
    file.read_bytes()  # a file that was named must be there

    class FromFile(Settings):
        """The settings with this file behind the environment."""

        model_config = SettingsConfigDict(yaml_file=file)

    return FromFile()
