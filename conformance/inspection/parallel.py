"""The table of a large file, made by a process for each core.

What is known of a datagram depends only on what the same two parties said before it on the same link of the same
controller. So each process reads the whole file, which is the cheap part, and explains only its share of those
conversations. This one has a share too; it puts the others' lines where their frames stand in the file, and numbers the
sessions as they begin. A capture of one long conversation gains nothing from it.

The lines are those of one process, but that a tracker forgets sessions beyond its limit: several remember more.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from queue import Queue
from threading import Thread
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
_AHEAD: Final = 64
"""Batches that a process may be ahead."""
_COLLECTING: Final = 0.05
"""What it costs to put one line into the file's order, as a part of what it costs to make one."""
MAX_CONVERSATIONS: Final = 1 << 16
"""Conversations that are given out with care; further ones by chance."""

Row = tuple[str, int, str, bool]
"""The line before its session; the session as its process numbers it (0: none); the line behind it; whether the session
is decrypted."""


def cores() -> int:
    """Those that this process may use; 1 where processes cannot be forked."""
    return len(os.sched_getaffinity(0)) if "fork" in multiprocessing.get_all_start_methods() else 1


def show(source: Source, view: TableView, processes: int) -> None:
    """Write all lines, and fill in what `source` comes to. Raises OSError, also if a process died."""
    fork = multiprocessing.get_context("fork")
    useless: list[frozenset[str]] = []
    """By process, the key logs of which no session of its share has a secret."""
    others: list[Iterator[Row]] = []
    for share in range(1, processes):
        ours, theirs = fork.Pipe(duplex=False)
        fork.Process(target=_work, args=(source, share, processes, theirs), daemon=True).start()
        theirs.close()
        others.append(_received(ours, useless))
    own, shares = _Explainer(source), _Shares(processes)
    numbers: list[dict[int, int]] = [{} for _ in range(processes)]
    """By process, its own number of a session to ours."""
    for entry in read_capture(source.file):
        if isinstance(entry, CapturedFrame):
            if not source.frames:
                source.clock.relative(entry.time_us)
            source.frames += 1
            share = shares.of(entry)
            before, session, after, decrypted = own.row(entry) if share == 0 else next(others[share - 1])
            number = 0
            if session:
                known = numbers[share]
                number = known.get(session) or known.setdefault(session, source.sessions + 1)
                source.count(number, decrypted)
                after = _renumbered(after, known)
            view.line(joined(before, number, after))
        elif isinstance(entry, Problem):
            source.note(entry)
            if not entry.fatal:
                view.problem(entry)
        else:
            own.learn(entry)
    for rows in others:
        next(rows, None)  # none is left; this is where its process says the rest
    source.keys.keep(frozenset.intersection(own.useless(), *useless))


def _renumbered(text: str, known: dict[int, int]) -> str:
    """With our numbers of the sessions that notes name."""
    if "session " not in text:
        return text
    return _NAMED.sub(lambda match: f"session {known.get(int(match[1]), 0)}", text)


def _received(end: Connection, useless: list[frozenset[str]]) -> Iterator[Row]:
    """The rows of another process, which may run ahead: conversations differ in length, and a pipe holds little."""
    ahead: Queue[bytes] = Queue(_AHEAD)
    Thread(target=_receive, args=(end, ahead), daemon=True).start()
    while True:
        packed = ahead.get()
        if not packed:
            raise OSError("a process that explains frames has died: too little memory?")
        message = pickle.loads(packed)
        if isinstance(message, OSError):
            raise message
        if isinstance(message, frozenset):
            useless.append(message)
            return
        yield from message


def _receive(end: Connection, ahead: Queue[bytes]) -> None:
    """Take from the pipe; nothing, if the process is gone."""
    try:
        while True:
            ahead.put(end.recv_bytes())
    except (EOFError, OSError):
        ahead.put(b"")


class _Explainer:
    """Makes the rows of one share."""

    def __init__(self, source: Source) -> None:
        self._source, self._keys, self._clock = source, source.keys, source.clock
        self._feed = Tracker(source.keys.secrets).feed
        self._sessions = 0

    def row(self, captured: CapturedFrame) -> Row:
        """The next frame of the share."""
        seen = self._feed(captured)
        before, after = halves(seen, self._clock)
        session = seen.session
        if session is None:
            return before, 0, after, False
        if session.number > self._sessions:
            self._sessions = session.number
            self._keys.met(session.client_random)
        return before, session.number, after, session.decrypted

    def learn(self, entry: KeyLogText | Context) -> None:
        """Take what else the file says."""
        if isinstance(entry, KeyLogText):
            self._keys.secrets.add_key_log(entry.text)
        elif self._source.context is None:
            self._source.context = entry
            self._clock.context(entry)

    def useless(self) -> frozenset[str]:
        """The key logs of which no session so far has a secret."""
        return frozenset(name for name, _ in self._keys.useless())


def _work(source: Source, share: int, processes: int, out: Connection) -> None:
    """One more process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, and ends the others
    try:
        for message in _explain(source, share, processes):
            out.send(message)
    except BrokenPipeError:
        return  # nobody reads any more
    except OSError as error:
        out.send(error)


def _explain(source: Source, share: int, processes: int) -> Iterator[list[Row] | frozenset[str]]:
    explainer, shares = _Explainer(source), _Shares(processes)
    rows: list[Row] = []
    begun = False
    for entry in read_capture(source.file):
        if isinstance(entry, CapturedFrame):
            if not begun:
                begun = True
                source.clock.relative(entry.time_us)
            if shares.of(entry) == share:
                rows.append(explainer.row(entry))
                if len(rows) >= _BATCH:
                    yield rows
                    rows = []
        elif not isinstance(entry, Problem):
            explainer.learn(entry)
    yield rows
    yield explainer.useless()


class _Shares:
    """Which process explains what. Each asks in the file's order, so all get the same answers.

    A conversation, both directions of it, goes to the process that has had the least to do when it begins.
    """

    def __init__(self, processes: int) -> None:
        self._owners: dict[tuple[int, int, int], int] = {}
        self._loads = [0.0] * processes

    def of(self, captured: CapturedFrame) -> int:
        """The share of the next frame."""
        data, owners, loads = captured.frame, self._owners, self._loads
        ids = int.from_bytes(data[2:4], "little") + int.from_bytes(data[4:6], "little")
        conversation = ids, captured.sed, captured.link
        owner = owners.get(conversation)
        if owner is None:
            if len(owners) < MAX_CONVERSATIONS:
                owner = owners[conversation] = loads.index(min(loads))
            else:
                owner = hash(conversation) % len(loads)
        loads[owner] += 1
        loads[0] += _COLLECTING
        return owner
