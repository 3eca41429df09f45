"""`scewl inspect`: show what happened in a capture, decrypted."""

from __future__ import annotations

import argparse
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from conformance.capture import Problem
from conformance.cli.shared import (
    EXIT_ERROR,
    EXIT_NOTHING,
    EXIT_PASS,
    UsageError,
    common_options,
    complain,
    nearest,
)
from conformance.inspection.ladder import LadderBuilder
from conformance.inspection.select import Selection
from conformance.inspection.source import Source
from conformance.inspection.stats import Statistics
from conformance.inspection.views import JsonView, LadderView, Lines, StatsView, TableView, View
from conformance.inspection.words import Clock, counted
from conformance.report.console import Style
from conformance.sessions.secrets import Secrets
from conformance.sessions.seen import SeenFrame
from model.alphabet import FAA_ID, HIGHEST_ID, SSS_ID, Link

_LINKS = {"radio": Link.RADIO, "sss": Link.SSS, "cpu": Link.CPU}
_PARTIES = {"sss": SSS_ID, "faa": FAA_ID}
_TICK = 5_000
"""Frames between two reports of progress."""

_EPILOG = """FILE is a pcap or pcapng file of link type USER0, also gzip'd, or - for standard input. Sessions are
decrypted with the secrets in the file. Filters choose what is shown; sessions are tracked over the whole file.

examples:
  scewl inspect reports/out/conform/register.pcapng
  scewl inspect a.pcapng --ladder --session 2
  scewl inspect a.pcapng --decrypt sslkeylog.txt --link radio --device 11
  scewl inspect a.pcapng --frame 12                 every field of one frame
  scewl inspect a.pcapng --stats
  scewl inspect a.pcapng --json | jq 'select(.session == 2)'
  ... | scewl inspect -                             lines come as the frames do

exit codes: 0 inspected, 2 usage, 3 not a capture or not readable, 4 nothing selected, 130 interrupted"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "inspect",
        help="show what happened in a capture, decrypted",
        description="Show what happened in a capture: a line per frame, or one of the views below.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument("file", metavar="FILE", help="the capture, or - for standard input")
    view = parser.add_argument_group("views, instead of the table")
    view.add_argument("--ladder", action="store_true", help="who sent what to whom, drawn")
    view.add_argument("--stats", action="store_true", help="frames, bytes, sessions, handshakes, alerts")
    view.add_argument("--full", action="store_true", help="the table with every field of every layer")
    view.add_argument("--frame", type=int, metavar="N", help="one frame, with every field of every layer")
    filters = parser.add_argument_group("filters (an option that is given twice lets either through)")
    filters.add_argument("--link", choices=_LINKS, action="append", help="frames of this link")
    filters.add_argument(
        "--device", action="append", metavar="ID", help="frames at, from or to this SCEWL id (or: SSS, FAA)"
    )
    filters.add_argument("--session", type=int, action="append", metavar="N", help="frames of this session")
    filters.add_argument("--frames", metavar="A-B", help="frames A to B; A- and -B are open at one end")
    parser.set_defaults(run=run)


@dataclass(slots=True)
class _Work:
    """One call: what is read, what is shown, and where."""

    name: str
    """The file, for messages."""
    source: Source
    selection: Selection
    views: list[View]
    shown: int = 0
    stopped: bool = False
    """Whether the rest of the file was not read, since no frame of it is shown."""
    size: int = 0
    """Bytes of the file, to tell the progress; 0 if it is not told."""
    _ticks: int = 0

    def read(self) -> None:
        """Read and show everything. Raises OSError."""
        fits, everything = self.selection.fits, self.selection.everything
        for entry in self.source.entries():
            if isinstance(entry, SeenFrame):
                if everything or fits(entry):
                    self.shown += 1
                    for view in self.views:
                        view.frame(entry)
                elif self.selection.past(entry.captured.number):
                    self.stopped = True
                    break
                if self.size:
                    self._progress(entry.captured.offset)
            elif isinstance(entry, Problem) and not entry.fatal:
                for view in self.views:
                    view.problem(entry)
        if self._ticks:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if self.source.fatal is None:
            for view in self.views:
                view.end()

    def _progress(self, offset: int) -> None:
        self._ticks += 1
        if self._ticks % _TICK == 0:
            print(f"\r{100 * offset // self.size:>3} %", end="", file=sys.stderr, flush=True)


def run(args: argparse.Namespace) -> int:
    """Run the command. Raises UsageError."""
    selection = _selection(args)
    _check(args)
    file, size, live = _open(args.file)
    clock, out = Clock(), Lines(live=live)
    work = _Work(args.file, Source(file, Secrets(), clock), selection, _views(args, out, clock))
    if sys.stderr.isatty() and not sys.stdout.isatty():
        work.size = size
    try:
        work.read()
    finally:
        out.flush()
    if work.source.fatal is not None:
        complain(*_unreadable(args.file, work.source.fatal.what))
        return EXIT_ERROR
    _end(work, out)
    out.flush()
    if not work.source.frames and work.source.problems:
        return EXIT_ERROR
    if not work.shown and not selection.everything:
        complain(f"nothing selected: none of the {work.source.frames:,} frames of {work.name} fits the filters")
        return EXIT_NOTHING
    return EXIT_PASS


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for options that do not go together."""
    views = [name for name in ("ladder", "stats", "full", "frame") if getattr(args, name) not in (None, False)]
    if len(views) > 1:
        raise UsageError(f"--{views[0]} and --{views[1]} are two views; choose one")
    if args.json and args.ladder:
        raise UsageError("--ladder is a drawing and --json is for machines; choose one")
    if args.frame is not None and args.frames:
        raise UsageError("--frame is one frame and --frames are several; choose one")


