"""`scewl sed`: a SED of a deployment as a program: the reference's controller, with a CPU that does as it is told."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.cli.shared import UsageError, common_options
from conformance.cli.watching import add_watch_options, watch_folder
from model.alphabet import Link

if TYPE_CHECKING:
    from reference.controller import Controller
    from reference.sed.commands import Command
    from reference.sed.node import Node
    from reference.sed.program import Watch

_EPILOG = """commands, one a line, typed, from a pipe, a file or -c:
{help}

What arrives is shown at once; `wait` is for scripts. A script ends at the first command that fails. A SED starts
unregistered: its runtime certificate is in its memory alone. SIGTERM or SIGINT (Ctrl-C) powers it off.

examples:
  scewl sed --deployment deployment --id 10 --radio unix:/tmp/radio.sock --sss unix:/tmp/sss.sock
      a prompt
  scewl sed --deployment deployment --id 11 --radio unix:/tmp/radio.sock --sss unix:/tmp/sss.sock \\
      -c register -c 'send 10 hello' -c 'wait 20 from 10' -c deregister
  scewl sed --deployment deployment --id 10 --radio tcp:127.0.0.1:9001 --json -c stay
      a peer for others, whose events are JSON lines
  scewl sed --deployment deployment --id 10 --radio unix:/tmp/radio.sock --cpu unix:/tmp/cpu.sock
      a CPU of your own, which speaks SCEWL frames
  scewl sed --deployment deployment --id 10 --radio unix:/tmp/radio.sock -c stay --watch alarms
      with the model beside it; `scewl replay alarms/watched-10-1.jsonl` shows what was wrong

exit codes: 0 all commands done (or SIGTERM), 1 a command failed or the watch gave an alarm, 2 usage, 3 the radio or
the SSS is not there, 130 SIGINT"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    from reference.sed.commands import HELP

    parser = commands.add_parser(
        "sed",
        help="run a SED of a deployment: register, send, receive",
        description="Run a SED: the reference's controller, connected to a radio and an SSS, in real time.",
        epilog=_EPILOG.format(help=HELP),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument(
        "--deployment", type=Path, required=True, metavar="DIR", help="the folder that `scewl provision` made"
    )
    parser.add_argument("--id", type=int, required=True, metavar="ID", help="which of its SEDs this is")
    parser.add_argument(
        "--radio", required=True, metavar="ADDRESS", help="where the radio listens: unix:/path or tcp:host:port"
    )
    parser.add_argument("--sss", metavar="ADDRESS", help="where the SSS listens; without it, it cannot register")
    parser.add_argument(
        "-c", dest="commands", action="append", metavar="COMMAND", help="do this and end (repeatable, in order)"
    )
    parser.add_argument("--script", type=Path, metavar="FILE", help="do what the lines of this file say, and end")
    parser.add_argument(
        "--cpu", metavar="ADDRESS", help="listen here for a CPU that speaks frames, instead of taking commands"
    )
    parser.add_argument(
        "--keylog", type=Path, metavar="FILE", help="append session secrets to this file (mode 0600), for Wireshark"
    )
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="for each command (default: as long as the protocol takes)"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long the radio or the SSS may be away before what needs it fails (default: 10)",
    )
    add_watch_options(parser, "ends the SED", "it does not end the SED")
    parser.set_defaults(run=run_sed)


def run_sed(args: argparse.Namespace) -> int:
    """Be the SED until its commands are done or a signal comes. Raises UsageError."""
    from reference.deployment import DeploymentError
    from reference.sed import program
    from reference.sed.commands import BadCommandError
    from reference.sed.sed import power_up
    from reference.service.listen import Address, ListenError

    if sum(1 for way in (args.commands, args.script, args.cpu) if way) > 1:
        raise UsageError("-c, --script and --cpu are three ways to say what it does: choose one")
    if (args.timeout is not None and not args.timeout > 0) or not args.patience >= 0:
        raise UsageError("--timeout is more than 0, --patience at least 0")
    try:
        addresses = {Link.RADIO: Address.parse(args.radio)}
        if args.sss:
            addresses[Link.SSS] = Address.parse(args.sss)
        settings = program.Settings(
            addresses=addresses,
            keylog=args.keylog,
            cpu=Address.parse(args.cpu) if args.cpu else None,
            as_json=args.json,
            timeout=args.timeout,
            patience=args.patience,
            go_on=args.go_on,
        )
        return program.run(power_up(args.deployment, args.id), settings, _script(args), _watch(args))
    except (DeploymentError, ListenError, BadCommandError) as error:
        raise UsageError(str(error)) from error


def _script(args: argparse.Namespace) -> list[Command] | None:
    from reference.sed.program import read_script

    if args.commands:
        return read_script("-c", args.commands)
    if args.script:
        try:
            return read_script(str(args.script), args.script.read_text("utf-8").splitlines())
        except UnicodeDecodeError as error:
            raise UsageError(f"{args.script} is not UTF-8: {error.reason} at byte {error.start}") from error
    return None


def _watch(args: argparse.Namespace) -> Watch | None:
    """What puts the model beside the controller. Raises UsageError."""
    folder = watch_folder(args)
    if folder is None:
        return None
    from conformance.watching import watch  # late: most SEDs run without
    from conformance.watching.alarms import AlarmFolder

    def around(controller: Controller, say: Callable[..., None]) -> Node:
        if controller.fatal:
            raise UsageError(f"SED {args.id} does not start: {controller.fatal}; there is nothing to watch")
        return watch(controller, AlarmFolder(folder, say), go_on=args.go_on)

    return around
