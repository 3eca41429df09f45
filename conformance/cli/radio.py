"""`scewl radio`: the radio as a program, and what can be asked of it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from conformance.cli.shared import EXIT_INTERRUPTED, EXIT_PASS, UsageError, common_options
from conformance.targets.base import HarnessError

if TYPE_CHECKING:
    from reference.service.listen import Address

_EPILOG = """A connection is an antenna: a stream of SCEWL frames both ways. What one sends is heard by all others.
The log is one JSON object a line, on stderr. SIGTERM or SIGINT (Ctrl-C) ends the radio, and its capture; the exit code
is 0 or 130.

examples:
  scewl radio --listen unix:/tmp/radio.sock
  scewl radio --listen unix:/tmp/radio.sock --faults faults.toml --capture radio.pcapng --keylog keys.txt
      break what the schedule says, record everything, with the secrets that SEDs write to keys.txt
  scewl radio --listen tcp:127.0.0.1:9001 --control unix:/tmp/radio-control.sock
      the second port: a man in the middle, another schedule, figures
  scewl radio status --control unix:/tmp/radio-control.sock --json

a schedule (faults.toml), in the words of test purposes:
  faults = [
    { do = "lose", flight = 2, by = 11, to = 10 },         # the first HelloVerifyRequest of 11 to 10
    { do = "duplicate", flight = 4, nth = 2 },             # anybody's second transmission of flight 4
    { do = "delay", record = "data", nth = 3, ms = 500 },
    { do = "cut", flight = 1 },                            # the second half is missing
    { do = "swap", record = "data", nth = 1 },             # comes behind what the same antenna sends next
  ]

A firmware in QEMU has its radio at the third serial port: -serial unix:/tmp/radio.sock"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "radio",
        help="run the radio: a hub that can be made to lose, delay and change frames",
        description="Run the radio between SEDs, real or simulated, or ask about one that runs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS",
        help="where antennas connect: unix:/path or tcp:host:port, port 0 for a free one (repeatable)",
    )
    parser.add_argument(
        "--control",
        default=argparse.SUPPRESS,
        metavar="ADDRESS",
        help="the second port, for figures, schedules and a man in the middle: whoever reaches it rules the radio",
    )
    parser.add_argument("--faults", type=Path, metavar="FILE", help="an exact schedule of faults (TOML, below)")
    parser.add_argument("--capture", type=Path, metavar="FILE", help="record all frames as pcapng (mode 0600)")
    parser.add_argument(
        "--keylog",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="put the secrets in this file, which SEDs write, into the capture (repeatable; it may come later)",
    )
    parser.add_argument(
        "--antennas",
        type=int,
        default=64,
        metavar="N",
        help="connections at once; for one more, the quietest is closed (default: 64)",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=262_144,
        metavar="BYTES",
        help="bytes a second that one antenna may send; beyond it is not read (default: 262144)",
    )
    parser.add_argument(
        "--hold",
        type=float,
        default=10,
        metavar="SECONDS",
        help="how long a frame waits for a man in the middle before it goes on (default: 10)",
    )
    parser.add_argument("--echo", action="store_true", help="whoever sends hears itself, too")
    parser.add_argument("--log", type=Path, metavar="FILE", help="append the log to this file instead of stderr")
    parser.set_defaults(run=run_radio)
    actions = parser.add_subparsers(title="questions", metavar="QUESTION")
    action = actions.add_parser("status", help="antennas, frames, faults that struck, what was lost")
    action.add_argument("--control", default=argparse.SUPPRESS, metavar="ADDRESS", help="the radio's second port")
    for option, text in (("--json", "write the result as JSON to stdout"), ("--debug", "show tracebacks")):
        action.add_argument(option, action="store_true", default=argparse.SUPPRESS, help=text)
    action.set_defaults(run=run_status)


def run_radio(args: argparse.Namespace) -> int:
    """Be the radio until a signal ends it. Raises UsageError or HarnessError."""
    from conformance.radio.program import Settings, serve
    from conformance.radio.schedule import BadSchedule, load_schedule
    from reference.service.listen import ListenError

    if not args.listen:
        raise UsageError("nowhere to listen: give --listen unix:/path or --listen tcp:host:port")
    if args.antennas < 1 or not args.rate > 0 or not args.hold > 0:
        raise UsageError("--antennas is at least 1, --rate and --hold are more than 0")
    if args.keylog and not args.capture:
        raise UsageError("--keylog says what goes into a capture: give --capture FILE as well")
    try:
        settings = Settings(
            listen=tuple(_addresses(args.listen)),
            control=tuple(_addresses([args.control] if "control" in args else [])),
            faults=tuple(load_schedule(args.faults)) if args.faults else (),
            capture=args.capture,
            key_logs=tuple(args.keylog),
            antennas=args.antennas,
            rate=args.rate,
            hold=args.hold,
            echo=args.echo,
        )
        with _log(args.log) as log:
            ended = serve(settings, log)
    except (ListenError, BadSchedule) as error:
        raise UsageError(str(error)) from error
    return EXIT_INTERRUPTED if ended == signal.SIGINT else EXIT_PASS


def run_status(args: argparse.Namespace) -> int:
    """Show what the radio does. Raises UsageError or HarnessError."""
    from conformance.radio.middle import Middle, RadioError

    if "control" not in args:
        raise UsageError("which radio? Give --control ADDRESS, as the radio was given it")
    try:
        with Middle(args.control) as middle:
            shown = middle.status()
    except RadioError as error:
        raise HarnessError(str(error)) from error
    if args.json:
        print(json.dumps(shown, indent=1))
        return EXIT_PASS
    antennas = f"{len(shown['antennas'])} of at most {shown['antennas_limit']}"
    print(f"running       for {shown['uptime_s']:.0f} s, antennas: {antennas}")
    for antenna in shown["antennas"]:
        rest = ", ".join(f"{name} {value}" for name, value in antenna.items() if name not in ("antenna", "id"))
        print(f"  antenna {antenna['antenna']:<4} {_whose(antenna['id']):10} {rest}")
    _show_counts(shown)
    return EXIT_PASS


def _show_counts(shown: dict[str, Any]) -> None:
    for name, value in shown["counts"].items():
        print(f"  {name:24}{value:>10}")
    for fault in shown["faults"]:
        words = " ".join(f"{name}={value}" for name, value in fault.items() if name not in ("do", "struck"))
        print(f"fault         {fault['do']} {words}: struck {fault['struck']}")
    if capture := shown["capture"]:
        print(
            f"capture       {capture['file']}: {capture['frames']} frames, {capture['secrets']} secrets, "
            f"{capture['lost']} frames lost"
        )


def _whose(number: int) -> str:
    return {0: "(silent)", 2: "FAA"}.get(number, f"SED {number}")


def _addresses(texts: list[str]) -> list[Address]:
    from reference.service.listen import Address

    return [Address.parse(text) for text in texts]


@contextlib.contextmanager
def _log(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stderr
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as stream:
        yield stream
