"""Everything that reads captures, let loose on one case, and the size of what it keeps between cases.

An exception is a finding; so is a layer that does not build back to its bytes, and a table that grows without end.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import shutil
import sys
import tempfile
import types
import weakref
from dataclasses import replace
from pathlib import Path

from fuzz_mutate import Case

from conformance.capture import CapturedFrame, Context, KeyLogText, read_capture
from conformance.capture.frame import PSEUDO_HEADER
from conformance.cli import build_parser
from conformance.inspection.full import all_fields
from conformance.layers import DTLS, SCEWLCapture
from conformance.monitors import Monitors
from conformance.onlooker import judge_capture
from conformance.sessions.secrets import Secrets
from conformance.sessions.seen import SeenFrame
from conformance.sessions.track import Tracker
from conformance.wire.describe import describe
from conformance.wire.frames import HEADER as FRAME_HEADER
from conformance.wire.secrets import KeyLog
from model.profile import PROFILES

TURNS = {"layers": 4, "keep": 5, "judge": 16, "monitors": 16, "show": 64, "program": 64}
"""Every so manieth case goes there. The reader, the tracker and the labels see all; the rest is slower, Scapy most."""
PROGRAM = (
    (),
    ("--json", "--full", "--monitors"),
    ("--ladder", "--judge"),
    ("--stats", "--device", "10"),
    ("--html", "a.html", "--svg", "a.svg", "--judge"),
    ("--json", "--judge", "--lossless"),
    ("--write", "b.pcapng", "--frames", "2-6"),
    ("--frame", "2"),
)
"""Options of `scewl inspect`, in turns; file names are in a folder of the consumer's."""
EXIT_CODES = (0, 1, 3, 4)
"""Of `scewl inspect`, usage left out: allowed, not allowed, no capture or unknown, nothing selected."""
MOST_LAYERED = 2
"""Frames of a case that go through the layers."""
MOST_KEPT = {"tracker": 48 << 20, "monitors": 256 << 20}
"""Bytes that each may keep, whatever it is fed. The tracker levels off at 4 MB here; the monitors rise slowly above 70,
to 4,096 instances of each."""


class Unexact(Exception):
    """A layer lost bytes."""


class Grown(Exception):
    """What is kept between frames has no bound."""


