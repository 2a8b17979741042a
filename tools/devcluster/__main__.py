"""`python -m tools.devcluster up|down|env|status|load|build`: the command line, and nothing else.

Exit status: 0 done; 1 a server, a build or a probe failed; 2 wrong usage; 3 nothing runs there (env, status, load).
"""

import argparse
import shlex
import signal
import sys
import time
from enum import IntEnum
from pathlib import Path

from tools.devcluster import containerd, keeper, kubelet, node, removal, state
from tools.devcluster.binaries import BINARIES, Binary, BinaryMissingError, Purpose, needed_for, require
from tools.devcluster.build import BuildError, ensure
from tools.devcluster.debian import PackageError
from tools.devcluster.golang import GoError
from tools.devcluster.images import PROMETHEUS as PROMETHEUS_IMAGE
from tools.devcluster.loopback import answers
from tools.devcluster.places import HOST_ADDRESS
from tools.devcluster.roles import Role
from tools.devcluster.server import ServerError

FAILURES = (
    *(BinaryMissingError, BuildError, GoError, PackageError, ServerError),
    *(keeper.KeeperError, node.NodeError, removal.RemovalError, state.AlreadyRunningError),
)


class Exit(IntEnum):
    """The exit statuses; 2 is argparse's."""

    OK = 0
    FAILED = 1
    NOT_RUNNING = 3


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: Exit = options.run(options)
    except FAILURES as error:
        print(f"devcluster: {error}", file=sys.stderr)
        return Exit.FAILED
    except KeyboardInterrupt:
        print("devcluster: interrupted", file=sys.stderr)
        return Exit.FAILED
    return status


def up(options: argparse.Namespace) -> Exit:
    """Start a cluster, or name the one that runs."""
    here = state.read(options.dir)
    if here is not None:
        return _already_runs(here, options)
    if options.node:
        node.prepare(_report)
    for binary in _wanted(options):
        ensure(binary, _report)
    started = time.monotonic()
    if options.foreground:
        interval = options.scrape_interval if options.prometheus else None
        keeper.keep(options.dir, node=options.node, scrape_interval=interval, ready=_print_state)
        return Exit.OK
    prometheus = [f"--scrape-interval={options.scrape_interval}"] if options.prometheus else ["--no-prometheus"]
    here = keeper.detach(options.dir, [*prometheus, *(["--node"] if options.node else [])])
    print(f"ready after {time.monotonic() - started:.1f} s")
    _print_state(here)
    return Exit.OK


def down(options: argparse.Namespace) -> Exit:
    """End a cluster, and remove what a killed node left; logs stay."""
    print(f"stopped the cluster in {options.dir}" if keeper.end(options.dir, _report) else f"nothing runs in {options.dir}")
    if node.clean():
        print("removed what a killed node left")
    return Exit.OK


def load(options: argparse.Namespace) -> Exit:
    """Make images available to the node's pods: those of an archive, or Prometheus, built here under its public name."""
    if not node.runs():
        print("no node runs on this machine: `python -m tools.devcluster up --node` starts one", file=sys.stderr)
        return Exit.NOT_RUNNING
    if options.prometheus:
        containerd.import_program(PROMETHEUS_IMAGE, require("prometheus"))
    else:
        containerd.import_image(options.archive)
    return Exit.OK


def env(options: argparse.Namespace) -> Exit:
    """Print what a shell evaluates, for kubectl and `rampgate operator`: eval "$(python -m tools.devcluster env)"."""
    here = state.read(options.dir)
    if here is None:
        return _nothing_runs(options.dir)
    print(f"export KUBECONFIG={shlex.quote(here.kubeconfigs[options.role])}")
    if here.node is not None:  # unlike loopback, its addresses go to a proxy that the shell may name
        print(f'export NO_PROXY="${{NO_PROXY:+$NO_PROXY,}}{HOST_ADDRESS}"')
    if here.prometheus is not None:
        print(f"export RAMPGATE_SOURCES__DEFAULT__URL={shlex.quote(here.prometheus)}")
    return Exit.OK


def status(options: argparse.Namespace) -> Exit:
    """Say what runs and whether it answers."""
    here = state.read(options.dir)
    if here is None:
        return _nothing_runs(options.dir)
    probes = {"kube-apiserver": (here.api_server, answers(f"{here.api_server}/readyz", ca_file=Path(here.ca_file)))}
    if here.prometheus is not None:
        probes["prometheus"] = (here.prometheus, answers(f"{here.prometheus}/-/ready"))
    if here.node is not None:
        probes["kubelet"] = (kubelet.HEALTH, answers(kubelet.HEALTH))
    print(f"running in {options.dir} (process {state.keeper(options.dir)})")
    for name, (url, ready) in probes.items():
        print(f"  {name:<15} {url:<32} {'ready' if ready else 'NOT READY'}")
    return Exit.OK if all(ready for _, ready in probes.values()) else Exit.FAILED


