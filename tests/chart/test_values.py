"""The values: what there is to be set, its defaults, and what is said to a mistake."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from rampgate_operator.configuration import load_settings
from rampgate_operator.settings import Settings, SourceSettings
from tests.chart.helm import CHART, Helm, Json, the

ROOT = CHART.parents[1]
VALUES: Json = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
SET_ELSEWHERE = {"listen": "port"}
"""The chart has to know the port apart, for the probes; the Lease's name is the Deployment's, and its place and holder are the pod's."""
URL = {"url": "http://prometheus:9090"}
SECURE = {"url": "https://prometheus:9090"}
BAD_VALUES: dict[str, tuple[Json, str]] = {
    "a misspelled name": ({"replica": 2}, "additional properties 'replica' not allowed"),
    "a misspelled name further in": ({"lease": {"durations": "10s"}}, "at '/lease': additional properties 'durations' not allowed"),
    "no replica": ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
    "a word for a number": ({"workers": "many"}, "at '/workers': got string, want integer"),
    "a word for yes or no": ({"renderFlagd": "yes"}, "at '/renderFlagd': got string, want boolean"),
    "a word that there is not": ({"log": {"level": "trace"}}, "at '/log/level': value must be one of 'debug', 'info', 'warning'"),
    "a port that a user without rights may not open": ({"port": 80}, "at '/port': minimum: got 80, want 1,024"),
    "a source without a place": ({"sources": {"default": {}}}, "at '/sources/default': missing property 'url'"),
    "a URL without a scheme": (
        {"sources": {"default": {"url": "prometheus:9090"}}},
        'sources.default.url: "prometheus:9090" is none; write',
    ),
    "a source's name that is no path": ({"sources": {"A/b": URL}}, "sources.A/b: the name of a source has lower-case letters, digits"),
    "no duration": ({"resync": "5min"}, 'resync: "5min" is no duration such as 300ms, 90s, 10m, 4h or 7d'),
    "no duration of a source": ({"sources": {"a": {**URL, "timeout": "1"}}}, 'sources.a.timeout: "1" is no duration such as'),
    "a pattern of namespaces": ({"namespaces": ["shop-*"]}, 'namespaces: "shop-*" is no name of a namespace'),
    "a namespace twice": ({"namespaces": ["shop", "shop"]}, "at '/namespaces': items at 0 and 1 are equal"),
    "a runbook that is no URL": (
        {"metrics": {"prometheusRule": {"runbookBase": "docs"}}},
        'runbookBase: "docs" is none; write https://HOST',
    ),
    "half a digest": ({"image": {"digest": "sha256:abc"}}, 'image.digest: "sha256:abc" is none; write sha256: and 64 hexadecimal digits'),
    "a token in two ways": (
        {"sources": {"a": {**URL, "token": {"secret": {"name": "b"}}, "tokenFile": "/c"}}},
        "sources.a: token and tokenFile say the same in two ways; keep one",
    ),
    "a token from nowhere": ({"sources": {"a": {**URL, "token": {}}}}, "sources.a.token: write either secret: {name: …, key: …} or"),
    "a certificate from two places": (
        {"sources": {"a": {**SECURE, "ca": {"secret": {"name": "b"}, "configMap": {"name": "c"}}}}},
        "sources.a.ca: write either secret: {name: …, key: …} or configMap",
    ),
    "a certificate for plain HTTP": (
        {"sources": {"a": {**URL, "ca": {"secret": {"name": "b"}}}}},
        "sources.a.ca: http://prometheus:9090 has no certificate to verify; write https:// or leave it out",
    ),
    "a name with a dot": ({"nameOverride": "my.rampgate"}, '"my.rampgate" names the Service and more, so it has lower-case letters'),
    "a ServiceAccount in capitals": ({"serviceAccount": {"name": "Me"}}, 'serviceAccount.name: "Me" has other than lower-case letters'),
    "nobody's ServiceAccount": ({"serviceAccount": {"create": False}}, "serviceAccount.name: with create: false, name the ServiceAccount"),
    "killers without their policy": ({"admission": {"killer": False}}, "admission.killer: it alone holds the ClusterRole for killers to"),
    "both monitors": (
        {"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}},
        "metrics: serviceMonitor and podMonitor would each scrape the same pods; enable one of them",
    ),
    "a label of the chart's own": (
        {"podLabels": {"app.kubernetes.io/name": "shop"}},
        "podLabels: app.kubernetes.io/name is what the chart finds its pods by; use another label",
    ),
    "one name for two replicas": (
        {"extraEnv": [{"name": "RAMPGATE_LEASE__IDENTITY", "value": "me"}]},
        "extraEnv: RAMPGATE_LEASE__IDENTITY would be one for all replicas, and two of one name would both lead; leave it out",
    ),
    "another cluster": ({"extraEnv": [{"name": "KUBECONFIG", "value": "/a"}]}, "extraEnv: KUBECONFIG would take the place of the Service"),
    "a server of no rules": ({"serve": {"enabled": True}}, "serve.namespace: name the namespace whose rules are served"),
    "a policy that lets in everybody": (
        {"networkPolicy": {"enabled": True, "metricsFrom": []}},
        "networkPolicy: an empty metricsFrom or serveFrom would let in everybody, also from outside; write that as",
    ),
    "a policy that lets out to every port": (
        {"networkPolicy": {"enabled": True, "apiServer": {"ports": None}}},
        "networkPolicy.apiServer.ports: without one, every port anywhere would be open; name the API server's",
    ),
    "a port that there is not": (
        {"sources": {"a": {"url": "http://prometheus:99999"}}},
        'sources.a.url: "http://prometheus:99999" has a port that there is not; write one from 1 to 65535',
    ),
    "a port of an address that there is not": ({"sources": {"a": {"url": "http://[::1]:0/a"}}}, "has a port that there is not"),
}
BOUNDS: dict[str, tuple[str, str, str, str]] = {
    "resync": ("9999ms", "10s", "1d", "2d"),
    "lease.duration": ("0s", "1s", "5m", "100d"),
    "sources.a.timeout": ("0s", "1ms", "2m", "121s"),
    "sources.a.lookback": ("0ms", "1ms", "1h", "900d"),
}
"""What is too short, the shortest, the longest, and what is too long."""


def test_the_defaults_are_accepted_and_lint_finds_nothing(each_helm: Helm) -> None:
    printed = each_helm.run("lint", "--strict", CHART).stdout
    assert "0 chart(s) failed" in printed
    assert "[WARNING]" not in printed
    assert "[ERROR]" not in printed


@pytest.mark.parametrize(("values", "said"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_bad_value_is_refused_with_its_place_and_a_remedy(values: Json, said: str, each_helm: Helm) -> None:
    assert said in each_helm.refusal(values)


def at(path: str, duration: str) -> Json:
    values: Json = {"sources": {"a": dict(URL)}}
    *parents, name = path.split(".")
    inner = values
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[name] = duration
    return values


@pytest.mark.parametrize("path", BOUNDS)
def test_a_duration_is_bounded_as_the_operator_bounds_it(path: str, helm: Helm, tmp_path: Path) -> None:
    shorter, shortest, longest, longer = BOUNDS[path]
    for bad in (shorter, longer, "9999999999d"):
        assert f"{path}: write a duration from {shortest} to {longest}" in helm.refusal(at(path, bad))
        with pytest.raises(ValueError, match=f"from {shortest} to {longest}|too long"):
            Settings(**at(path, bad))
    for good in (shortest, longest):
        configured(helm.render(at(path, good)), tmp_path)


def fields(schema: Json, path: str = "") -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}"
        yield from fields(field, f"{path}{name}.")


def given(values: Any, path: str = "") -> Iterator[str]:
    for name, value in values.items() if isinstance(values, dict) else ():
        yield f"{path}{name}"
        yield from given(value, f"{path}{name}.")


def test_every_value_has_a_default_that_a_person_can_read() -> None:
    free = {"extraEnv", "global", "image.digest"}
    missing = [
        path for path in fields(SCHEMA) if path not in set(given(VALUES)) and not path.endswith((".claims", *free)) and path not in free
    ]
    assert missing == []


def test_every_object_of_the_schema_refuses_what_it_does_not_know() -> None:
    def loose(schema: Json, path: str) -> Iterator[str]:
        if "properties" in schema and schema.get("additionalProperties") is not False:
            yield path
        for name, field in schema.get("properties", {}).items():
            yield from loose(field, f"{path}.{name}")

    assert list(loose(SCHEMA, "")) == []


def test_every_setting_of_the_operator_and_of_a_source_is_a_value() -> None:
    settings = map(to_camel, Settings.model_fields)
    assert {SET_ELSEWHERE.get(name, name) for name in settings} <= VALUES.keys()
    source = SCHEMA["properties"]["sources"]["additionalProperties"]["properties"]
    assert {field.alias or name for name, field in SourceSettings.model_fields.items()} <= source.keys()


def test_the_rendered_configuration_is_the_operators_defaults(helm: Helm, tmp_path: Path) -> None:
    assert configured(helm.render(), tmp_path) == Settings()


def test_what_is_set_reaches_the_operator(helm: Helm, tmp_path: Path) -> None:
    values: Json = {
        "namespaces": ["shop", "search"], "workers": 4, "resync": "10m", "renderFlagd": True, "port": 9000, "lease": {"duration": "20s"},
        "sources": {
            "default": {**URL, "timeout": "5s", "maxConcurrent": 4, "lookback": "1m"},
            "billing": {**SECURE, "token": {"secret": {"name": "billing"}}, "ca": {"configMap": {"name": "billing"}}},
        },
    }  # fmt: skip
    found = configured(helm.render(values), tmp_path)
    assert (found.namespaces, found.workers, found.render_flagd, found.listen) == (("shop", "search"), 4, True, ":9000")
    assert (found.resync.total_seconds(), found.lease.duration.total_seconds()) == (600, 20)
    assert str(found.sources["billing"].token_file) == "/var/run/rampgate/sources/billing/token"
    assert str(found.sources["billing"].ca_file) == "/var/run/rampgate/sources/billing/ca.crt"
    assert (found.sources["default"].max_concurrent, found.sources["default"].timeout.total_seconds()) == (4, 5)


def configured(objects: list[Json], tmp_path: Path) -> Settings:
    file = tmp_path / "operator.yaml"
    file.write_text(the(objects, "ConfigMap", "rampgate-operator")["data"]["operator.yaml"])
    return load_settings(file, {})


def test_a_changed_configuration_rolls_the_pods_and_another_change_does_not(helm: Helm) -> None:
    def annotation(**values: Any) -> str:
        template = the(helm.render(values), "Deployment", "rampgate-operator")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/configuration"])

    assert annotation(workers=4) != annotation()
    assert annotation(replicas=3) == annotation()


def test_what_is_requested_is_what_a_thousand_experiments_take() -> None:
    figures = json.loads((ROOT / "benchmarks" / "results" / "scale.json").read_text())["figures"]
    requests, limits = VALUES["resources"]["requests"], VALUES["resources"]["limits"]
    assert int(requests["memory"].removesuffix("Mi")) >= figures["rss_mib_1000"]
    assert int(requests["cpu"].removesuffix("m")) >= figures["looks_per_s"] * figures["cpu_s_per_1000_looks"]
    assert int(limits["memory"].removesuffix("Mi")) >= 2 * figures["rss_mib_1000"]
    assert "cpu" not in limits, "a throttled operator is late to roll back"


def test_the_charts_version_is_the_packages() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
