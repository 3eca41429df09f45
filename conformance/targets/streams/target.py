"""A device in real time. It cannot tell its deadlines, and nobody can stop its clock: the harness waits, and listens.

Time is the device's own, in milliseconds since its boot: real time, which stands still while the device computes an
answer, so that a timer which it starts with its last byte starts when the model's does. `tolerance_ms` says how far a
timer may be off. An answer is over when it is one that the rules allow and there was silence for `quiet_ms`; until it
is one, it is waited for as long as `patience_s`, so that a slow device, or a busy machine, fails nothing.
"""

from __future__ import annotations

import select
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from conformance.files import write_private
from conformance.targets.base import HarnessError, IutFault, Reaction, Target
from conformance.targets.commands import run
from conformance.targets.streams.links import Stream, parse_address
from conformance.wire.frames import Frame, FrameReader
from model.alphabet import REFUSED, SSS_ID, Link

Chunks = tuple[tuple[Link, bytes], ...]
Whole = Callable[[Chunks], bool]
"""Whether what came is an answer that the rules allow."""
OUTPUT_LIMIT: Final = 1 << 20
"""Bytes of one step, all links together."""


class RealTime(Target):
    """A target whose clock runs: `Reaction.deadline` says nothing."""

    tolerance_ms: int
    """How early or late a timer of the device may be."""
    quiet_ms: int
    """Silence after which an answer that the rules allow is over."""

    def now(self) -> int:
        """Milliseconds since its boot, at this moment."""
        raise NotImplementedError

    def answer(self, link: Link, data: bytes, whole: Whole) -> Reaction:
        """Give it bytes, and take all that it says to them."""
        raise NotImplementedError

    def wait_until(self, moment: int, timer: bool, whole: Whole) -> Reaction:
        """Wait for that moment, and for what the device says meanwhile.

        `timer`: one of its timers is due then. What it says within the tolerance counts as said at that moment; the
        reaction bears the time of anything else that it said, and nothing later was waited for.
        """
        raise NotImplementedError


