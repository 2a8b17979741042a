"""The image as pods run it: nobody's root, nothing to compile with, the same for operator, `rampgate serve` and the shop."""

import filecmp
import json
from pathlib import Path

import pytest

from tools import image
from tools.pods.place import until
from tools.pods.release import NAMESPACE, OPERATOR, Release
from tools.pods.shop import Shop

pytestmark = pytest.mark.timeout(400)
ASK = """
import urllib.request
body, headers = b'{"context": {"userId": "user-1"}}', {"Content-Type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8016/ofrep/v1/evaluate/flags/new-checkout", body, headers)
print(urllib.request.urlopen(request).read().decode())
"""
HALF = {"steps": [{"percent": 50, "hold": "10m"}], "confirm": {"pods": "100%", "timeout": "2m"}}


def test_it_runs_as_nobody_without_a_compiler_and_cannot_write_to_its_files(release: Release) -> None:
    tried = "import os, shutil; print(os.getuid(), [tool for tool in ('cc', 'gcc', 'c++', 'make', 'pip') if shutil.which(tool)])"
    written = "open('/opt/rampgate/written', 'w')"
    run = ("exec", OPERATOR, f"--namespace={NAMESPACE}", "--", "python", "-c")
    assert release.place.kubectl(*run, tried).strip() == "65532 []"
    assert "Read-only file system" in release.place.kubectl(*run, f"try: {written}\nexcept OSError as error: print(error)")


def test_the_operators_namespace_may_enforce_the_strictest_pod_security_standard(release: Release) -> None:
    labelled = release.place.kubectl(
        "label", "--dry-run=server", "--overwrite", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"
    )
    assert "Warning" not in labelled


def test_the_same_image_answers_for_other_languages(release: Release, shop: Shop) -> None:
    shop.apply(ramp=HALF)
    shop.wait_for(percent=50)
    volume = {"name": "gates", "configMap": {"name": "feature-gates"}}
    container = {
        "name": "serve",
        "image": release.place.image,
        "args": ["serve", "--rules=/etc/rampgate", "--listen=:8016"],
        "ports": [{"name": "http", "containerPort": 8016}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "gates", "mountPath": "/etc/rampgate"}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "serve"}, "spec": {"containers": [container], "volumes": [volume]}}
    shop.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    shop.kubectl("wait", "pod/serve", "--for=condition=Ready", "--timeout=60s")
    answer = json.loads(shop.kubectl("exec", "serve", "--", "python", "-c", ASK))
    assert answer["variant"] in {"treatment", "control", "baseline"}
    generation = answer["metadata"]["generation"]
    until(lambda: {decision["generation"] for decision in shop.decisions().values()} == {generation}, "the shop goes by the same rules")


def test_two_builds_give_the_same_bytes(built_again: Path) -> None:
    assert filecmp.cmp(built_again, image.built(), shallow=False)
