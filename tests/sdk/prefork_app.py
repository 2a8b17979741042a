"""The application of the prefork tests, as gunicorn loads it: gates made when the module is imported, before the workers are forked."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess

from rampgate import Gates
from rampgate.integrations.prometheus import PrometheusMetrics

gates = Gates.from_directory(Path(os.environ["RULES"]), metrics=PrometheusMetrics(CollectorRegistry()))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """`/?unit=u` measures a request of a unit, and says which process served which variant; `/up` counts nothing.

    `/metrics` is for Prometheus.
    """
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client's own
        start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
        return [generate_latest(registry)]
    if environ["PATH_INFO"] == "/up":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(gates.peek("g", {"userId": "u"}).variant).encode()]
    (unit,) = parse_qs(environ["QUERY_STRING"])["unit"]
    with gates.measure("g", {"userId": unit}) as decision:
        answer = f"{os.getpid()} {decision.variant}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
