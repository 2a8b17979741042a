#!/bin/sh
# The cluster suite on a cluster that kind makes for it and that is deleted afterwards. Needs docker and kind; called by `make kind-test`.
set -eu

for tool in docker kind; do
    if ! command -v "$tool" >/dev/null; then
        echo "kind-test: $tool is missing: https://kind.sigs.k8s.io/docs/user/quick-start/#installation" >&2
        exit 1
    fi
done

name=rampgate-$$
kubeconfig=$(mktemp)
trap 'kind delete cluster --name "$name" --kubeconfig "$kubeconfig"; rm -f "$kubeconfig"' EXIT
kind create cluster --name "$name" --kubeconfig "$kubeconfig" --wait 120s ${KIND_NODE_IMAGE:+--image "$KIND_NODE_IMAGE"}
kind load image-archive "$(.venv/bin/python -m tools.image)" --name "$name"
make cluster-test KUBECONFIG="$kubeconfig" RAMPGATE_IMAGE="$(.venv/bin/python -c 'from tools.image import IMAGE; print(IMAGE)')"
