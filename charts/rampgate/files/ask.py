"""What `helm test` runs: does the operator answer, would the API server take an Experiment without storing it, does each source answer?

`python ask.py OPERATOR_URL CONFIGURATION`, in the operator's image: sources are asked as it asks them, by its file and variables.
"""

import argparse
import asyncio
import json
import os
import ssl
import sys
import urllib.request
from pathlib import Path

from rampgate_operator.adapters.clock import SystemClock
from rampgate_operator.adapters.prometheus import Prometheus
from rampgate_operator.configuration import load_settings
from rampgate_operator.core.looks import Failed, FailureReason, LookRequest

EXPERIMENT = {
    "apiVersion": "rampgate.dev/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "helm-test"},
    "spec": {
        "owner": "helm test",
        "variants": [{"name": "control", "value": False}, {"name": "treatment", "value": True}],
        "control": "control",
        "ramp": {"steps": [{"percent": 1, "hold": "1h"}]},
    },
}


def ask(what: str, request: urllib.request.Request | str, *, wanted: str = "", context: ssl.SSLContext | None = None) -> None:
    """Ask, and say what came of it; end with a sentence when it is not what is wanted."""
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        sys.exit(f"{what}: {error.code} {error.read().decode().strip()}")
    except OSError as error:
        sys.exit(f"{what}: {error}")
    if wanted not in text:
        sys.exit(f"{what}: it answers, but without {wanted}")
    print(f"{what}: ok")


def ask_api_server(directory: Path) -> None:
    """Whether it takes an Experiment; not asked without a ServiceAccount's token in the directory."""
    if (directory / "token").exists():
        api_server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
        namespace, token = (directory / "namespace").read_text(), (directory / "token").read_text()
        request = urllib.request.Request(
            f"{api_server}/apis/rampgate.dev/v1alpha1/namespaces/{namespace}/experiments?dryRun=All&fieldValidation=Strict",
            data=json.dumps(EXPERIMENT).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
        ask("an Experiment, as a dry run", request, context=context)


async def ask_sources(configuration: Path, not_my_token: list[str]) -> None:
    """Ask each once. What refuses this pod's token is there all the same, where the operator comes with another one."""
    sources = load_settings(configuration, os.environ).sources
    if not sources:
        sys.exit("no metrics source: guardrails cannot be read, and nothing is rolled back by itself; name one in `sources`")
    now, prometheus = SystemClock().now(), Prometheus(sources)
    answers = await prometheus.answer([LookRequest(key=name, source=name, query="vector(1)", at=now) for name in sources])
    prometheus.close()
    failed = {name: answer for name, answer in answers.items() if isinstance(answer, Failed)}
    refused = {name for name in not_my_token if name in failed and failed[name].reason is FailureReason.UNAUTHORIZED}
    for name in sources:
        remark = ", and wants the operator's own token, which was not tried" if name in refused else ""
        if name in refused or name not in failed:
            print(f"source {name}: ok{remark}")
    if wrong := [f"source {name}: {answer.message}" for name, answer in failed.items() if name not in refused]:
        sys.exit("\n".join([*wrong, "What a source does not answer, no guardrail reads: nothing is rolled back by it."]))


def main() -> None:
    """Ask one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("operator", help="its URL")
    parser.add_argument("configuration", type=Path, help="its file")
    parser.add_argument("--account", type=Path, default="/var/run/secrets/kubernetes.io/serviceaccount", help="this pod's, a directory")
    parser.add_argument("--not-my-token", action="append", default=[], metavar="SOURCE", help="it knows the operator by its ServiceAccount")
    options = parser.parse_args()
    ask(f"{options.operator}/readyz", f"{options.operator}/readyz")
    ask(f"{options.operator}/metrics", f"{options.operator}/metrics", wanted="rampgate_operator_leader")
    ask_api_server(options.account)
    asyncio.run(ask_sources(options.configuration, options.not_my_token))


if __name__ == "__main__":
    main()
