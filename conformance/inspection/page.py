"""A capture as one page to send to a colleague: ladder, frames with a fold of details each, sessions, statistics.

It needs no network: style and script are inside, and its content security policy allows nothing else. It shares them
with the page of `scewl conform`. Whoever gets it sees what was decrypted, so it is its owner's alone to read (0600).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import conformance.report
from conformance.capture import Problem
from conformance.files import write_private
from conformance.inspection.full import all_fields
from conformance.inspection.ladder import LadderBuilder
from conformance.inspection.results import device, marks, where
from conformance.inspection.source import Source
from conformance.inspection.stats import Statistics, session_ends, suite
from conformance.inspection.views import alarm_text
from conformance.inspection.words import LINKS, counted, ends, label, notes, numbers, seconds
from conformance.onlooker import DeviceVerdict, Standing
from conformance.report.requirements import describe, load_requirements
from conformance.sessions.seen import SeenFrame

MOST_FRAMES: Final = 1_000
"""Frames that the page shows; more would make it slow."""
_MOST_PROBLEMS: Final = 100
_MOST_DETAILS: Final = 20_000
"""Characters of details per frame."""
_TONES: Final = {Standing.ALLOWED: "pass", Standing.NOT_ALLOWED: "fail", Standing.UNKNOWN: "inconclusive"}
_FOLDER: Final = Path(__file__).parent
_SHARED: Final = Path(conformance.report.__file__).parent


@dataclass(slots=True)
class PageView:
    """Collects what the page shows, and writes it at the end."""

    source: Source
    path: Path
    name: str
    """The capture's."""
    command: str
    """The call that shows the same."""
    verdicts: Sequence[DeviceVerdict] = ()
    statistics: Statistics = field(default_factory=Statistics)
    wrong: dict[int, str] = field(init=False)
    _ladder: LadderBuilder = field(init=False)
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _problems: list[Problem] = field(default_factory=list)
    _left_out: int = 0

    def __post_init__(self) -> None:
        self.wrong = marks(self.verdicts)
        self._ladder = LadderBuilder(self.source.clock, MOST_FRAMES, marked=frozenset(self.wrong))

    def frame(self, seen: SeenFrame) -> None:
        """Take a frame."""
        self.statistics.feed(seen)
        self._ladder.feed(seen)
        if len(self._rows) >= MOST_FRAMES:
            self._left_out += 1
            return
        captured = seen.captured
        start, end = ends(seen)
        row: dict[str, Any] = {
            "number": captured.number,
            "time": seconds(self.source.clock.relative(captured.time_us)),
            "sed": captured.sed,
            "way": "towards the controller" if captured.towards else "sent by the controller",
            "link": LINKS[captured.link],
            "ends": f"{start} > {end}" if start else "",
            "session": seen.session.number if seen.session else "",
            "numbers": numbers(seen),
            "what": label(seen),
            "notes": notes(seen),
            "details": _details(seen),
            "wrong": [self.wrong[captured.number]] if captured.number in self.wrong else [],
        }
        row["wrong"] += [alarm_text(alarm) for alarm in self.source.current]
        row["text"] = " ".join(str(row[key]) for key in ("number", "link", "ends", "what", "notes")).lower()
        self._rows.append(row)

    def problem(self, problem: Problem) -> None:
        """Take a problem of the file."""
        if len(self._problems) < _MOST_PROBLEMS:
            self._problems.append(problem)

    def end(self) -> None:
        """Write the page. Raises OSError."""
        write_private(self.path, self.render().encode())

    def render(self) -> str:
        """The page's text. The same capture gives the same page."""
        css = (_SHARED / "page.css").read_text("utf-8") + (_FOLDER / "page.css").read_text("utf-8")
        script = (_SHARED / "page.js").read_text("utf-8")
        environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        links = {name: sum(1 for row in self._rows if row["link"] == name) for name in LINKS.values()}
        return environment.get_template("page.html.j2").render(
            name=self.name,
            command=self.command,
            alarms=self.source.alarms,
            alarm_count=self.source.alarm_count,
            watched=self.source.watch,
            verdicts=[self._verdict(verdict) for verdict in self.verdicts],
            facts=self._facts(),
            ladder=Markup(self._ladder.drawing(f"Ladder of {self.name}")),
            limits=self._ladder.limits(),
            rows=self._rows,
            left_out=self._left_out,
            links={name: count for name, count in links.items() if count},
            problems=self._problems,
            sessions=self._sessions(),
            statistics="\n".join(self.statistics.text()),
            css=Markup(css),
            script=Markup(script),
            policy=f"default-src 'none'; style-src '{_hash(css)}'; script-src '{_hash(script)}'; "
            "img-src data:; base-uri 'none'; form-action 'none'",
        )

    def _facts(self) -> list[tuple[str, str]]:
        statistics = self.statistics
        duration = seconds(statistics.last_us - (statistics.first_us or 0)) if statistics.total.frames else "0"
        return [
            ("Frames", f"{statistics.total.frames:,}"),
            ("Bytes", f"{statistics.total.size:,}"),
            ("Duration", f"{duration} s"),
            ("Sessions", f"{len(statistics.sessions):,}"),
            ("Decrypted", f"{sum(count.session.decrypted for count in statistics.sessions.values()):,}"),
            ("Retransmitted", counted(statistics.retransmissions, "frame")),
        ]

    def _verdict(self, verdict: DeviceVerdict) -> dict[str, Any]:
        known = load_requirements()
        return {
            "device": device(verdict),
            "verdict": verdict,
            "tone": _TONES[verdict.standing],
            "where": where(verdict, self.source.clock),
            "links": ", ".join(LINKS[link] for link in verdict.links) or "none",
            "requirements": [describe(requirement, known) for requirement in verdict.requirements],
        }

    def _sessions(self) -> list[dict[str, Any]]:
        return [
            {
                "number": number,
                "ends": session_ends(count.session),
                "suite": suite(count.session),
                "decrypted": count.session.decrypted,
                "frames": count.frames,
                "retransmissions": count.retransmissions,
                "first": count.first_frame,
                "handshake": "" if count.handshake_us is None else f"{seconds(count.handshake_us)} s",
                "end": count.end,
            }
            for number, count in list(self.statistics.sessions.items())[:MOST_FRAMES]
        ]


def _details(seen: SeenFrame) -> str:
    lines, room = [], _MOST_DETAILS
    for name, value in all_fields(seen):
        text = f"{name}: {value}"
        room -= len(text)
        if room < 0:
            lines.append("...")
            break
        lines.append(text)
    return "\n".join(lines)


def _hash(text: str) -> str:
    """As a content security policy wants it: of exactly what stands between the tags."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