def _open(name: str) -> tuple[Path | BinaryIO, int, bool]:
    """What to read, how many bytes it has (0 if that is unknown), whether it may still grow. Raises UsageError."""
    if name == "-":
        return sys.stdin.buffer, 0, True
    path = Path(name)
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix in (".pcapng", ".pcap"))
        hint = f"name a capture in it, such as {path / inside[0]}" if inside else "there is no capture in it"
        raise UsageError(f"{path} is a folder; {hint}")
    if not path.exists():
        folder = path.parent
        names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        near = nearest(path.name, names) if folder.is_dir() else f", nor a folder {folder}"
        raise UsageError(f"no file {path}{near}")
    status = path.stat()
    return path, status.st_size, not stat.S_ISREG(status.st_mode)


def _selection(args: argparse.Namespace) -> Selection:
    frames = None
    if args.frame is not None:
        frames = (args.frame, args.frame)
    elif args.frames is not None:
        frames = parse_range(args.frames)
    return Selection(
        frozenset(_LINKS[name] for name in args.link or ()),
        frozenset(parse_device(name) for name in args.device or ()),
        frozenset(args.session or ()),
        frames,
    )


def parse_range(text: str) -> tuple[int, int | None]:
    """The first and last number of `3-9`, `3-`, `-9` or `3`. Raises UsageError."""
    match = re.fullmatch(r"(\d*)(-?)(\d*)", text, re.ASCII)
    if match is None or not (match[1] or match[3]):
        raise UsageError(f"--frames {text}: a range is A-B, A- or -B, such as 12-40")
    first = int(match[1] or 1)
    last = (int(match[3]) if match[3] else None) if match[2] else first
    if last is not None and last < first:
        raise UsageError(f"--frames {text}: a range goes upwards")
    return first, last


def parse_device(text: str) -> int:
    """A SCEWL id from `11`, `SSS` or `FAA`. Raises UsageError."""
    if text.lower() in _PARTIES:
        return _PARTIES[text.lower()]
    if text.isascii() and text.isdigit() and int(text) <= HIGHEST_ID:
        return int(text)
    raise UsageError(f"--device {text}: a SCEWL id is a number up to {HIGHEST_ID}, or SSS, or FAA")


def _views(args: argparse.Namespace, out: Lines, clock: Clock) -> list[View]:
    fields = None
    if args.full or args.frame is not None:
        from conformance.inspection.full import all_fields  # late: Scapy takes its time

        fields = all_fields
    style = Style.of(sys.stdout)
    if args.json:
        return [JsonView(out, Statistics(), frames=not args.stats, fields=fields)]
    if args.ladder:
        return [LadderView(out, style, LadderBuilder(clock))]
    if args.stats:
        return [StatsView(out, Statistics())]
    return [TableView(out, clock, style, fields)]


def _end(work: _Work, out: Lines) -> None:
    """Write what is known at the end."""
    source, (view, *_) = work.source, work.views
    if isinstance(view, JsonView):
        view.object(_summary_document(work, view.statistics))
    elif not isinstance(view, StatsView):
        out.write(_summary(work))
    if source.first_problem is not None:
        first = source.first_problem
        told = counted(source.problems, "problem")
        complain(f"{work.name}: {told}; the first at byte {first.offset:,}: {first.what}")


def _summary(work: _Work) -> str:
    source = work.source
    parts = [counted(source.frames, "frame") + (" read" if work.stopped else "")]
    if work.shown != source.frames:
        parts.append(f"{work.shown:,} shown")
    parts.append(f"{counted(source.sessions, 'session')}, {source.decrypted:,} decrypted")
    if source.problems:
        parts.append(counted(source.problems, "problem"))
    return "; ".join(parts)


def _summary_document(work: _Work, statistics: Statistics) -> dict[str, object]:
    source = work.source
    return {
        "kind": "summary",
        "file": work.name,
        "frames": source.frames,
        "shown": work.shown,
        "sessions": source.sessions,
        "decrypted": source.decrypted,
        "problems": source.problems,
        "whole": not work.stopped,
        "statistics": statistics.document(),
    }


def _unreadable(name: str, what: str) -> list[str]:
    """Why a file is no capture of ours, and what to do."""
    if "link type" in what:
        hint = "if its records are SCEWL all the same, `editcap -T user0 FILE OUT` writes a copy that says so"
    else:
        hint = "a capture is a pcap or pcapng file, also gzip'd; `scewl conform` writes one per case"
    return [f"{name}: {what}", hint]
