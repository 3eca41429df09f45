"""`scewl check`: model checking, and its report."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.cli.shared import (
    EXIT_INTERRUPTED,
    EXIT_NOTHING,
    EXIT_PASS,
    UsageError,
    common_options,
    complain,
    nearest,
)
from conformance.report.console import Style
from conformance.report.requirements import load_requirements
from model.profile import PROFILES

if TYPE_CHECKING:
    from conformance.checking.backend import Backend, Tick

ENGINES = ("run", "explore", "prove", "spin")

_EPILOG = """Without options, all standard scopes are explored and what can be proved is proved.

examples:
  scewl check
  scewl check --list
  scewl check --explain no-fatal-error
  scewl check --scope pair --engine explore --engine spin
  scewl check --profile historic --property delivered-at-most-once
  scewl check --matrix

exit codes: 0 all true or proved, 1 something false, 2 usage, 3 something open or an error, 4 nothing selected,
130 interrupted"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "check",
        help="check the model: every state, every property",
        description="Look at every state of the model's scopes, prove what can be proved, and report.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument("--profile", choices=tuple(PROFILES), default="hardened", help="default: %(default)s")
    parser.add_argument(
        "--scope",
        action="append",
        default=[],
        metavar="NAME",
        help="check this scope (repeatable; default: standard ones)",
    )
    parser.add_argument(
        "--property", action="append", default=[], metavar="NAME", help="ask this property (repeatable; default: all)"
    )
    parser.add_argument(
        "--engine",
        action="append",
        default=[],
        choices=ENGINES,
        help="look with this engine (repeatable; default: explore and, for the hardened profile, prove)",
    )
    parser.add_argument("-j", "--jobs", type=int, metavar="N", help="processor cores to use (default: all)")
    parser.add_argument("--memory", metavar="SIZE", help="memory at most, such as 500M or 4G (default: what is free)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/out/check"),
        metavar="DIR",
        help="where the report goes (default: %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="list the scopes and properties, and check nothing")
    parser.add_argument("--explain", metavar="PROPERTY", help="explain a property, and check nothing")
    parser.add_argument(
        "--matrix",
        action="store_true",
        help="also switch off each hardening rule alone (default: in a run of everything)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. Raises UsageError."""
    from conformance.checking import backend, console  # late: Z3 makes it slow to load
    from conformance.checking.run import make_plan
    from conformance.checking.run import run as run_plan
    from conformance.checking.trace import recorder
    from conformance.checking.write import write_report

    memory = parse_size(args.memory) if args.memory else None
    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"-j {args.jobs}: at least one core")
    if args.matrix and args.profile != "hardened":
        raise UsageError("--matrix goes with --profile hardened: it switches off one rule of that")
    loaded = backend.load()
    if args.explain:
        return _explain(loaded, args)
    if args.list:
        return _list(loaded, args)
    _check_names("scope", args.scope, loaded.scopes)
    if args.property:
        _check_names("property", args.property, console.properties_of(loaded, PROFILES[args.profile]))
    plan = make_plan(
        loaded,
        profile=args.profile,
        scopes=args.scope,
        engines=args.engine,
        properties=args.property,
        matrix=True if args.matrix else None,
    )
    if not plan.tasks:
        complain("nothing selected", "no scope fits; `scewl check --list` shows all with their engines")
        return EXIT_NOTHING
    args.out.mkdir(parents=True, exist_ok=True)
    observer = Progress(debug=args.debug)
    recording = replace(loaded, record=recorder(args.out))
    report = run_plan(plan, recording, observer, command=_command(args), jobs=args.jobs, memory=memory)
    page = write_report(report, args.out)
    if args.json:
        sys.stdout.write(report.to_json())
    else:
        print("\n".join(console.tables(report, Style.of(sys.stdout), args.out)))
    print(f"report: {page}", file=sys.stderr if args.json else sys.stdout)
    if report.missing:
        complain(f"interrupted before {len(report.missing)} tasks were finished; the report has what was found")
        return EXIT_INTERRUPTED
    return report.exit_code


