"""`scewl sss`: the SSS of a deployment as a service, and what can be asked of it."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from conformance.cli.shared import EXIT_INTERRUPTED, EXIT_PASS, UsageError, common_options
from conformance.cli.watching import add_watch_options, watch_folder
from conformance.targets.base import HarnessError
from reference.deployment import DeploymentError
from reference.service import program
from reference.service.limits import Limits
from reference.service.listen import Address, ListenError
from reference.service.store import StoreError
from reference.sss import Sss

_DEFAULT = Limits()
_EPILOG = """Each connection is the wire of one device: SCEWL frames, the first of which says by its source id which
device it is. What must survive is kept in DIR/sss.sqlite. The log is one JSON object a line, and holds no secret.
SIGTERM or SIGINT (Ctrl-C) ends the service: sessions are closed, and the exit code is 0 or 130.

examples:
  scewl provision deployment --ids 10-25
  scewl sss --deployment deployment --listen unix:/tmp/sss.sock
      serve the devices 10 to 25 on a Unix socket
      with the cipher suite, the names and the response layout that the deployment was made with
  scewl sss --deployment deployment --listen tcp:127.0.0.1:9000 --listen tcp:[::1]:9000 --log sss.jsonl
  scewl sss --deployment deployment --listen unix:/tmp/sss.sock --watch alarms
      with the model beside it; `scewl replay alarms/watched-1-1.jsonl` shows what was wrong
  scewl sss status --deployment deployment --json     counters and latencies of the running service
  scewl sss list --deployment deployment              who is registered, since when, with which certificate
  scewl sss revoke 10 --deployment deployment         refuse device 10 from now on

A firmware in QEMU talks to it with its second serial port:
  qemu-system-arm -M lm3s6965evb -kernel controller.elf -device loader,file=10.bin,addr=0x3f000 \\
    -serial unix:/tmp/cpu.sock -serial unix:/tmp/sss.sock -serial null"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "sss",
        help="run the SSS of a deployment as a service",
        description="Run the SSS of a deployment as a service, or ask about it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    _add_deployment(parser)
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS",
        help="where devices connect: unix:/path or tcp:host:port, port 0 for a free one (repeatable)",
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="append the log to this file instead of stderr")
    parser.add_argument(
        "--connections",
        type=int,
        default=_DEFAULT.connections,
        metavar="N",
        help=f"connections at once; the oldest that proved nothing gives way (default: {_DEFAULT.connections})",
    )
    parser.add_argument(
        "--idle",
        type=float,
        default=_DEFAULT.idle,
        metavar="SECONDS",
        help="close a connection on which no device proved anything for so long (default: 0, never)",
    )
    add_watch_options(parser, "its connection is not served any more", "serve it all the same")
    parser.set_defaults(run=run_service)
    actions = parser.add_subparsers(title="questions", metavar="QUESTION")
    for name, run, says in (
        ("status", run_status, "what the service does, running or not: counters, latencies, connections"),
        ("list", run_list, "every device: registered or not, since when, with which certificate"),
        ("revoke", run_revoke, "refuse devices from now on, by the running service or, if none runs, on the disk"),
    ):
        action = actions.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".")
        if name == "revoke":
            action.add_argument("devices", type=int, nargs="+", metavar="ID", help="the SCEWL id of a device")
        _add_deployment(action)
        for option, text in (("--json", "write the result as JSON to stdout"), ("--debug", "show tracebacks")):
            # Both may stand before or after the question; the one that does not stand there must not win.
            action.add_argument(option, action="store_true", default=argparse.SUPPRESS, help=text)
        action.set_defaults(run=run)


def _add_deployment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deployment",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="the folder that `scewl provision` made (needed)",
    )


def run_service(args: argparse.Namespace) -> int:
    """Serve until a signal ends it. Raises UsageError or HarnessError."""
    if not args.listen:
        raise UsageError("nowhere to listen: give --listen unix:/path or --listen tcp:host:port")
    if args.connections < 1 or args.idle < 0:
        raise UsageError("--connections is at least 1, --idle at least 0")
    with _clear():
        addresses = [Address.parse(text) for text in args.listen]
        limits = replace(_DEFAULT, connections=args.connections, idle=args.idle)
        with _log(args.log) as log:
            ended = program.serve(_deployment(args), addresses, limits, log, _watched(args))
    return EXIT_INTERRUPTED if ended == signal.SIGINT else EXIT_PASS


