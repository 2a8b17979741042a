"""What the watch brings: kopf's low-level events feed the caches and the queue, and do nothing else.

No timers, daemons, indexes or change handlers of kopf: those keep state in annotations and finalizers, and lose their clocks at a restart.
"""

from typing import Any, cast

import kopf

from rampgate_operator.cache import key_of
from rampgate_operator.core.observation import RULES_LABEL
from rampgate_operator.core.resource import GROUP, PLURAL, VERSION
from rampgate_operator.ports import Body, Key
from rampgate_operator.queue import Queue
from rampgate_operator.reconcile import Reconciler, wants_kill


def register(registry: kopf.OperatorRegistry, *, reconciler: Reconciler, queue: Queue[Key]) -> None:
    """Register the handlers of both kinds; they differ in what they feed alone."""

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def experiment_changed(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401  # kopf passes what it has
        """Know an Experiment as it is now, and have it reconciled."""
        take_experiment(event["object"], deleted=event["type"] == "DELETED", reconciler=reconciler, queue=queue)

    @kopf.on.event("", "v1", "configmaps", registry=registry)
    async def rules_changed(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401  # kopf passes what it has
        """Know a ConfigMap as it is now, and have the gates reconciled whose part of it changed."""
        take_config_map(event["object"], deleted=event["type"] == "DELETED", reconciler=reconciler)


def take_experiment(body: Body, *, deleted: bool, reconciler: Reconciler, queue: Queue[Key]) -> None:
    """Take in what the watch says of an Experiment."""
    reconciler.watch.told(body)
    if deleted:
        reconciler.experiments.forget(key_of(body))
    else:
        reconciler.experiments.see(body)
    queue.add(key_of(body), urgent=wants_kill(body))


def take_config_map(body: Body, *, deleted: bool, reconciler: Reconciler) -> None:
    """Take in what the watch says of a ConfigMap; it also says deleted when only the label is lost."""
    reconciler.watch.told(body)
    if deleted:
        reconciler.rules.take_out(key_of(body))
    else:
        reconciler.rules.take_in(body)


def watch_settings() -> kopf.OperatorSettings:
    """Give kopf's settings: streams that cannot hang, least rights, no Events and no finalizers of its own."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.chunk_size = 500
    settings.watching.label_selectors["configmaps"] = RULES_LABEL
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.persistence.diffbase_storage = _NothingHandled()
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.finalizer = ""  # the API server takes none of this name: kopf would remove one of its own, and may not
    return settings


class _NothingHandled(kopf.DiffBaseStorage):
    """Reads nothing from an object: kopf drops an event when what anybody may write into its annotation is not what it expects."""

    def build(self, **_: object) -> kopf.BodyEssence:
        """Give nothing: nobody asks what has changed."""
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: object) -> None:
        """Give nothing."""

    def store(self, **_: object) -> None:
        """Keep nothing."""


class _NoProgress(kopf.ProgressStorage):
    """Likewise of handlers, of which there are none that have any."""

    def fetch(self, **_: object) -> None:
        """Give nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Leave it as it is."""
        return essence

    def store(self, **_: object) -> None:
        """Keep nothing."""

    purge = touch = store
