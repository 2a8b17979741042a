"""The operator's settings: what there is to be set, its defaults and its bounds.

Metrics sources are named here and nowhere else: a tenant's resource refers to a name, never to a URL. Where a value comes from, and how a
mistake is told to a person, is configuration.py.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rampgate_operator.core.promql import LOOKBACK
from rampgate_operator.core.quantities import duration

PREFIX = "RAMPGATE_"
_LAST_PORT = 65_535
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _span(value: object) -> object:
    try:
        return duration(value) if isinstance(value, str) else value
    except OverflowError:
        raise ValueError(f"{value!r} is too long") from None


def _without_query(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.query is not None or url.fragment is not None or url.port == 0:
        raise ValueError("write http://HOST[:PORT][/PREFIX] or https://…, without a query or a fragment")
    return url


def _namespace(name: str) -> str:
    if not _NAMESPACE.fullmatch(name):  # kopf would take `shop-*` for a pattern, and with least rights watch nothing
        raise ValueError(f"{name!r} is no name of a namespace")
    return name


def _lease_name(name: str) -> str:
    if not _NAMESPACE.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a Lease: use lower-case letters, digits and hyphens")
    return name


def _address(address: str) -> str:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > _LAST_PORT or " " in host:
        raise ValueError("write HOST:PORT or :PORT, such as :8080")
    return address


def _between(least: str, most: str) -> Callable[[timedelta], timedelta]:
    def check(span: timedelta) -> timedelta:
        if not duration(least) <= span <= duration(most):
            raise ValueError(f"write a duration from {least} to {most}")
        return span

    return check


Span = Annotated[timedelta, BeforeValidator(_span)]
"""A duration as the resource writes it: `10s`, `5m`."""


class SourceSettings(BaseModel):
    """One Prometheus. What a guardrail calls it is its key in `sources`."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True)

    url: Annotated[AnyHttpUrl, AfterValidator(_without_query)]
    """Where `/api/v1/query` is found, a path prefix included; redirects are not followed."""
    token_file: Path | None = None
    """A file with a bearer token, read again at every request, because tokens are rotated."""
    ca_file: Path | None = None
    """A CA bundle to verify it by; by default the public ones that `requests` ships."""
    timeout: Annotated[Span, AfterValidator(_between("1ms", "2m"))] = timedelta(seconds=10)
    """The longest that one answer may take: for the query at the server, and for each read from it."""
    max_concurrent: Annotated[int, Field(ge=1, le=64)] = 8
    """How many queries may be under way at once; a Prometheus runs 20 unless told otherwise."""
    lookback: Annotated[Span, AfterValidator(_between("1ms", "1h"))] = LOOKBACK
    """How old a sample an instant selector may return (sent with each query), and the margin before a counting window."""

    @property
    def shown_url(self) -> str:
        """The URL as a log or a status may show it: without user and password."""
        url = self.url
        port = "" if url.port in {None, 80 if url.scheme == "http" else 443} else f":{url.port}"
        return f"{url.scheme}://{url.host}{port}{url.path or ''}".rstrip("/")


class LeaseSettings(BaseModel):
    """The Lease by which one of several replicas leads."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True)

    name: Annotated[str, AfterValidator(_lease_name)] = "rampgate-operator"
    """The Lease's name: the same for all replicas."""
    namespace: Annotated[str, AfterValidator(_namespace)] | None = None
    """Where it is; by default in the pod's namespace, elsewhere in the first of `namespaces` or in `default`."""
    identity: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Who this replica is; by default the pod's name, elsewhere a name that no other process has."""
    duration: Annotated[Span, AfterValidator(_between("1s", "5m"))] = timedelta(seconds=10)
    """How long a leader that is gone keeps others waiting."""


class Settings(BaseSettings):
    """All that `rampgate operator` can be told: by the environment first, then by arguments, which are what the file says."""

    # No aliases here: pydantic-settings would take the file's value by its alias for another than the environment's by its name.
    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    namespaces: tuple[Annotated[str, AfterValidator(_namespace)], ...] = ()
    """The namespaces to watch; all of them by default."""
    sources: dict[str, SourceSettings] = {}
    """The Prometheus servers that guardrails may name; `default` is the one they name when they say nothing."""
    listen: Annotated[str, AfterValidator(_address)] = ":8080"
    """Where `/healthz`, `/readyz` and `/metrics` are served, as HOST:PORT; without a host on all addresses, on port 0 on a free one."""
    lease: LeaseSettings = LeaseSettings()
    """How one of several replicas comes to lead."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """How many Experiments are reconciled at once."""
    resync: Annotated[Span, AfterValidator(_between("10s", "1d"))] = timedelta(minutes=5)
    """How often everything is listed again, against deletions that the watch missed."""

    render_flagd: bool = False
    """Whether a ConfigMap `<name>-flagd` with one flagd document is kept beside each ConfigMap with rules."""
    nudge_pods: bool = True
    """Whether pods with the label `rampgate.dev/gates` are told at once of a change that lowers exposure, by an annotation."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the environment first, then the arguments."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings
