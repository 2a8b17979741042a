"""Rampgate on a cluster with real pods, for the cluster suite and its benchmark: any kubeconfig's, or a node made here.

Callers use:

* `tools.pods.place.find`: a cluster with pods, and its images
* `tools.pods.release.Release`: the chart, installed by Helm
* `tools.pods.shop.Shop`: an application that mounts the rules
"""
