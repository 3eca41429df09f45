"""`scewl lab`: firmwares in QEMU, Python SEDs, the SSS and the links in one world, to watch, step and disturb."""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.cli.shared import EXIT_PASS, UsageError, common_options

if TYPE_CHECKING:
    from conformance.mixed.control import Control
    from conformance.mixed.file import LabFile
    from conformance.mixed.world import World

_EPILOG = """The file says which devices there are, how fast the links are, and what happens when: `--init` writes one
with comments, which runs as it is. Time is virtual, so that the same file gives the same bytes however fast it runs.

On a terminal there is a view with a line for commands: F5 pauses and goes on, F8 does one step, F10 ends. It goes at
the file's pace. With --plain, and where there is no terminal, each event is a line, or with --json a JSON object.
With --commands, commands come from standard input, one a line: the lab begins paused, each command is done before the
next is read, and the lab ends with the input. Without the view, a lab is as fast as it can be; --pace slows it down.

examples:
  scewl lab --init lab.toml                   write a file to begin with: a firmware and two Python SEDs
  scewl lab lab.toml                          run it and look at it
  scewl lab lab.toml --plain --until 60s      sixty virtual seconds, as fast as possible
  scewl lab lab.toml --plain --pace 10        ten virtual seconds a second
  scewl lab lab.toml --json | jq .            each event as a JSON object
  scewl lab lab.toml --record reports/out/lab keep a capture with secrets, and a trace of each SED
  printf 'register 10\\nrun\\nshow\\n' | scewl lab lab.toml --commands

exit codes: 0 all as it should be, 1 a SED did what no rule allows or broke, or an expectation of the script was not
met, 2 usage, 3 error of the suite or the machine, 130 interrupted

commands, and in the file's [[script]] those in the second half:
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "lab",
        help="run firmwares, Python SEDs and the SSS together, and look at them",
        description="Run a mixed deployment: firmwares in QEMU, Python SEDs, the SSS and the links between them.",
        epilog=_EPILOG + _command_list(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what the lab is; `--init` writes one")
    parser.add_argument("--init", action="store_true", help="write FILE, with comments, and do nothing else")
    parser.add_argument("--until", metavar="TIME", help="end at this virtual time: 60s, 5m, 2h")
    parser.add_argument(
        "--pace",
        type=float,
        metavar="X",
        help="virtual seconds a second; 0: as fast as possible (default: the file's in the view, else 0)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of all keys and messages, in place of the file's")
    parser.add_argument("--no-watch", action="store_true", help="without the model beside the SEDs, and faster")
    parser.add_argument("--record", type=Path, metavar="DIR", help="write a capture and traces there; watches as well")
    parser.add_argument("--plain", action="store_true", help="lines instead of the view, also on a terminal")
    parser.add_argument("--commands", action="store_true", help="begin paused and take commands from standard input")
    parser.set_defaults(run=run)


def _command_list() -> str:
    from conformance.mixed.words import help_lines

    return "\n".join(f"  {line}" for line in help_lines())


def run(args: argparse.Namespace) -> int:
    """Run the command. Raises UsageError, HarnessError."""
    if args.init:
        return _init(args.file)
    from conformance.mixed import program
    from conformance.mixed.file import BadLab, load
    from conformance.report.console import Style

    style = Style.of(sys.stdout)
    looks = not (args.plain or args.json or args.commands) and all(
        s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)
    )
    drive = _commanded if args.commands else _looked_at if looks else _at_pace
    begun = _silent if looks else _printer(args.json)
    try:
        lab = _settled(load(args.file), args, looks)
        ended = program.run(lab, drive, time.monotonic, begun, stays=args.commands or looks)
    except BadLab as error:
        raise UsageError(str(error)) from error
    for line in ended.lines(args.json, style):
        print(line)
    return ended.verdict.exit_code


def _init(path: Path) -> int:
    from conformance.campaign import DEFAULT_FIRMWARE
    from conformance.files import write_new
    from conformance.mixed.file import template

    elf = DEFAULT_FIRMWARE.resolve()
    try:
        write_new(path, template(elf))
    except FileExistsError:
        raise UsageError(f"{path} is there already: remove it, or name another file") from None
    missing = "" if elf.is_file() else "; `make firmware` builds the firmware that it names"
    print(f"wrote {path}{missing}: scewl lab {path}")
    return EXIT_PASS


def _settled(lab: LabFile, args: argparse.Namespace, looks: bool) -> LabFile:
    """The file with what the command line says otherwise. Its pace is for whoever `looks`: nobody else waits."""
    from conformance.mixed.file import duration

    if args.until is not None:
        try:
            lab = replace(lab, until=duration(args.until))
        except ValueError as error:
            raise UsageError(f"--until: {error}") from error
    if args.pace is None:
        lab = lab if looks else replace(lab, pace=0.0)
    else:
        if not 0 <= args.pace <= 1_000_000:
            raise UsageError(f"--pace {args.pace:g}: it is 0 (as fast as possible) to 1000000")
        lab = replace(lab, pace=args.pace)
    if args.seed is not None:
        if not 0 <= args.seed < 2**63:
            raise UsageError(f"--seed {args.seed}: it is 0 to 2^63 - 1")
        lab = replace(lab, seed=args.seed)
    if args.no_watch:
        lab = replace(lab, watch=False)
    return lab if args.record is None else replace(lab, record=args.record)


def _printer(as_json: bool) -> Callable[[World], None]:
    """Writes a line for each thing that happens."""
    from conformance.mixed.lines import json_line, text_line

    def listener(now: int, kind: str, facts: dict[str, Any]) -> None:
        line = json_line(now, kind, facts) if as_json else text_line(now, kind, facts)
        if line is not None:
            print(line, flush=True)

    return lambda world: world.listeners.append(listener)


def _silent(_world: World) -> None:
    """The view shows everything itself."""


def _looked_at(control: Control) -> None:
    """Run in the terminal view."""
    from conformance.mixed.view import drive

    drive(control)


def _at_pace(control: Control) -> None:
    """Run to the end."""
    while (wait := control.wait_s()) is not None:
        if wait:
            time.sleep(wait)
        else:
            control.advance()


def _commanded(control: Control) -> None:
    """Do the commands of standard input, each before the next is read."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="backslashreplace")  # what is no text is no command either
    control.command("pause")
    for line in sys.stdin:
        if line.strip() and not line.startswith("#"):
            for reply in control.command(line):
                print(reply, flush=True)
        _at_pace(control)
        if control.ended:
            return
