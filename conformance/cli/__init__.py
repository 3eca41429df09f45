"""The program `scewl`: check, generate, conform, compare, replay, inspect, provision, sss, sed, radio, lab, relay.

Results go to stdout, progress and errors to stderr. Exit codes: 0 pass (true), 1 fail (false), 2 usage, 3 error or
inconclusive (open), 4 nothing selected, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn

from conformance.cli.shared import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_PIPE, EXIT_USAGE, UsageError, complain, nearest
from conformance.targets.base import HarnessError

_COMMANDS: Final = (
    *("check", "generate", "conform", "compare", "replay", "inspect"),
    *("provision", "sss", "sed", "radio", "lab", "relay"),
)
"""Each is a module here with `add_parser`."""
_EXAMPLES = """examples:
  scewl check                                check the model: every state, every property
  scewl generate                             make a suite of traces
  scewl conform                              run every purpose against our firmware in QEMU
  scewl conform --firmware my.elf            run every purpose against yours
  scewl compare --firmware my.elf            the same on the reference, and what differs first
  scewl replay reports/out/conform/ID.jsonl  run one recorded trace again
  scewl inspect FILE.pcapng                  show what happened in a capture, decrypted
  scewl provision deployment --ids 10,11     make keys, certificates and images for two SEDs
  scewl sss --deployment deployment --listen unix:/tmp/sss.sock    register them
  scewl radio --listen unix:/tmp/radio.sock  let them hear each other, and break it on purpose
  scewl sed --deployment deployment --id 10 --radio unix:/tmp/radio.sock --sss unix:/tmp/sss.sock    be one
  scewl lab lab.toml                         firmwares, Python SEDs and the SSS together
  scewl relay --id 10 --to 1 --connect unix:/tmp/sss.sock --udp-client 127.0.0.1:4433    OpenSSL among them

exit codes: 0 pass, 1 fail, 2 usage, 3 error or inconclusive, 4 nothing selected, 130 interrupted"""


class _Parser(argparse.ArgumentParser):
    """Adds the nearest name to what argparse says of a wrong one."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            message += nearest(found[1], re.findall(r"'(.*?)'", found[2]))
        super().error(message)


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """The parser of the whole command line, or of one command: whoever reads a capture need not load a prover."""
    parser = _Parser(
        prog="scewl",
        description="Check the model of DTLS over SCEWL, and judge implementations by it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in [command] if command in _COMMANDS else _COMMANDS:
        import_module(f"conformance.cli.{name}").add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code. No exception leaves it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without `→` must not end a report
    try:
        code = _run(argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader left, as `head` does. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE


def _run(argv: Sequence[str] | None) -> int:
    try:
        words = sys.argv[1:] if argv is None else argv
        args = build_parser(words[0] if words else "").parse_args(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_USAGE
    except KeyboardInterrupt:  # a command loads what it needs, which takes a moment
        complain("interrupted")
        return EXIT_INTERRUPTED
    try:
        code: int = args.run(args)
        return code
    except UsageError as error:
        complain(str(error))
        return EXIT_USAGE
    except HarnessError as error:
        complain(error.what, *error.evidence)
    except KeyboardInterrupt:
        complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))
    except Exception as error:
        # The last resort: whatever we did not foresee is our error, and a traceback helps only whoever asks for it.
        if args.debug:
            traceback.print_exc()
        hint = "" if args.debug else "run again with --debug to see where"
        complain(f"internal error: {type(error).__name__}: {error}", hint)
    return EXIT_ERROR
