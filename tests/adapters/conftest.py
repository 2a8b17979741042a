"""Clients of a metrics source, and a server that goes wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rampgate_operator.adapters.prometheus import Prometheus, Source
from tests.adapters.asking import Open
from tests.adapters.faulty import Faulty


@pytest.fixture
def connect() -> Iterator[Open]:
    """`connect(url, **settings)`: a client whose only source is called "main"; closed after the test."""
    clients = []

    def open_source(url: str, **settings: object) -> Prometheus:
        clients.append(Prometheus({"main": Source(name="main", url=url, **settings)}))  # type: ignore[arg-type]
        return clients[-1]

    yield open_source
    for client in clients:
        client.close()


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    with Faulty() as server:
        yield server
