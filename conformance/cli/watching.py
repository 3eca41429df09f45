"""The options of commands that can have the model beside what they run."""

from __future__ import annotations

import argparse
from pathlib import Path

from conformance.cli.shared import UsageError


def add_watch_options(parser: argparse.ArgumentParser, what_follows: str, go_on: str) -> None:
    """`--watch` and `--go-on`. `what_follows` is what an alarm does, `go_on` what it does not do with `--go-on`."""
    parser.add_argument(
        "--watch",
        type=Path,
        metavar="DIR",
        help="judge each step by the model; what no rule allows is told with its ladder and trace in DIR "
        f"(docs/watching.md), and {what_follows}",
    )
    parser.add_argument("--go-on", action="store_true", help=f"with --watch: {go_on}")


def watch_folder(args: argparse.Namespace) -> Path | None:
    """Where alarms go; None if nothing is watched. Raises UsageError for options that say nothing."""
    folder: Path | None = args.watch
    if folder is None:
        if args.go_on:
            raise UsageError("--go-on says what becomes of an alarm: it goes with --watch DIR")
        return None
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--watch {folder}: it is no folder")
    return folder
