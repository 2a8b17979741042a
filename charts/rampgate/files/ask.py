"""What `helm test` runs: does the operator answer, and would the API server take an Experiment, as long as nothing is stored?

`python ask.py OPERATOR_URL [DIRECTORY]`: the directory is that of a pod's ServiceAccount; without a token there, the second is not asked.
"""

import json
import os
import ssl
import sys
import urllib.request
from pathlib import Path

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


def main() -> None:
    """Ask one after the other."""
    operator = sys.argv[1]
    directory = Path(sys.argv[2] if len(sys.argv) > 2 else "/var/run/secrets/kubernetes.io/serviceaccount")
    ask(f"{operator}/readyz", f"{operator}/readyz")
    ask(f"{operator}/metrics", f"{operator}/metrics", wanted="rampgate_operator_leader")
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


if __name__ == "__main__":
    main()
