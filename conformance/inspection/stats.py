"""Statistics of a capture: per link, per pair of parties, per session; handshakes, retransmissions, alerts.

Every frame counts as it was captured: one that was captured at two controllers counts twice. Memory is bounded: beyond
`MOST` pairs or sessions, further ones are counted together.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from conformance.inspection.words import LINKS, alert, counted, ends, party, seconds
from conformance.sessions.seen import Protection, SeenFrame, SeenRecord, SeenSession
from conformance.wire.records import ContentType

MOST: Final = 10_000
_LISTED: Final = 20
"""Rows of one kind that the text shows; JSON has all."""
_LAST_FLIGHT: Final = 6


@dataclass(slots=True)
class Count:
    """Frames, and bytes of their SCEWL frames."""

    frames: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        """Count one."""
        self.frames += 1
        self.size += size


@dataclass(slots=True)
class SessionCount:
    """What is known of one session. Times are microseconds as captured."""

    session: SeenSession
    first_frame: int
    began: int
    ended: int
    established: int | None = None
    """When flight 6 was first seen; None if it was not."""
    frames: int = 0
    retransmissions: int = 0
    end: str = ""
    """The last alert, in words; empty if none was seen or could be opened."""

    @property
    def handshake_us(self) -> int | None:
        """From its first frame to its flight 6; None if either end is missing from the capture."""
        return None if self.established is None or not self.session.client_random else self.established - self.began


@dataclass(slots=True)
class Statistics:
    """Fed with every shown frame, in order."""

    total: Count = field(default_factory=Count)
    first_us: int | None = None
    last_us: int = 0
    links: dict[str, Count] = field(default_factory=dict)
    pairs: dict[tuple[str, str], Count] = field(default_factory=dict)
    other_pairs: Count = field(default_factory=Count)
    sessions: dict[int, SessionCount] = field(default_factory=dict)
    other_sessions: int = 0
    """The highest number of a session that is not among `sessions`; 0 if all are."""
    alerts: dict[tuple[str, str], int] = field(default_factory=dict)
    """By sender and words."""
    retransmissions: int = 0
    replays: int = 0
    refused: int = 0
    """Records that the session's keys do not open."""
    sealed: int = 0
    """Records that no known secret opens."""
    broken: int = 0
    """Captured bytes that are no SCEWL frame."""

    def feed(self, seen: SeenFrame) -> None:
        """Count one frame."""
        captured, size = seen.captured, len(seen.captured.frame)
        self.total.add(size)
        self.first_us = captured.time_us if self.first_us is None else min(self.first_us, captured.time_us)
        self.last_us = max(self.last_us, captured.time_us)
        self.links.setdefault(LINKS[captured.link], Count()).add(size)
        self.retransmissions += bool(seen.retransmission_of)
        if seen.frame is None:
            self.broken += 1
            return
        pair = ends(seen)
        if pair in self.pairs or len(self.pairs) < MOST:
            self.pairs.setdefault(pair, Count()).add(size)
        else:
            self.other_pairs.add(size)
        said = ""
        for record in seen.records:
            if isinstance(record, SeenRecord):
                said = self._record(record, seen) or said
        if seen.session is not None:
            self._session(seen, seen.session, said)

    def _record(self, record: SeenRecord, seen: SeenFrame) -> str:
        """Count one record; the words of an alert."""
        self.replays += bool(record.replay_of)
        self.refused += record.protection is Protection.REFUSED
        self.sealed += record.protection is Protection.SEALED
        if record.content_type is not ContentType.ALERT:
            return ""
        if record.protection in (Protection.SEALED, Protection.REFUSED):
            return "" if record.protection is Protection.REFUSED else "alert (sealed)"
        words = alert(record.plaintext)
        key = (party(seen.frame.source) if seen.frame else "", words)
        if key in self.alerts or len(self.alerts) < MOST:
            self.alerts[key] = self.alerts.get(key, 0) + 1
        return words

    def _session(self, seen: SeenFrame, session: SeenSession, said: str) -> None:
        captured = seen.captured
        count = self.sessions.get(session.number)
        if count is None:
            if len(self.sessions) >= MOST:
                self.other_sessions = max(self.other_sessions, session.number)
                return
            count = SessionCount(session, captured.number, captured.time_us, captured.time_us)
            self.sessions[session.number] = count
        count.session = session
        count.frames += 1
        count.retransmissions += bool(seen.retransmission_of)
        count.ended = max(count.ended, captured.time_us)
        count.end = said or count.end
        if count.established is None and seen.flight == _LAST_FLIGHT:
            count.established = captured.time_us

    def durations(self) -> list[int]:
        """Of all complete handshakes, microseconds, shortest first."""
        found = (count.handshake_us for count in self.sessions.values())
        return sorted(duration for duration in found if duration is not None)

    def document(self) -> dict[str, Any]:
        """For JSON; times in microseconds."""
        durations = self.durations()
        return {
            "frames": self.total.frames,
            "bytes": self.total.size,
            "duration_us": self.last_us - (self.first_us or 0) if self.total.frames else 0,
            "links": {name: {"frames": c.frames, "bytes": c.size} for name, c in sorted(self.links.items())},
            "pairs": [
                {"from": start, "to": end, "frames": c.frames, "bytes": c.size} for (start, end), c in self._busiest()
            ],
            "other_pairs": {"frames": self.other_pairs.frames, "bytes": self.other_pairs.size},
            "sessions": [session_document(count) for count in self.sessions.values()],
            "handshakes": {
                "complete": len(durations),
                "shortest_us": durations[0] if durations else None,
                "median_us": int(statistics.median(durations)) if durations else None,
                "longest_us": durations[-1] if durations else None,
            },
            "retransmissions": self.retransmissions,
            "replays": self.replays,
            "refused_records": self.refused,
            "sealed_records": self.sealed,
            "broken_frames": self.broken,
            "alerts": [{"from": who, "what": words, "count": n} for (who, words), n in self.alerts.items()],
        }

    def text(self) -> Iterator[str]:
        """For people."""
        spread = seconds(self.last_us - (self.first_us or 0)) if self.total.frames else "0"
        yield f"{counted(self.total.frames, 'frame')}, {self.total.size:,} B, in {spread} s"
        rows = [(name, "", count) for name, count in sorted(self.links.items())]
        yield from _rows("link", rows)
        busiest = self._busiest()
        pairs = [(start, end, count) for (start, end), count in busiest[:_LISTED]]
        yield from _rows("from > to", pairs)
        if len(busiest) > _LISTED or self.other_pairs.frames:
            yield f"  and {counted(len(busiest) - len(pairs), 'more pair')}" + (
                f", and others with {self.other_pairs.frames:,} frames" if self.other_pairs.frames else ""
            )
        yield from self._sessions_text()
        for name, number in (
            ("retransmitted frames", self.retransmissions),
            ("replayed records", self.replays),
            ("records that do not authenticate", self.refused),
            ("sealed records", self.sealed),
            ("broken frames", self.broken),
        ):
            yield f"{name + ':':<34} {number:>9,}"
        for (who, words), number in sorted(self.alerts.items(), key=lambda item: -item[1])[:_LISTED]:
            yield f"{f'{words} from {who}:':<34} {number:>9,}"

    def _sessions_text(self) -> Iterator[str]:
        more = f" of {self.other_sessions:,}" if self.other_sessions else ""
        opened = sum(count.session.decrypted for count in self.sessions.values())
        yield ""
        yield f"{len(self.sessions):,}{more} session{'s' * (len(self.sessions) != 1)}, {opened:,} decrypted"
        durations = self.durations()
        if durations:
            middle = seconds(int(statistics.median(durations)))
            yield (
                f"{counted(len(durations), 'complete handshake')}: "
                f"{seconds(durations[0])} s at least, {middle} s median, {seconds(durations[-1])} s at most"
            )
        if self.sessions:
            heading = f"{'session':>7}  {'client > server':<15} {'suite':<6}  {'frames':>6}  {'retr.':>5}"
            yield f"  {heading}  {'handshake':>12}  end"
        for number, count in list(self.sessions.items())[:_LISTED]:
            handshake = "" if count.handshake_us is None else f"{seconds(count.handshake_us)} s"
            yield (
                f"  {number:>7}  {session_ends(count.session):<15} {suite(count.session):<6}  {count.frames:>6,}  "
                f"{count.retransmissions:>5,}  {handshake:>12}  {count.end}"
            ).rstrip()
        if len(self.sessions) > _LISTED:
            yield f"  and {len(self.sessions) - _LISTED:,} more"
        yield ""

    def _busiest(self) -> list[tuple[tuple[str, str], Count]]:
        return sorted(self.pairs.items(), key=lambda item: (-item[1].size, item[0]))