def run_status(args: argparse.Namespace) -> int:
    """Show what the service does. Raises UsageError or HarnessError."""
    with _clear():
        shown = program.status(_deployment(args))
    if args.json:
        print(json.dumps(shown, indent=1))
        return EXIT_PASS
    if not shown["running"]:
        print("not running")
    else:
        print(
            f"running       process {shown['pid']}, for {shown['uptime_s']:.0f} s, on {', '.join(shown['listening'])}"
        )
        print(
            f"connections   {shown['connections']} of at most {shown['connections_limit']}, "
            f"{shown['proved_connections']} of them proved"
        )
    settings = shown["settings"]
    print(f"settings      {settings['suite']}, {settings['cn_pattern']}, {settings['registration']} responses")
    print(f"devices       {shown['provisioned']}, registered {shown['registered']}, removed {shown['removed']}")
    for name, value in shown.get("counters", {}).items():
        print(f"  {name:24}{value:>10}")
    for name, spread in shown.get("durations_ms", {}).items():
        print(f"  {name + ', ms':24}" + "  ".join(f"{key} {value}" for key, value in spread.items()))
    return EXIT_PASS


def run_list(args: argparse.Namespace) -> int:
    """Show every device. Raises UsageError or HarnessError."""
    with _clear():
        rows = program.devices(_deployment(args))
    if args.json:
        print(json.dumps(rows, indent=1))
        return EXIT_PASS
    print(f"{'device':>6}  {'state':12}  {'since':25}  {'valid until':25}  {'serial':>6}  certificate, SHA-256")
    for row in rows:
        print(_line(row).rstrip())
    return EXIT_PASS


def run_revoke(args: argparse.Namespace) -> int:
    """Refuse devices from now on. Raises UsageError or HarnessError."""
    with _clear():
        done = [program.revoke(_deployment(args), device) for device in args.devices]
    if args.json:
        print(json.dumps(done, indent=1))
        return EXIT_PASS
    for one in done:
        was = "was registered" if one["was_registered"] else "was not registered"
        how = "by the running service, at once" if one["running"] else "on the disk: no service runs"
        print(f"device {one['device']} is refused from now on ({was}; {how})")
    return EXIT_PASS


def _line(row: dict[str, Any]) -> str:
    since, until, serial = (row.get(name) or "" for name in ("since", "valid_until", "serial"))
    fingerprint = row.get("fingerprint", "")
    return f"{row['device']:>6}  {row['state']:12}  {since:25}  {until:25}  {serial:>6}  {fingerprint}"


def _watched(args: argparse.Namespace) -> Callable[[Callable[..., None]], Callable[..., Sss]] | None:
    """What makes a server with the model beside it. Raises UsageError."""
    folder = watch_folder(args)
    if folder is None:
        return None
    from conformance.watching import WatchedSss  # late: most services run without
    from conformance.watching.alarms import AlarmFolder

    def watched(say: Callable[..., None]) -> Callable[..., Sss]:
        return functools.partial(WatchedSss, alarm=AlarmFolder(folder, say), go_on=args.go_on)

    return watched


def _deployment(args: argparse.Namespace) -> Path:
    folder: Path | None = getattr(args, "deployment", None)
    if folder is None:
        raise UsageError("which deployment? Give --deployment DIR, the folder that `scewl provision` made")
    return folder


@contextlib.contextmanager
def _clear() -> Iterator[None]:
    """What the user can mend is usage; what the disk or another program does is not."""
    try:
        yield
    except (DeploymentError, ListenError) as error:
        raise UsageError(str(error)) from error
    except StoreError as error:
        raise HarnessError(str(error)) from error


@contextlib.contextmanager
def _log(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stderr
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as stream:
        yield stream
