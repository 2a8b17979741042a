"""Every write of the operator passes here before it is stored: an admission webhook on the real API server, which a test may lock.

So a test can stop the operator exactly between two of its effects, where no sleep could.
"""

import base64
import json
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any, NamedTuple, Self

import requests

from tools.devcluster.cluster import Cluster
from tools.devcluster.kubectl import kubectl
from tools.devcluster.roles import Role

PATIENCE = 20.0
PROBE = "is-the-turnstile-in-force"


class Write(NamedTuple):
    """One write that the operator asked for: `Write("experiments/status", "UPDATE", "new-checkout")`."""

    resource: str
    operation: str
    name: str


class Turnstile:
    """Lets the operator's writes in one namespace through; those to a locked resource wait until it is unlocked."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._changed = Condition()
        self._locked: set[str] = set()
        self.waiting: list[Write] = []
        self.passed: list[Write] = []
        self._is_in_force = False
        self._server = self._serve()

    def lock(self, resource: str) -> None:
        """Let nothing more through to a resource: `experiments/status`, `configmaps`, `controllerrevisions` or `events`."""
        with self._changed:
            self._locked.add(resource)

    def unlock(self, resource: str) -> None:
        """Let through what waits, and what comes."""
        with self._changed:
            self._locked.discard(resource)
            self._changed.notify_all()

    def wait_for(self, resource: str, *, count: int = 1) -> Write:
        """Wait until a write to a locked resource stands before it, or so many; give the first."""

        def standing() -> list[Write]:
            return [write for write in self.waiting if write.resource == resource]

        with self._changed:
            assert self._changed.wait_for(lambda: len(standing()) >= count, PATIENCE), self.passed
            return standing()[0]

    def __enter__(self) -> Self:
        kubectl(self._cluster, "apply", "-f", "-", stdin=json.dumps(self._configuration()))
        self._wait_until_in_force()
        return self

    def __exit__(self, *_: object) -> None:
        kubectl(self._cluster, "delete", "validatingwebhookconfiguration", self._namespace)
        for resource in list(self._locked):
            self.unlock(resource)
        self._server.shutdown()
        self._server.server_close()

    def _wait_until_in_force(self) -> None:
        """Try it: the API server takes up a webhook some time after it has stored it, and until then writes pass unseen."""
        url = f"{self._cluster.url}/api/v1/namespaces/{self._namespace}/configmaps"
        deadline = time.monotonic() + PATIENCE
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(self._cluster.ca_file)
            session.headers["Authorization"] = f"Bearer {self._cluster.token(Role.ADMIN)}"
            while not self._is_in_force:
                assert time.monotonic() < deadline, "the API server does not ask it"
                session.post(url, params={"dryRun": "All"}, json={"metadata": {"name": PROBE}}).raise_for_status()

    def _let_through(self, write: Write) -> None:
        if write.name == PROBE:
            self._is_in_force = True
            return
        with self._changed:
            self.waiting.append(write)
            self._changed.notify_all()
            self._changed.wait_for(lambda: write.resource not in self._locked, PATIENCE)
            self.waiting.remove(write)
            self.passed.append(write)

    def _serve(self) -> ThreadingHTTPServer:
        turnstile = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
                turnstile._let_through(_write(request))
                answer = {"uid": request["uid"], "allowed": True}
                body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """The test's output is not a server's log."""

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)  # the API server's own certificate: it names 127.0.0.1
        context.load_cert_chain(self._cluster.ca_file, self._cluster.ca_file.with_suffix(".key"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    def _configuration(self) -> dict[str, Any]:
        rule = {"apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "scope": "Namespaced"}
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self._namespace},
            "webhooks": [
                {
                    "name": "turnstile.rampgate.test",
                    "clientConfig": {
                        "url": f"https://127.0.0.1:{self._server.server_address[1]}/",
                        "caBundle": base64.b64encode(self._cluster.ca_file.read_bytes()).decode(),
                    },
                    "rules": [
                        {**rule, "apiGroups": ["rampgate.dev"], "resources": ["experiments/status"]},
                        {**rule, "apiGroups": [""], "resources": ["configmaps", "events"]},
                        {**rule, "apiGroups": ["apps"], "resources": ["controllerrevisions"]},
                    ],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}},
                    "matchConditions": [
                        {
                            "name": "operator",
                            "expression": f"request.userInfo.username == '{Role.OPERATOR.user}' || request.name == '{PROBE}'",
                        }
                    ],
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                    "timeoutSeconds": 30,
                }
            ],
        }


def _write(request: dict[str, Any]) -> Write:
    resource = "/".join(part for part in (request["resource"]["resource"], request.get("subResource")) if part)
    return Write(resource, request["operation"], request["name"])