class Consumer:
    """Takes cases. Between them it keeps one tracker and one set of monitors, which see the frames of all cases."""

    def __init__(self) -> None:
        self._begin()
        self._keys: dict[bytes, Secrets] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="scewl-fuzz-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.taken = 0

    def _begin(self) -> None:
        self._tracker = Tracker()
        self._monitors = Monitors(boots=dict.fromkeys(range(0, 65536, 16), (0,)))

    def take(self, case: Case) -> None:
        """Raises whatever went wrong."""
        self.taken += 1
        turn = {what: case.number % every == 0 for what, every in TURNS.items()}
        key_log = KeyLog()
        for line in case.key_log.splitlines():
            key_log.add_line(line)
        secrets = Secrets(key_log)
        self._add_key(secrets, case.server_key)
        tracker = Tracker(secrets)
        monitors: Monitors | None = None
        context: Context | None = None
        frames: list[CapturedFrame] = []
        seen: list[SeenFrame] = []
        for entry in read_capture(io.BytesIO(case.data)):
            if isinstance(entry, CapturedFrame):
                frames.append(entry)
                seen.append(tracker.feed(entry))
                describe(entry.frame[FRAME_HEADER.size :])
                if turn["monitors"]:
                    monitors = monitors or Monitors(boots=context.boots if context else {})
                    monitors.feed(seen[-1])
            elif isinstance(entry, KeyLogText):
                secrets.add_key_log(entry.text)
            elif isinstance(entry, Context):
                context = entry
        if monitors:
            monitors.end()
            monitors.blind()
        if turn["layers"] and seen:
            chosen = [one for one in seen if one.captured.frame in case.damaged] or [seen[case.number % len(seen)]]
            for one in chosen[:MOST_LAYERED]:
                self._layers(one, show=turn["show"])
        if turn["judge"]:
            known = context is None or context.profile in PROFILES  # of another it says that there is none
            judge_capture(frames, key_log, context, profile=None if known else "historic")
        if turn["program"]:
            self._program(case)
        if turn["keep"]:
            try:
                self._keep(case.number, frames)
            except BaseException:
                self._begin()  # it may be what is kept that is wrong
                raise

    def _add_key(self, secrets: Secrets, key: bytes) -> None:
        if key and key not in self._keys:
            read = Secrets()
            read.add_key(key)
            self._keys[key] = read
        if key:
            secrets._rsa.update(self._keys[key]._rsa)  # to read it anew takes as long as a hundred cases

    def _layers(self, seen: SeenFrame, *, show: bool) -> None:
        frame = seen.captured
        data = PSEUDO_HEADER.pack(frame.link, frame.towards, frame.sed) + frame.frame
        for cls, given in ((SCEWLCapture, data), (DTLS, frame.frame[FRAME_HEADER.size :])):
            layer = cls(given)
            if bytes(layer) != given:
                raise Unexact(f"{cls.__name__} of {given.hex()} builds {bytes(layer).hex()}")
            layer.summary()
            if show:
                layer.show2(dump=True)
        for name, value in all_fields(seen):
            if not (isinstance(name, str) and isinstance(value, str)):
                raise TypeError(f"{name!r}: {value!r}")

    def _program(self, case: Case) -> None:
        """The command itself, without the net that catches what it did not foresee."""
        (self._folder / "a.pcapng").write_bytes(case.data)
        chosen = PROGRAM[case.number // TURNS["program"] % len(PROGRAM)]
        options = [str(self._folder / word) if "." in word else word for word in chosen]
        arguments = build_parser().parse_args(["inspect", str(self._folder / "a.pcapng"), *options])
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
            code = arguments.run(arguments)
        if code not in EXIT_CODES:
            raise ValueError(f"exit code {code}")
        if "--json" in chosen:
            for line in out.getvalue().splitlines():
                json.loads(line)

    def _keep(self, number: int, frames: list[CapturedFrame]) -> None:
        """The frames once more, as those of other devices: pairs, sessions and taps that are never met again."""
        shift = number * 7919 % 0xFFFF
        for frame in frames:
            data = frame.frame
            if len(data) >= FRAME_HEADER.size:
                magic, target, source, length = FRAME_HEADER.unpack_from(data)
                moved = (target + shift) % 0x1_0000, (source + shift) % 0x1_0000
                data = FRAME_HEADER.pack(magic, *moved, length) + data[FRAME_HEADER.size :]
            moved_frame = replace(frame, frame=data, sed=(frame.sed + shift) % 0x1_0000, number=self.taken)
            self._monitors.feed(self._tracker.feed(moved_frame))

    def check_size(self) -> int:
        """Bytes that the kept ones reach. Raises Grown."""
        sizes = {"tracker": reachable_size(self._tracker), "monitors": reachable_size(self._monitors)}
        if any(size > MOST_KEPT[name] for name, size in sizes.items()):
            self._begin()
            raise Grown(f"{sizes} bytes are kept after {self.taken} cases, more than {MOST_KEPT}")
        return sum(sizes.values())


_SHARED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)
"""What belongs to the program, not to the data."""


def reachable_size(*roots: object) -> int:
    """Bytes of all objects that can be reached from some, the program's own left out."""
    known: set[int] = set()
    work: list[object] = list(roots)
    size = 0
    while work:
        item = work.pop()
        if id(item) in known or isinstance(item, _SHARED):
            continue
        known.add(id(item))
        size += sys.getsizeof(item)
        work.extend(gc.get_referents(item))
    return size
