"""adapters/cluster: objects as a tenant may write them, which the API server takes and a model of the client refuses."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.aio import client

from rampgate_operator.adapters.answers import answered
from rampgate_operator.adapters.cluster import KubernetesCluster
from rampgate_operator.ports import ClusterError, Key

YEAR_0 = {"manager": "somebody", "operation": "Update", "apiVersion": "v1", "time": "0000-01-01T00:00:00Z"}
"""time.Parse of Go takes it, and the API server checks no time of `managedFields` (ValidateManagedFields)."""
METADATA = {"namespace": "shop", "name": "gates", "resourceVersion": "7", "managedFields": [YEAR_0]}
CONFIG_MAP = {"metadata": METADATA, "data": {"format": "rampgate.dev/1"}}
REVISION = {"metadata": METADATA, "revision": 1, "data": None}


class Api(client.ApiClient):
    """A client to which one object is answered, or a list of it."""

    def __init__(self, answer: Any) -> None:
        super().__init__(client.Configuration())
        self.answer, self.content_type = json.dumps(answer).encode(), "application/json"

    async def call_api(self, *_: Any, **options: Any) -> Any:
        async def read() -> bytes:
            return self.answer

        raw = SimpleNamespace(ok=True, status=200, reason="OK", headers={"content-type": self.content_type}, read=read)
        response = client.rest.RESTResponse(raw)
        response.data = None if options.get("_preload_content") is False else self.answer
        return response


@pytest.fixture
async def answering() -> AsyncIterator[Callable[[Any], Api]]:
    opened: list[Api] = []

    def open_api(answer: Any) -> Api:
        opened.append(Api(answer))
        return opened[-1]

    yield open_api
    for api in opened:
        await api.close()


@pytest.mark.parametrize("namespace", [None, "shop"], ids=["all namespaces", "one namespace"])
async def test_a_config_map_of_the_year_0_ends_no_list(answering: Callable[[Any], Api], namespace: str | None) -> None:
    """An exception there would end the operator, for all namespaces, again and again."""
    assert await KubernetesCluster(answering({"items": [CONFIG_MAP]}), namespace).list_config_maps() == [CONFIG_MAP]


@pytest.mark.parametrize(
    "ask",
    [
        lambda cluster: cluster.get_config_map(Key("shop", "gates")),
        lambda cluster: cluster.create_config_map(Key("shop", "gates"), {}),
        lambda cluster: cluster.swap(CONFIG_MAP, key="gate.json", new="{}"),
    ],
    ids=["get", "create", "swap"],
)
async def test_a_config_map_of_the_year_0_is_read_and_written(
    answering: Callable[[Any], Api], ask: Callable[[KubernetesCluster], Awaitable[Any]]
) -> None:
    assert await ask(KubernetesCluster(answering(CONFIG_MAP))) == CONFIG_MAP


async def test_revisions_of_the_year_0_are_listed(answering: Callable[[Any], Api]) -> None:
    assert await KubernetesCluster(answering({"items": [REVISION]})).list_revisions(CONFIG_MAP) == [REVISION]


async def test_a_revision_that_a_finalizer_keeps_is_deleted_however_deep_it_is(answering: Callable[[Any], Api]) -> None:
    """The answer is then the object, and what a tenant wrote into it."""
    api = answering(REVISION)
    api.answer = json.dumps({**REVISION, "data": "@"}).replace('"@"', "[" * 150_000 + "]" * 150_000).encode()
    await KubernetesCluster(api).delete_revision(REVISION)


@pytest.mark.parametrize("ask", [KubernetesCluster.list_config_maps, lambda cluster: cluster.list_pods(Key("shop", "gates"))])
async def test_an_answer_of_something_in_between_is_a_list_that_failed(
    answering: Callable[[Any], Api], ask: Callable[[KubernetesCluster], Awaitable[Any]]
) -> None:
    api = answering({})
    api.answer = b"<html>please log in</html>"
    with pytest.raises(ClusterError, match="no JSON"):
        await ask(KubernetesCluster(api))


@pytest.mark.parametrize("list_all", [KubernetesCluster.list_experiments, KubernetesCluster.list_config_maps])
@pytest.mark.parametrize("answer", [b"<html>", b"\xff", b"[]", b'"please log in"', b"null", b'{"kind": "Status"}', b'{"items": 7}'])
@pytest.mark.parametrize("content_type", ["application/json", "text/html"])
async def test_what_is_no_list_is_a_list_that_failed(
    answering: Callable[[Any], Api], list_all: Callable[[KubernetesCluster], Awaitable[Any]], answer: bytes, content_type: str
) -> None:
    """It says success, and is of something in between; the next one may be the API server's again."""
    api = answering({})
    api.answer, api.content_type = answer, content_type
    with pytest.raises(ClusterError, match="the API server's answer is no"):
        await list_all(KubernetesCluster(api))


@pytest.mark.parametrize("answer", [{"metadata": METADATA, "spec": {}}, "please log in"], ids=["of the year 0", "no Lease"])
async def test_a_lease_that_cannot_be_read_is_one_that_could_not_be_renewed(answering: Callable[[Any], Api], answer: Any) -> None:
    """Within its duration the next try may do better; an exception that nobody expects would end the leader at once."""
    with pytest.raises(ClusterError, match="the API server's answer is no"):
        await answered(client.CoordinationV1Api(answering(answer)).read_namespaced_lease("rampgate", "shop"))


LISTS: dict[str, Callable[[KubernetesCluster], Awaitable[Any]]] = {
    "experiments": KubernetesCluster.list_experiments,
    "ConfigMaps": KubernetesCluster.list_config_maps,
    "revisions": lambda cluster: cluster.list_revisions(CONFIG_MAP),
    "pods": lambda cluster: cluster.list_pods(Key("shop", "gates")),
}


@pytest.mark.parametrize("answer", [None, {}, [], "<html>please log in</html>", {"items": {}}, {"items": [None]}, {"items": [{}]}], ids=str)
@pytest.mark.parametrize("kind", LISTS)
async def test_an_answer_that_is_no_list_is_a_list_that_failed(answering: Callable[[Any], Api], kind: str, answer: object) -> None:
    """Of 200, by something in between."""
    with pytest.raises(ClusterError, match="no list"):
        await LISTS[kind](KubernetesCluster(answering(answer)))


@pytest.mark.parametrize("answer", [None, [], "<html>please log in</html>", {}, {"metadata": []}], ids=str)
@pytest.mark.parametrize(
    "ask",
    [lambda cluster: cluster.get_config_map(Key("shop", "gates")), lambda cluster: cluster.get_experiment(Key("shop", "gate"))],
    ids=["ConfigMap", "Experiment"],
)
async def test_an_answer_that_is_no_object_is_a_read_that_failed(
    answering: Callable[[Any], Api], ask: Callable[[KubernetesCluster], Awaitable[Any]], answer: object
) -> None:
    with pytest.raises(ClusterError, match="no object"):
        await ask(KubernetesCluster(answering(answer)))
