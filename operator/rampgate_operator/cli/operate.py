"""`rampgate operator`: run the operator against the cluster of the kubeconfig, or of the pod that it runs in."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any

EPILOG = """\
configuration file (YAML), every field may also be given as RAMPGATE_<FIELD>, nested ones with two underscores:
  sources:
    default: {url: "http://prometheus.monitoring:9090"}   # RAMPGATE_SOURCES__DEFAULT__URL
    billing: {url: "https://prometheus.billing:9090", tokenFile: /var/run/token, caFile: /etc/ca.crt}
    # and for each: timeout: 10s, maxConcurrent: 8, lookback: 5m
  namespaces: [shop]     # all by default
  workers: 8
  resync: 5m
exit status: 0 stopped by a signal, 1 failed, 2 wrong usage or configuration, 3 the extra `operator` is not installed
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
    import kopf
    import yaml
    from pydantic_settings import SettingsError

    from rampgate_operator import process
    from rampgate_operator.settings import load_settings, unknown_variables

    try:
        settings = load_settings(arguments.config)
    except (ValueError, OSError, SettingsError, yaml.YAMLError) as error:  # pydantic's ValidationError is a ValueError
        sys.stderr.write(f"rampgate operator: the configuration cannot be used: {error}\n")
        return 2
    kopf.configure(
        verbose=arguments.log_level == "debug",
        quiet=arguments.log_level == "warning",
        log_format=kopf.LogFormat.JSON if arguments.log_format == "json" else kopf.LogFormat.FULL,
    )
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # one line per event says nothing
    for name in unknown_variables(os.environ):
        logging.getLogger(__name__).warning("the environment variable %s names no setting and is ignored; see --help", name)
    metrics = process.connect(settings)
    try:
        asyncio.run(process.run(settings, metrics=metrics))
    except KeyboardInterrupt:
        return 0
    finally:
        metrics.close()
    return 0
