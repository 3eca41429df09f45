"""The table: one line per frame, made as the file is read."""

from __future__ import annotations

from typing import Final

from conformance.inspection.words import LINKS, Clock, ends, label, notes, numbers, seconds
from conformance.sessions.seen import SeenFrame

HEADING: Final = (
    f"{'no.':>7} {'time (s)':>12}  {'SED':<9} {'link':<5}  {'from > to':<14} {'session':>7}  {'record':<10} what"
)


def line(seen: SeenFrame, clock: Clock) -> str:
    """One frame: number, seconds, at whose controller and which way, link, ends, session, epoch/record, what, notes."""
    before, after = halves(seen, clock)
    return joined(before, 0 if seen.session is None else seen.session.number, after)


def halves(seen: SeenFrame, clock: Clock) -> tuple[str, str]:
    """What stands before the session and behind it."""
    captured = seen.captured
    start, end = ends(seen)
    beside = f"  [{told}]" if seen.notes and (told := notes(seen)) else ""
    way = "in" if captured.towards else "out"
    return (
        f"{captured.number:>7} {seconds(clock.relative(captured.time_us)):>12}  {captured.sed:<5} {way:<3} "
        f"{LINKS[captured.link]:<5}  {f'{start} > {end}' if start else '':<14}",
        f"{numbers(seen):<10} {label(seen)}{beside}",
    )


def joined(before: str, session: int, after: str) -> str:
    """The line; session 0 is none."""
    return f"{before} {session or '':>7}  {after}"
