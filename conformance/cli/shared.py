"""What the commands of `scewl` share: exit codes, errors, common options."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.iut.profile import Iut

EXIT_PASS, EXIT_USAGE, EXIT_ERROR, EXIT_NOTHING, EXIT_INTERRUPTED, EXIT_PIPE = 0, 2, 3, 4, 130, 141

TARGETS = ("qemu", "reference", "native")


class UsageError(Exception):
    """The command line asks for something that does not exist or does not fit together. The message says what to do."""


def complain(*lines: str) -> None:
    """Say on stderr what went wrong; the first line bears the program's name."""
    first, *rest = [line for line in lines if line]
    print(f"scewl: {first}", file=sys.stderr)
    for line in rest:
        print(f"  {line}", file=sys.stderr)


def nearest(name: str, known: Iterable[str]) -> str:
    """`. Did you mean A or B?` for a name that does not exist; empty if nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=3)
    return f". Did you mean {' or '.join(near)}?" if near else ""


def common_options() -> argparse.ArgumentParser:
    """The options that every command has, as a parent parser."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--json", action="store_true", help="write the result as JSON to stdout, and nothing else there"
    )
    parent.add_argument("--debug", action="store_true", help="show the traceback of an internal error")
    return parent


def add_target_options(parser: argparse.ArgumentParser, default: str) -> None:
    """The options that say what is judged; `default` is what --target is without them, for the help."""
    parser.add_argument("--target", choices=TARGETS, help=f"what to judge (default: {default})")
    parser.add_argument(
        "--firmware",
        type=Path,
        metavar="ELF",
        help="the firmware for the target qemu (default: what `make firmware` built), or the host build for native",
    )


def load_iut(path: Path) -> Iut:
    """Read the file that describes an implementation. Raises UsageError."""
    from conformance.iut import BadIut, load

    try:
        return load(path)
    except BadIut as error:
        raise UsageError(f"--iut {error}") from error


def check_firmware(target: str | None, firmware: Path | None) -> None:
    """Raise UsageError if the firmware is no file, or does not go with the target."""
    if firmware is None:
        return
    if target == "reference":
        raise UsageError("--firmware goes with --target qemu or native; leave one of them out")
    if not firmware.is_file():
        raise UsageError(f"no firmware at {firmware}; build it, or give the path of an ELF file")