def build(options: argparse.Namespace) -> Exit:
    """Build what is missing and print where each binary is."""
    for binary in options.binaries or needed_for(options.purpose):
        print(f"{binary.name} {binary.version} {ensure(binary, _report)}")
    return Exit.OK


def _nothing_runs(directory: Path) -> Exit:
    starting = state.keeper(directory) is not None
    _report(f"a cluster is starting in {directory}" if starting else f"nothing runs in {directory}")
    if (left := removal.leftovers()) and not node.runs():
        _report("a killed node left what follows; `python -m tools.devcluster down` removes it\n  " + "\n  ".join(left))
    return Exit.NOT_RUNNING


def _already_runs(here: state.State, options: argparse.Namespace) -> Exit:
    print(f"already running in {options.dir}")
    _print_state(here)
    if options.node and here.node is None:
        _report("it runs without a node: `down` it first")
        return Exit.FAILED
    return Exit.OK


def _wanted(options: argparse.Namespace) -> list[Binary]:
    names = {"etcd", "kube-apiserver", *(["prometheus"] if options.prometheus else [])}
    return [binary for binary in BINARIES.values() if binary.name in names or (options.node and binary.purpose is Purpose.NODE)]


def _print_state(here: state.State) -> None:
    print(f"API server  {here.api_server}")
    for role, path in here.kubeconfigs.items():
        print(f"kubeconfig  {path}  ({role})")
    if here.prometheus is not None:
        print(f"Prometheus  {here.prometheus}\ntargets     {here.prometheus_targets}/*.json (file_sd, read at once)")
    sys.stdout.flush()


def _report(line: str) -> None:
    """Progress goes to standard error: standard output is the result."""
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.devcluster",
        description="A real Kubernetes, with or without a node, and a real Prometheus on this machine, for tests and the demo.",
        epilog=__doc__.partition("\n\n")[2],
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run in (up, down, env, status, load, build):
        command = commands.add_parser(run.__name__, help=(run.__doc__ or "").splitlines()[0], description=run.__doc__)
        command.set_defaults(run=run)
        if run is build:
            help_ = "what they are needed for: the demo, all tests, or those with real pods (default: %(default)s)"
            command.add_argument("binaries", nargs="*", type=_binary, metavar="NAME", help=f"these alone: {', '.join(BINARIES)}")
            command.add_argument("--for", dest="purpose", type=Purpose, choices=list(Purpose), default=Purpose.TEST, help=help_)
        elif run is load:
            what = command.add_mutually_exclusive_group(required=True)
            what.add_argument("archive", nargs="?", type=_absolute, metavar="ARCHIVE", help="an OCI or Docker archive (.tar)")
            what.add_argument("--prometheus", action="store_true", help=f"the Prometheus that is built here, as {PROMETHEUS_IMAGE}")
        else:
            command.add_argument(
                "--dir", type=_absolute, default=state.default_directory(), help="which cluster: its directory (default: %(default)s)"
            )
        if run is env:
            command.add_argument(
                "--role", choices=[role.value for role in Role], default=Role.ADMIN.value, help="whose kubeconfig (default: %(default)s)"
            )
        if run is up:
            _add_up_options(command)
    return parser


def _add_up_options(command: argparse.ArgumentParser) -> None:
    what = command.add_mutually_exclusive_group()
    what.add_argument("--control-plane", action="store_true", help="etcd and kube-apiserver, no nodes (the default)")
    what.add_argument("--node", action="store_true", help="a node with real pods too; Linux and root only, one on a machine")
    command.add_argument("--prometheus", action=argparse.BooleanOptionalAction, default=True, help="start a Prometheus too (the default)")
    command.add_argument("--scrape-interval", type=_seconds, default=1.0, metavar="SECONDS", help="Prometheus' (default: %(default)s)")
    command.add_argument("--foreground", action="store_true", help="stay until Ctrl-C instead of detaching")


def _absolute(text: str) -> Path:
    return Path(text).absolute()


def _binary(text: str) -> Binary:
    if text not in BINARIES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(BINARIES)}")
    return BINARIES[text]


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.05 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.05 and 3600 seconds")
    return seconds


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a start that is given up takes along what it started
    sys.exit(main())
