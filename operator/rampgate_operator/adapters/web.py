"""`/healthz`, `/readyz` and `/metrics` over HTTP.

Knows aiohttp and the three paths. Must not know what is healthy.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Troubles = Callable[[], Sequence[str]]
"""What stands against an answer `ok`, a sentence each."""


class ListenError(Exception):
    """The address cannot be listened on."""


@asynccontextmanager
async def serve(address: str, *, unhealthy: Troubles, unready: Troubles, registry: CollectorRegistry) -> AsyncIterator[str]:
    """Listen, and give the address with its port; raises ListenError."""
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(_application(unhealthy, unready, registry), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host.strip("[]") or None, int(port))
        try:
            await site.start()
        except OSError as error:
            raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from error
        bound = runner.addresses[0]
        yield f"{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()


def _application(unhealthy: Troubles, unready: Troubles, registry: CollectorRegistry) -> web.Application:
    def answer(troubles: Troubles) -> Callable[[web.Request], object]:
        async def handle(_request: web.Request) -> web.Response:
            found = troubles()
            return web.Response(text="".join(f"{trouble}\n" for trouble in found) or "ok\n", status=500 if found else 200)

        return handle

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        collected = _Collected(registry.collect())  # here, where what is read does not change meanwhile
        body = await asyncio.to_thread(encode, collected)  # several times as long: nobody's kill waits for a scrape of 1,000 Experiments
        return web.Response(body=body, headers={"Content-Type": content_type})

    application = web.Application()
    application.router.add_get("/healthz", answer(unhealthy))  # type: ignore[arg-type]  # a handler, as aiohttp documents it
    application.router.add_get("/readyz", answer(unready))  # type: ignore[arg-type]  # as above
    application.router.add_get("/metrics", metrics)
    return application


class _Collected(Collector):
    """Metrics as they were."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterable[Metric]:
        """Give them again."""
        return self._metrics