def session_ends(session: SeenSession) -> str:
    """`10 > SSS`; a client that the capture began too late to tell is `?`."""
    client = party(session.client) if session.client else "?"
    return f"{client} > {party(session.server) if session.server else '?'}"


def suite(session: SeenSession) -> str:
    """The number of its cipher suite, `0xC02C`; empty while unknown."""
    return f"0x{session.suite:04X}" if session.suite else ""


def session_document(count: SessionCount) -> dict[str, Any]:
    """One session for JSON; times in microseconds. Its randoms are public, its secret is not there."""
    session = count.session
    return {
        "number": session.number,
        "client": session.client or None,
        "server": session.server or None,
        "client_random": session.client_random.hex(),
        "server_random": session.server_random.hex(),
        "suite": suite(session) or None,
        "decrypted": session.decrypted,
        "first_frame": count.first_frame,
        "frames": count.frames,
        "retransmissions": count.retransmissions,
        "began_us": count.began,
        "ended_us": count.ended,
        "handshake_us": count.handshake_us,
        "end": count.end,
    }


def _rows(heading: str, rows: list[tuple[str, str, Count]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"  {heading:<16} {'frames':>9} {'bytes':>13}"
    for start, end, count in rows:
        name = f"{start} > {end}" if end else start
        yield f"  {name:<16} {count.frames:>9,} {count.size:>13,}"