def parse_size(text: str) -> int:
    """Bytes, for `4G`, `500M`, `64k` or a plain number. Raises UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip(), re.IGNORECASE)
    size = int(float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " ")) if match else 0
    if size < 1:
        raise UsageError(f"--memory {text}: give a size such as 500M or 4G")
    return size


class Progress:
    """Tells on stderr how a run goes on: one line that changes on a terminal, else one about once a second."""

    def __init__(self, *, debug: bool = False) -> None:
        self.debug = debug
        self.terminal = sys.stderr.isatty()
        self.task = ""
        self._told = 0.0
        self._began = 0.0

    def begin(self, task: str, number: int, of: int) -> None:
        """A task begins."""
        self.task = f"[{number:>{len(str(of))}}/{of}] {task}"
        self._began = self._told = time.monotonic()
        if self.terminal:
            self._line(self.task, stays=False)

    def tick(self, tick: Tick) -> None:
        """Tell how far it is, unless something was told less than a second ago."""
        now = time.monotonic()
        if now - self._told < 1:
            return
        self._told = now
        self._line(f"{self.task}: {describe_tick(tick, now - self._began)}", stays=not self.terminal)

    def end(self, said: str) -> None:
        """It ended."""
        self._line(f"{self.task}: {said}", stays=True)

    def failed(self, error: Exception) -> None:
        """It ended with an error."""
        if self.debug:
            traceback.print_exception(error)

    def _line(self, text: str, *, stays: bool) -> None:
        if self.terminal:
            text = f"\r\x1b[K{text[: Style.of(sys.stderr).width - 1] if not stays else text}"
        print(text, end="\n" if stays else "", file=sys.stderr, flush=True)


def describe_tick(tick: Tick, seconds: float) -> str:
    """`1,234,567 states, 2.5 M/s, depth 34, 120.0 MB`; what an engine does not tell is left out."""
    from conformance.checking.words import size

    parts = [tick.says] if tick.says else []
    if tick.states:
        parts.append(f"{tick.states:,} states")
        if spent := tick.seconds or seconds:
            parts.append(f"{tick.states / spent / 1e6:.2f} M/s")
        parts.append(f"depth {tick.depth}")
    if tick.memory:
        parts.append(size(tick.memory))
    return ", ".join(parts) or f"{seconds:.0f} s"


def _check_names(what: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    for name in wanted:
        if name not in known:
            raise UsageError(f"no {what} {name}{nearest(name, known) or '. `scewl check --list` shows all'}")


def _list(loaded: Backend, args: argparse.Namespace) -> int:
    from conformance.checking.console import listing, properties_of

    if args.json:
        scopes = [
            {"name": s.name, "says": s.says, "engines": s.engines, "standard": s.standard, "bounds": s.bounds}
            for s in loaded.scopes.values()
        ]
        asked = properties_of(loaded, PROFILES[args.profile])
        properties = [
            {"name": name, "says": p.says, "kind": p.kind, "requirements": p.needs, "scopes": [s.name for s in where]}
            for name, (p, where) in asked.items()
        ]
        print(json.dumps({"scopes": scopes, "properties": properties}, indent=1))
    else:
        print("\n".join(listing(loaded, PROFILES[args.profile])))
    return EXIT_PASS


def _explain(loaded: Backend, args: argparse.Namespace) -> int:
    from conformance.checking.console import explanation, properties_of
    from conformance.checking.words import KINDS, VIOLATIONS

    asked = properties_of(loaded, PROFILES[args.profile])
    _check_names("property", [args.explain], asked)
    p, scopes = asked[args.explain]
    known = load_requirements()
    if args.json:
        data = {"name": p.name, "says": p.says, "kind": p.kind, "means": KINDS[p.kind], "violation": VIOLATIONS[p.kind]}
        needs = {need: known[need].text if need in known else "" for need in p.needs}
        print(json.dumps({**data, "requirements": needs, "scopes": {s.name: s.engines for s in scopes}}, indent=1))
    else:
        print("\n".join(explanation(p, scopes, known, Style.of(sys.stdout).width)))
    return EXIT_PASS


def _command(args: argparse.Namespace) -> str:
    """The command that gives this report again; `-j`, `--memory`, `--out` and `--json` do not change what is true."""
    words = ["scewl", "check", "--profile", args.profile]
    for option in ("scope", "property", "engine"):
        for name in getattr(args, option):
            words += [f"--{option}", name]
    return shlex.join([*words, *["--matrix"] * args.matrix])
