"""A real Kubernetes control plane and a real Prometheus on loopback, for tests and the demo. Linux only (pidfd, parent-death signal).

Imports nothing on its own, so that `python -m tools.devcluster` starts fast. Callers use:

* `tools.devcluster.cluster.Cluster`: etcd and kube-apiserver, a token and a kubeconfig per role
* `tools.devcluster.prometheus.Prometheus`: a Prometheus that takes new targets while it runs
* `tools.devcluster.kubectl.kubectl`: the real kubectl in a role's name
"""
