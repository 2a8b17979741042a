"""Clients of a metrics source, and a server that goes wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rampgate_operator.adapters.prometheus import Prometheus
from rampgate_operator.adapters.prometheus_http import DEFAULT_LIMITS, Limits
from rampgate_operator.settings import SourceSettings
from tests.adapters.asking import Open
from tests.adapters.faulty import Faulty


@pytest.fixture
def connect() -> Iterator[Open]:
    """`connect(url, limits=…, **settings)`: a client whose only source is called "main"; closed after the test."""
    clients = []

    def open_source(url: str, *, limits: Limits = DEFAULT_LIMITS, **settings: object) -> Prometheus:
        source = SourceSettings.model_validate({"url": url, **settings})
        clients.append(Prometheus({"main": source}, limits=limits))
        return clients[-1]

    yield open_source
    for client in clients:
        client.close()


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    with Faulty() as server:
        yield server
