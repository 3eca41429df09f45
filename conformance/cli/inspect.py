"""`scewl inspect`: show what happened in a capture, decrypted."""

from __future__ import annotations

import argparse
import re
import shlex
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from conformance.cli.shared import (
    EXIT_ERROR,
    EXIT_NOTHING,
    EXIT_PASS,
    UsageError,
    common_options,
    complain,
    nearest,
)
from conformance.report.console import Style
from conformance.report.requirements import load_requirements
from model.alphabet import FAA_ID, HIGHEST_ID, SSS_ID, Link
from model.profile import PROFILES
from model.verdict import Verdict

if TYPE_CHECKING:  # late: what reads captures takes its time to load
    from conformance.inspection.judging import Judgement
    from conformance.inspection.keys import Keys
    from conformance.inspection.select import Selection
    from conformance.inspection.source import Source
    from conformance.inspection.views import Lines, View
    from conformance.inspection.work import Work

_LINKS = {"radio": Link.RADIO, "sss": Link.SSS, "cpu": Link.CPU}
_PARTIES = {"sss": SSS_ID, "faa": FAA_ID}
_FILES = ("svg", "html", "write")
"""Options that name a file to write."""
_VERDICTS = {"ALLOWED": Verdict.PASS, "NOT_ALLOWED": Verdict.FAIL, "UNKNOWN": Verdict.INCONCLUSIVE}

