"""The table of a large file, made by a process for each core.

What is known of a datagram depends only on what the same two parties said before it on the same link of the same
controller. So each process reads the whole file, which is the cheap part, and explains only its share of those
conversations. This one puts the lines in the file's order again, and numbers the sessions as they begin. A capture of
one long conversation gains nothing from it.

The lines are those of one process, but that a tracker forgets sessions beyond its limit: several remember more.
"""

from __future__ import annotations

import heapq
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from conformance.capture import CapturedFrame, Context, KeyLogText, Problem, read_capture
from conformance.inspection.source import Source
from conformance.inspection.table import halves, joined
from conformance.inspection.views import TableView
from conformance.sessions.track import Tracker

SMALLEST: Final = 4 << 20
"""Bytes of a file from which this is worth the start of processes."""
_NAMED: Final = re.compile(r"\bsession (\d+)\b")
"""A session that a note names."""
_BATCH: Final = 500
"""Rows that are sent at once."""

Row = tuple[int, str | Problem, int, str, bool]
"""Index of the entry in the file; the line before its session, or a problem; the session as its process numbers it
(0: none); the line behind it; whether the session is decrypted."""


@dataclass(frozen=True, slots=True)
class _Totals:
    """What a process knows once the file has ended."""

    frames: int
    context: Context | None
    useless: frozenset[str]
    """Key logs of which no session of its share has a secret."""


def cores() -> int:
    """Those that this process may use; 1 where processes cannot be forked."""
    return len(os.sched_getaffinity(0)) if "fork" in multiprocessing.get_all_start_methods() else 1


def show(source: Source, view: TableView, processes: int) -> None:
    """Write all lines, and fill in what `source` comes to. Raises OSError, also if a process died."""
    fork = multiprocessing.get_context("fork")
    ends: list[Connection] = []
    for share in range(processes):
        ours, theirs = fork.Pipe(duplex=False)
        fork.Process(target=_work, args=(source, share, processes, theirs), daemon=True).start()
        theirs.close()
        ends.append(ours)
    numbers: list[dict[int, int]] = [{} for _ in ends]
    """By process, its own number of a session to ours."""
    totals: list[_Totals] = []
    streams = [_rows(end, share, totals) for share, end in enumerate(ends)]
    for (_, before, session, after, decrypted), share in heapq.merge(*streams, key=_index):
        if isinstance(before, Problem):
            source.note(before)
            if not before.fatal:
                view.problem(before)
            continue
        known = numbers[share]
        number = 0
        if session:
            number = known.get(session) or known.setdefault(session, source.sessions + 1)
            source.count(number, decrypted)
        view.line(joined(before, number, _renumbered(after, known)))
    source.frames = totals[0].frames
    source.context = totals[0].context
    source.keys.keep(frozenset.intersection(*(total.useless for total in totals)))


def _renumbered(text: str, known: dict[int, int]) -> str:
    """With our numbers of the sessions that notes name."""
    if "session " not in text:
        return text
    return _NAMED.sub(lambda match: f"session {known.get(int(match[1]), 0)}", text)


def _index(item: tuple[Row, int]) -> int:
    return item[0][0]


def _rows(end: Connection, share: int, totals: list[_Totals]) -> Iterator[tuple[Row, int]]:
    while True:
        try:
            message = end.recv()
        except EOFError:
            raise OSError("a process that explains frames has died: too little memory?") from None
        if isinstance(message, OSError):
            raise message
        if isinstance(message, _Totals):
            totals.append(message)
            return
        for row in message:
            yield row, share


def _work(source: Source, share: int, processes: int, out: Connection) -> None:
    """One process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, and ends the others
    try:
        for message in _explain(source, share, processes):
            out.send(message)
    except BrokenPipeError:
        return  # nobody reads any more
    except OSError as error:
        out.send(error)


def _explain(source: Source, share: int, processes: int) -> Iterator[list[Row] | _Totals]:
    clock, keys = source.clock, source.keys
    feed = Tracker(keys.secrets).feed
    rows: list[Row] = []
    frames = sessions = 0
    for index, entry in enumerate(read_capture(source.file)):
        if isinstance(entry, CapturedFrame):
            if not frames:
                clock.relative(entry.time_us)
            frames += 1
            if _share(entry, processes) != share:
                continue
            seen = feed(entry)
            before, after = halves(seen, clock)
            session = seen.session
            if session is None:
                rows.append((index, before, 0, after, False))
            else:
                if session.number > sessions:
                    sessions = session.number
                    keys.met(session.client_random)
                rows.append((index, before, session.number, after, session.decrypted))
        elif isinstance(entry, KeyLogText):
            keys.secrets.add_key_log(entry.text)
        elif isinstance(entry, Problem):
            if share == 0:
                rows.append((index, entry, 0, "", False))
        elif source.context is None:
            source.context = entry
            clock.context(entry)
        if len(rows) >= _BATCH:
            yield rows
            rows = []
    yield rows
    yield _Totals(frames, source.context, frozenset(name for name, _ in keys.useless()))


def _share(captured: CapturedFrame, processes: int) -> int:
    """Whose a frame is: the same for both directions of a conversation, and mixed, for ids often are regular."""
    data = captured.frame
    pair = int.from_bytes(data[2:4], "little") + int.from_bytes(data[4:6], "little")
    mixed = (pair * 0x9E3779B1) ^ (captured.sed * 0x85EBCA6B) ^ (captured.link * 0xC2B2AE35)
    return (mixed >> 13) % processes
