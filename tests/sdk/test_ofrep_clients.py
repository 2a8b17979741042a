"""The OFREP application, asked by the OpenFeature project's own clients: Python's, and JavaScript's for servers and for pages."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from rampgate import Gates
from rampgate.integrations.ofrep import ofrep_app
from rampgate.integrations.openfeature import RampgateProvider
from tests.sdk.entries import Fields, entry
from tests.sdk.node_packages import NODE, javascript_packages
from tests.sdk.ofrep_server import Asked, listening

KEY = "a key"
USERS = [f"user-{number}" for number in range(50)]


def valued(gate: str, control: object, treatment: object) -> Fields:
    variants = [{"name": "control", "value": control, "weight": 1}, {"name": "treatment", "value": treatment, "weight": 1}]
    return entry(gate=gate, percent=60, unit="targetingKey", control={"name": "control", "value": control}, variants=variants)


RULES: dict[str, Any] = {
    "boolean": valued("boolean", False, True),
    "string": valued("string", "old", "new"),
    "integer": valued("integer", 0, 1),
    "float": valued("float", 0.5, 1.5),
    "object": valued("object", {"a": [1]}, {"a": [2]}),
    "killed": entry(gate="killed", serve="KILLED", control={"name": "control", "value": "old"}),
}
DEFAULTS: dict[str, Any] = {"boolean": True, "string": "the default", "integer": 9, "float": 9.5, "object": {"the": "default"}}


@pytest.fixture
def server() -> Iterator[Asked]:
    with Gates.from_rules(RULES) as gates, listening(ofrep_app(gates, api_keys=lambda: (KEY,))) as asked:
        yield asked


@pytest.fixture
def clients(server: Asked) -> Iterator[dict[str, OpenFeatureClient]]:
    """One that asks the server, and one that evaluates in this process."""
    remote = OFREPProvider(server.url, headers_factory=lambda: {"X-API-Key": KEY})
    api.set_provider_and_wait(remote, "remote")
    api.set_provider_and_wait(RampgateProvider(Gates.from_rules(RULES)), "local")
    yield {name: api.get_client(name) for name in ("remote", "local")}
    api.clear_providers()
    remote.session.close()


@pytest.mark.parametrize("kind", DEFAULTS)
def test_pythons_client_gets_over_http_what_it_gets_in_process(kind: str, clients: dict[str, OpenFeatureClient]) -> None:
    found = {name: [] for name in clients}  # type: dict[str, list[Any]]
    for name, client in clients.items():
        for user in USERS:
            found[name].append(getattr(client, f"get_{kind}_details")(kind, DEFAULTS[kind], EvaluationContext(user)))
    assert found["remote"] == found["local"]
    assert len({str(details.value) for details in found["remote"]}) == 2


@pytest.mark.parametrize(
    ("gate", "kind", "default", "code"),
    [("other", "string", "mine", ErrorCode.FLAG_NOT_FOUND), ("string", "boolean", True, ErrorCode.TYPE_MISMATCH)],
)
def test_pythons_client_understands_errors(
    gate: str, kind: str, default: object, code: ErrorCode, clients: dict[str, OpenFeatureClient]
) -> None:
    for client in clients.values():
        details = getattr(client, f"get_{kind}_details")(gate, default, EvaluationContext("u"))
        assert (details.value, details.reason, details.error_code) == (default, Reason.ERROR, code)


def test_pythons_client_without_the_key_gets_its_default(server: Asked) -> None:
    remote = OFREPProvider(server.url)
    api.set_provider_and_wait(remote)
    details = api.get_client().get_string_details("string", "mine", EvaluationContext("u"))
    api.clear_providers()
    remote.session.close()
    assert (details.value, details.error_code, details.error_message) == ("mine", ErrorCode.GENERAL, "unauthorized")


@pytest.fixture(scope="session")
def packages() -> Path:
    return javascript_packages()


def ask(packages: Path, server: Asked, **asked: object) -> Any:
    command = ["node", str(NODE / "ask.mjs"), str(packages), server.url, KEY]
    ended = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_javascripts_clients_get_what_pythons_gets(packages: Path, server: Asked, clients: dict[str, OpenFeatureClient]) -> None:
    kinds = {"Boolean": "boolean", "String": "string", "Number": "float", "Object": "object"}
    questions = [[kind, gate, DEFAULTS[gate], {"targetingKey": user}] for kind, gate in kinds.items() for user in USERS]
    contexts = [{"targetingKey": user} for user in USERS]
    told = ask(packages, server, questions=questions, contexts=contexts, gate="string")
    local = clients["local"]
    for (_, gate, default, context), answer in zip(questions, told["answers"], strict=True):
        details = getattr(local, f"get_{gate}_details")(gate, default, EvaluationContext(context["targetingKey"]))
        assert (answer["value"], answer["variant"], answer["reason"]) == (details.value, details.variant, details.reason)
        assert answer["flagMetadata"] == dict(details.flag_metadata)
    assert told["values"] == [local.get_string_value("string", "", EvaluationContext(user)) for user in USERS]


def test_a_page_that_polls_is_told_that_nothing_is_new(packages: Path, server: Asked) -> None:
    assert ask(packages, server, questions=[], contexts=[{"targetingKey": "u"}], gate="string")["polled"] == [304, 304]


def test_javascripts_client_understands_errors_and_a_kill(packages: Path, server: Asked) -> None:
    questions = [["String", "other", "mine", {}], ["Boolean", "string", True, {}], ["String", "killed", "mine", {}]]
    told = ask(packages, server, questions=questions, contexts=[{}], gate="killed")
    assert [answer.get("errorCode") for answer in told["answers"]] == ["FLAG_NOT_FOUND", "TYPE_MISMATCH", None]
    assert [answer["value"] for answer in told["answers"]] == ["mine", True, "old"]
    assert (told["answers"][2]["reason"], told["values"]) == ("DISABLED", ["old"])
