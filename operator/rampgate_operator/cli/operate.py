"""`rampgate operator`: run the operator against the cluster of KUBECONFIG, or of the pod that it runs in."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)
DEEPEST = 25_000
"""Python's frames. kube-apiserver takes JSON of 10,000 levels where no schema says what is inside, as in a variant's value: one such
object must be refused by a condition, not end the watch of all others. Nor must a text in a ConfigMap, which no API server looks into, end
the process: Python 3.11's json has no room for twice as many levels on a stack of 8 MiB (tests/apiserver/test_odd_specs.py tries more)."""
EPILOG = """\
configuration file (YAML), every field may also be given as RAMPGATE_<FIELD>, nested ones with two underscores:
  sources:
    default: {url: "http://prometheus.monitoring:9090"}   # RAMPGATE_SOURCES__DEFAULT__URL
    billing: {url: "https://prometheus.billing:9090", tokenFile: /var/run/token, caFile: /etc/ca.crt}
    # and for each: timeout: 10s, maxConcurrent: 8, lookback: 5m
  namespaces: [shop]     # all by default
  workers: 8
  resync: 5m
  renderFlagd: false     # keep the same rules for flagd, in a ConfigMap <configMapName>-flagd
  nudgePods: true        # tell pods labelled rampgate.dev/gates at once of what lowers exposure
  listen: ":8080"        # /healthz, /readyz and /metrics
  lease: {name: rampgate-operator, duration: 10s}   # and namespace, identity: of several replicas one leads
the cluster is that of KUBECONFIG; without it that of the pod's service account, and outside a pod that of ~/.kube/config
exit status: 0 stopped by a signal, 1 failed or the lease was lost, 2 wrong usage or configuration, no cluster, or the address is taken,
  3 the extra `operator` is not installed
"""


def add_to(subcommands: Any) -> None:  # noqa: ANN401  # argparse's type is private
    """Add the subcommand."""
    parser = subcommands.add_parser(
        "operator",
        help="run the operator",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument("--log-format", choices=("human", "json"), default="human", help="how to write the log (default: %(default)s)")
    parser.add_argument("--log-level", choices=("debug", "info", "warning"), default="info", help="what to log (default: %(default)s)")
    parser.set_defaults(run=run, extra="operator")


def run(arguments: argparse.Namespace) -> int:
    """Run the operator until it is told to stop."""
    sys.setrecursionlimit(DEEPEST)
    from rampgate_operator import process
    from rampgate_operator.adapters.lease import LostLeaseError
    from rampgate_operator.adapters.login import NoClusterError
    from rampgate_operator.adapters.prometheus import Prometheus
    from rampgate_operator.adapters.web import ListenError
    from rampgate_operator.configuration import ConfigurationError, load_settings, unknown_variables
    from rampgate_operator.logs import configure_logs

    try:
        settings = load_settings(arguments.config, os.environ)
    except ConfigurationError as error:
        return _refuse(*error.lines)
    configure_logs(as_json=arguments.log_format == "json", level=arguments.log_level.upper())
    for name in unknown_variables(os.environ):
        logger.warning("the environment variable %s names no setting and is ignored; see --help", name)
    metrics = Prometheus(settings.sources)
    try:
        asyncio.run(process.run(settings, metrics=metrics))
    except (NoClusterError, ListenError) as error:
        return _refuse(str(error))
    except ExceptionGroup as failed:
        lost = failed.subgroup(LostLeaseError)
        if lost is not None:
            logger.critical("another replica may lead now, so this one ends: %s", lost.exceptions[0])
        else:
            logger.critical("a part of the operator has failed, so all of it ends", exc_info=True)
        return 1
    except KeyboardInterrupt:  # before it could listen for it
        return 0
    finally:
        metrics.close()
    return 0


def _refuse(*lines: str) -> int:
    sys.stderr.writelines(f"rampgate operator: {line}\n" for line in lines)
    return 2
