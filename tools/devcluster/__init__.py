"""A real Kubernetes, a control plane alone or with a node, and a real Prometheus, for tests and the demo. Linux only (pidfd, namespaces).

Imports nothing on its own, so that `python -m tools.devcluster` starts fast. Callers use:

* `tools.devcluster.cluster.Cluster`: etcd and kube-apiserver, a token and a kubeconfig per role
* `tools.devcluster.node.Node`: a cluster of one node that runs pods; needs root
* `tools.devcluster.prometheus.Prometheus`: a Prometheus that takes new targets while it runs
* `tools.devcluster.kubectl.kubectl`: the real kubectl in a role's name
"""