class StreamsTarget(RealTime):
    """One device on three streams. Raises HarnessError if one cannot be opened, with what to do.

    Any call raises IutFault if the device closes a stream, floods one or never stops talking.
    """

    def __init__(
        self,
        keys: Mapping[str, Any],
        folder: Path,
        own_id: int = 0,
        convert: Callable[[bytes], bytes] = lambda image: image,
    ) -> None:
        """`keys` are those of the IUT's file, `folder` where it lies; `convert` makes what `{image}` holds."""
        self.name = "streams"
        self.quiet_ms, self.tolerance_ms = int(keys["quiet_ms"]), int(keys["tolerance_ms"])
        self._keys, self._folder, self._own_id, self._convert = keys, folder, own_id, convert
        self._streams: dict[Link, Stream] = {}
        self._anchor = time.monotonic(), 0.0
        """A real moment in seconds, and the device's in milliseconds."""
        self._open()

    # ---- the target interface ----

    def boot(self, image: bytes) -> Reaction:
        """Power-cycle it by its command; without one, let a request end what was (section 5, pinned 7)."""
        if self._keys["reset"]:
            self._reset(image)
        else:
            self._open()
            self._ask_for_rest()
        self._anchor = time.monotonic(), 0.0
        return Reaction(0, None)

    def send(self, link: Link, data: bytes) -> Reaction:
        """Give it bytes, and take all that it says until it is quiet."""
        return self.answer(link, data, _anything)

    def advance(self, ms: int) -> Reaction:
        """Let time pass."""
        return self.wait_until(self.now() + ms, False, _anything)

    def close(self) -> None:
        """Close the streams. The device goes on."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()

    # ---- real time ----

    def now(self) -> int:
        """Milliseconds since its boot, computation not counted."""
        real, own = self._anchor
        return int(own + (time.monotonic() - real) * 1_000)

    def answer(self, link: Link, data: bytes, whole: Whole) -> Reaction:
        """Give it bytes, and take its answer."""
        began = self.now()
        self._write(link, data)
        chunks, last = self._until_quiet({}, whole)
        self._anchor = last, float(began)
        return Reaction(began, None, chunks)

    def wait_until(self, moment: int, timer: bool, whole: Whole) -> Reaction:
        """Wait for a moment, or for the window around it in which a timer may fire."""
        end = moment + self.tolerance_ms if timer else moment
        while (left := end - self.now()) > 0:
            first = self._read(left)
            if not first:
                continue
            spoke = self.now()
            fired = timer and spoke >= moment - self.tolerance_ms
            chunks, last = self._until_quiet(first, whole if fired else _anything)
            self._anchor = last, float(moment if fired else spoke)
            return Reaction(moment if fired else spoke, None, chunks)
        return Reaction(moment, None)

    # ---- inside ----

    def _open(self) -> None:
        for link in (Link.CPU, Link.SSS, Link.RADIO):
            if link not in self._streams:
                address = parse_address(self._keys[link.name.lower()])
                try:
                    self._streams[link] = Stream(address, self._folder, self._keys["baud"], self._keys["patience_s"])
                except HarnessError as error:
                    self.close()
                    raise HarnessError(f"the {link.name.lower()} link: {error.what}", error.evidence) from error

    def _reset(self, image: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="scewl-") as folder:
            file = Path(folder) / "image"
            write_private(file, self._convert(image))
            run(self._keys["reset"], self._folder, {"image": str(file), "id": str(self._own_id)})
        limit = time.monotonic() + self._keys["patience_s"]
        end = time.monotonic() + self._keys["settle_ms"] / 1_000
        while (left := end - time.monotonic()) > 0:  # what it says while it starts is nobody's
            try:
                self._open()
                self._read(left * 1_000)
            except IutFault:  # a device that starts may close what it had open, and open it again
                self.close()
                if time.monotonic() > limit:
                    raise
                time.sleep(min(left, 0.05))
        self._open()

    def _ask_for_rest(self) -> None:
        """A request for the SSS that is none is refused at once, and leaves no runtime set behind (CRT-4)."""
        own, patience = self._own_id, self._keys["patience_s"]
        self._write(Link.CPU, Frame(SSS_ID, own, b"").encode())
        wanted = Frame(own, SSS_ID, own.to_bytes(2, "little") + REFUSED.to_bytes(2, "little", signed=True))
        reader, limit = FrameReader(), time.monotonic() + patience
        while (left := limit - time.monotonic()) > 0:
            if wanted in reader.feed(self._read(left * 1_000).get(Link.CPU, b"")):
                self._until_quiet({}, _anything)
                return
        raise HarnessError(
            f"the device does not answer on the cpu link within {patience} s: an empty request for the SSS is to be "
            f"refused at once (section 5, pinned 7). Is it on, has it the id {own}, and do the three links go where "
            "the file says? Without `reset` it must be at rest before each case"
        )

    def _until_quiet(self, first: dict[Link, bytes], whole: Whole) -> tuple[Chunks, float]:
        """What comes behind `first` until it is whole and nothing does for `quiet_ms`; and when the last of it came."""
        got = dict(first)
        last = began = time.monotonic()
        patience = float(self._keys["patience_s"])
        wait_ms = float(self.quiet_ms)
        while True:
            more = self._read(wait_ms)
            if not more:
                chunks = tuple((link, got[link]) for link in sorted(got))
                waited = time.monotonic() - last
                if waited >= patience or whole(chunks):
                    return chunks, last
                wait_ms = (patience - waited) * 1_000
                continue
            last, wait_ms = time.monotonic(), float(self.quiet_ms)
            for link, data in more.items():
                got[link] = got.get(link, b"") + data
            if sum(map(len, got.values())) > OUTPUT_LIMIT:
                raise IutFault(f"flood: more than {OUTPUT_LIMIT:,} bytes of output in one step")
            if last - began > patience:
                raise IutFault(f"never quiescent: it talks for more than {patience:g} s without a pause")

    def _read(self, timeout_ms: float) -> dict[Link, bytes]:
        """What comes first within some milliseconds; empty if nothing does."""
        by_file = {stream.fileno(): link for link, stream in self._streams.items()}
        poll = select.poll()
        for file in by_file:
            poll.register(file, select.POLLIN)
        got: dict[Link, bytes] = {}
        for file, _ in poll.poll(max(0.0, timeout_ms)):
            link = by_file[file]
            data = self._streams[link].read()
            if data is None:
                raise self._gone(link)
            if data:
                got[link] = data
        return got

    def _write(self, link: Link, data: bytes) -> None:
        stream, left = self._streams.get(link), data
        if stream is None:
            raise HarnessError("the streams are closed; call boot() first (after a fault, again)")
        limit = time.monotonic() + self._keys["patience_s"]
        while left:
            try:
                left = left[stream.write(left) :]
            except OSError as error:
                raise self._gone(link) from error
            if not left:
                return
            if time.monotonic() > limit:
                raise IutFault(
                    f"it takes no bytes on the {link.name.lower()} link: {len(left)} of {len(data)} are left"
                )
            poll = select.poll()
            poll.register(stream.fileno(), select.POLLOUT)
            poll.poll(100)

    def _gone(self, link: Link) -> IutFault:
        address = self._streams[link].address
        self.close()
        return IutFault(f"the device closed the {link.name.lower()} link ({address}), or its cable was pulled out")


def _anything(_: Chunks) -> bool:
    return True