_EPILOG = """FILE is a pcap or pcapng file of link type USER0, also gzip'd, or - for standard input. Sessions are
decrypted with the secrets in the file and those of --decrypt. Filters choose what is shown; sessions are tracked over
the whole file. What was decrypted stands in the clear in whatever is written; files are their owner's alone (0600).

examples:
  scewl inspect reports/out/conform/register.pcapng
  scewl inspect a.pcapng --ladder --session 2
  scewl inspect a.pcapng --decrypt sslkeylog.txt --link radio --device 11
  scewl inspect a.pcapng --judge                    what each device did wrong, if anything
  scewl inspect a.pcapng --html a.html --svg a.svg  to send to a colleague
  scewl inspect a.pcapng --judge --write b.pcapng   a copy with comments that Wireshark shows
  scewl inspect a.pcapng --frame 12                 every field of one frame
  scewl inspect a.pcapng --stats
  scewl inspect a.pcapng --json | jq 'select(.session == 2)'
  ... | scewl inspect -                             lines come as the frames do

exit codes: 0 inspected, and with --judge all is allowed; 1 a device did what no rule allows, or a monitor's alarm;
2 usage; 3 no capture, or --judge cannot tell; 4 nothing selected; 130 interrupted"""


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
    files = parser.add_argument_group("files, instead of the table or beside a view (an older file is replaced)")
    files.add_argument("--svg", type=Path, metavar="FILE", help="the ladder as a picture")
    files.add_argument("--html", type=Path, metavar="FILE", help="everything as one page")
    files.add_argument("--write", type=Path, metavar="FILE", help="a pcapng copy with a comment for each frame")
    parser.add_argument(
        "--decrypt",
        type=Path,
        action="append",
        metavar="KEYS",
        help="an NSS key log, the private key of a server with RSA key exchange, or a deployment's folder (repeatable)",
    )
    judging = parser.add_argument_group("judging")
    judging.add_argument("--judge", action="store_true", help="run the model beside the capture for every device")
    judging.add_argument("--monitors", action="store_true", help="look for known bug patterns, as --judge also does")
    judging.add_argument("--profile", choices=sorted(PROFILES), help="the model's (default: what the capture says)")
    judging.add_argument("--lossless", action="store_true", help="the capture misses no frame of the links that it has")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. Raises UsageError."""
    from conformance.inspection.source import Source
    from conformance.inspection.views import Lines
    from conformance.inspection.words import Clock
    from conformance.inspection.work import Work

    selection = _selection(args)
    _check(args)
    file, size, live = _open(args.file)
    keys = _keys(args)
    judgement = None
    if args.judge:
        from conformance.inspection import judging

        if not isinstance(file, Path):
            file = judging.twice(file)
        judgement = judging.judge(file, keys, profile=args.profile, lossless=args.lossless)
    source, out = Source(file, keys, Clock(), watch=args.judge or args.monitors), Lines(live=live)
    work = Work(args.file, source, selection, _views(args, out, source, judgement))
    if sys.stderr.isatty() and not sys.stdout.isatty():
        work.size = size
    try:
        work.read()
    finally:
        out.flush()
    if work.source.fatal is not None:
        complain(*_unreadable(args.file, work.source.fatal.what))
        return EXIT_ERROR
    _end(work, args, out, judgement)
    return _code(work, judgement)


def _code(work: Work, judgement: Judgement | None) -> int:
    """The exit code, and the reason for one that the output does not tell."""
    frames = work.source.frames
    if not frames and (problem := work.source.first_problem):
        complain(*_unreadable(f"{work.name} has no frame of SCEWL", problem.what))
        return EXIT_ERROR
    if not work.shown and not work.selection.everything:
        complain(f"nothing selected: none of the {frames:,} frames of {work.name} fits the filters")
        return EXIT_NOTHING
    if work.source.alarm_count:
        return Verdict.FAIL.exit_code
    return EXIT_PASS if judgement is None else _VERDICTS[judgement.standing.name].exit_code


def _check(args: argparse.Namespace) -> None:
    """Raise UsageError for options that do not go together."""
    views = [name for name in ("ladder", "stats", "full", "frame") if getattr(args, name) not in (None, False)]
    if len(views) > 1:
        raise UsageError(f"--{views[0]} and --{views[1]} are two views; choose one")
    if args.json and args.ladder:
        raise UsageError("--ladder is a drawing and --json is for machines; choose one")
    if args.frame is not None and args.frames:
        raise UsageError("--frame is one frame and --frames are several; choose one")
    if (args.profile or args.lossless) and not args.judge:
        raise UsageError(f"--{'profile' if args.profile else 'lossless'} goes with --judge")
    written: dict[Path, str] = {} if args.file == "-" else {Path(args.file).resolve(): "FILE"}
    for name in _FILES:
        path = getattr(args, name)
        if path is None:
            continue
        if path.is_dir():
            raise UsageError(f"--{name} {path}: a folder; name a file in it")
        if not path.parent.is_dir():
            raise UsageError(f"--{name} {path}: there is no folder {path.parent}")
        if other := written.get(path.resolve()):
            raise UsageError(f"--{name} {path}: that is {other}; name another file")
        written[path.resolve()] = f"--{name}"


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


def _keys(args: argparse.Namespace) -> Keys:
    """The secrets that were named. Raises UsageError."""
    from conformance.inspection.keys import Keys

    keys = Keys()
    for path in args.decrypt or ():
        if not path.exists():
            names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise UsageError(f"--decrypt {path}: no such file or folder{nearest(path.name, names)}")
        try:
            keys.add(path)
        except ValueError as error:
            raise UsageError(f"--decrypt: {error}") from None
    for note in keys.notes:
        complain(note)
    return keys


def _selection(args: argparse.Namespace) -> Selection:
    from conformance.inspection.select import Selection

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


def _views(args: argparse.Namespace, out: Lines, source: Source, judgement: Judgement | None) -> list[View]:
    """What the frames go to: at most one view on stdout, which comes first, and files."""
    from conformance.inspection.files import CopyView, PictureView
    from conformance.inspection.ladder import LadderBuilder
    from conformance.inspection.stats import Statistics
    from conformance.inspection.views import JsonView, LadderView, StatsView, TableView

    style, clock = Style.of(sys.stdout), source.clock
    verdicts = judgement.verdicts if judgement else []
    fields, wrong = None, {}
    if args.full or args.frame is not None:
        from conformance.inspection.full import all_fields

        fields = all_fields
    if verdicts:
        from conformance.inspection.results import marks

        wrong = marks(verdicts)
    found: list[View] = []
    if args.json:
        found.append(JsonView(out, Statistics(), frames=not args.stats, fields=fields))
    elif args.ladder:
        found.append(LadderView(out, style, LadderBuilder(clock, marked=frozenset(wrong))))
    elif args.stats:
        found.append(StatsView(out, Statistics()))
    elif fields or not any(getattr(args, name) for name in _FILES):
        found.append(TableView(out, source, style, fields, wrong))
    if args.svg:
        found.append(PictureView(args.svg, Path(args.file).name, LadderBuilder(clock, marked=frozenset(wrong))))
    if args.html:
        from conformance.inspection.page import PageView

        found.append(PageView(source, args.html, Path(args.file).name, _command(args), verdicts))
    if args.write:
        from conformance.inspection.results import remarks

        found.append(CopyView(args.write, source, remarks(verdicts), whole=not _filtered(args)))
    return found


def _filtered(args: argparse.Namespace) -> bool:
    return any(getattr(args, name) for name in ("link", "device", "session", "frames", "frame"))


def _command(args: argparse.Namespace) -> str:
    """The call that shows the same as a page."""
    words = ["scewl", "inspect", args.file]
    for name in ("link", "device", "session", "decrypt"):
        for value in getattr(args, name) or ():
            words += [f"--{name}", str(value)]
    if args.frames or args.frame:
        words += ["--frames", args.frames or str(args.frame)]
    words += [f"--{name}" for name in ("judge", "monitors", "lossless") if getattr(args, name)]
    if args.profile:
        words += ["--profile", args.profile]
    return shlex.join(words)


def _end(work: Work, args: argparse.Namespace, out: Lines, judgement: Judgement | None) -> None:
    """Write what is known at the end."""
    from conformance.inspection.views import JsonView
    from conformance.inspection.words import counted

    source, views = work.source, work.views
    view = views[0] if views and isinstance(views[0], JsonView) else None
    if judgement is not None:
        from conformance.inspection.results import verdict_document, verdict_text

        known, style = load_requirements(), Style.of(sys.stdout)
        devices = work.selection.devices
        for verdict in judgement.verdicts:
            if devices and verdict.sed not in devices:
                continue
            if view is not None:
                view.object(verdict_document(verdict))
            else:
                out.write("\n".join(["", *verdict_text(verdict, source.clock, known, style)]))
    if source.watch:
        from conformance.inspection.results import alarm_document, alarms_text, blind_documents

        if view is None:
            out.write("\n".join(["", *alarms_text(source, Style.of(sys.stdout)), ""]))
        else:
            for alarm in source.alarms:
                view.object(alarm_document(alarm))
            view.object({"kind": "blind", "monitors": blind_documents(source)})
    if view is not None:
        view.object(work.document(view.statistics))
    elif not args.stats:
        out.write(work.summary())
    for name in _FILES:
        if path := getattr(args, name):
            (complain if args.json else out.write)(f"written: {path}")
    out.flush()
    if source.first_problem is not None and source.frames:
        first = source.first_problem
        told = counted(source.problems, "problem")
        complain(f"{work.name}: {told}; the first at byte {first.offset:,}: {first.what}")
    for name, count in source.keys.useless():
        complain(
            f"none of the {counted(count, 'secret')} in {name} belongs to a session in {work.name}"
            if count > 1
            else f"the secret in {name} belongs to no session in {work.name}"
        )


def _unreadable(name: str, what: str) -> list[str]:
    """Why a file is no capture of ours, and what to do."""
    if "link type" in what:
        hint = "if its records are SCEWL all the same, `editcap -T user0 FILE OUT` writes a copy that says so"
    else:
        hint = "a capture is a pcap or pcapng file, also gzip'd; `scewl conform` writes one per case"
    return [f"{name}: {what}", hint]
