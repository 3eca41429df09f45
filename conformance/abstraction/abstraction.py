"""The whole abstraction of one IUT: frames towards it become events, bytes from it become outputs."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.abstraction.inbound import datagram_events
from conformance.abstraction.memory import Memory
from conformance.abstraction.outbound import Outbound
from conformance.abstraction.session import Identity
from conformance.wire.describe import describe
from conformance.wire.frames import Frame, FrameReader, Junk
from conformance.wire.secrets import KeyLog
from model.alphabet import (
    BROADCAST,
    FAA_ID,
    LOWEST_SED_ID,
    MAX_MESSAGE,
    SSS_ID,
    Event,
    Link,
    Output,
)

ANSWER_SIZE = 4


class Abstraction:
    """Bytes ↔ alphabet for one IUT since its boot. `keylog` may grow while it is in use."""

    def __init__(self, identity: Identity, keylog: KeyLog) -> None:
        self.memory = Memory(identity, keylog)
        self._outbound = Outbound(self.memory)
        self._towards = {link: FrameReader() for link in Link}
        self._from = {link: FrameReader() for link in Link}

    def fork(self) -> Abstraction:
        """An independent copy, for whoever lets an IUT go several ways. Only between whole frames."""
        other = Abstraction(self.memory.identity, self.memory.keylog)
        other.memory = self.memory.fork()
        other._outbound = Outbound(other.memory)
        return other

    # --- towards the IUT

    def stimulus(self, link: Link, data: bytes) -> tuple[Event, ...]:
        """The events in bytes that go to the IUT on a link, in order."""
        frames = (f for f in self._towards[link].feed(data) if isinstance(f, Frame))
        return tuple(e for f in frames for e in self.frame_events(link, f))

    def frame_events(self, link: Link, frame: Frame) -> list[Event]:
        """The events in one frame that goes to the IUT, in order."""
        match link:
            case Link.CPU:
                return [self._cpu_event(frame)]
            case Link.SSS:
                if (frame.source, frame.target) == (SSS_ID, self.memory.identity.me):
                    return datagram_events(self.memory, SSS_ID, frame.payload)
                return [Event("noise", (0,))]
            case Link.RADIO:
                return self._radio_events(frame)

    def _cpu_event(self, frame: Frame) -> Event:
        size, memory = len(frame.payload), self.memory
        if frame.target in (BROADCAST, memory.identity.me) or size > MAX_MESSAGE:
            return Event("cpu-other")
        if frame.target == SSS_ID:
            dev = int.from_bytes(frame.payload[:2], "little")
            op = int.from_bytes(frame.payload[2:4], "little", signed=True)
            return Event("cpu-request", (size, dev, op))
        if frame.target == FAA_ID:
            memory.faa_out.append(frame.encode())
            return Event("cpu-faa", (size,))
        memory.messages.setdefault(frame.target, []).append(frame.payload)
        return Event("cpu-send", (frame.target, size))

    def _radio_events(self, frame: Frame) -> list[Event]:
        me, size = self.memory.identity.me, len(frame.payload)
        if frame.source == me or frame.target not in (me, BROADCAST):
            return []  # FRM-3: not for this controller
        if frame.source == FAA_ID:
            if size > MAX_MESSAGE:
                return [Event("noise", (0,))]
            self.memory.faa_in.append(frame.encode())
            return [Event("radio-faa", (size,))]
        if frame.target == BROADCAST or frame.source < LOWEST_SED_ID:
            return [Event("noise", (0,))]
        return datagram_events(self.memory, frame.source, frame.payload)

    # --- from the IUT

    def observe(self, chunks: Iterable[tuple[Link, bytes]]) -> tuple[Output, ...]:
        """The outputs in the bytes that left the IUT in one step."""
        outputs: list[Output] = []
        for link, data in chunks:
            for frame in self._from[link].feed(data):
                outputs.extend(
                    [Output("unknown", (link,))] if isinstance(frame, Junk) else self.frame_outputs(link, frame)
                )
        outputs.extend(self.end_of_step())
        outputs.extend(Output("unknown", (link,)) for link, reader in self._from.items() if reader.pending)
        return tuple(outputs)

    def end_of_step(self) -> list[Output]:
        """What is wrong with the output since the last call as a whole: flights that were begun and not ended."""
        return self._outbound.end_of_step()

    def frame_outputs(self, link: Link, frame: Frame) -> list[Output]:
        """The outputs that one frame from the IUT completes."""
        me = self.memory.identity.me
        unknown = [Output("unknown", (link,))]
        if link is Link.CPU:
            return [self._cpu_output(frame)] if frame.target == me or frame.source == FAA_ID else unknown
        if link is Link.RADIO and frame.target == FAA_ID:  # FRM-5: unchanged, whatever ids it bears
            return [Output("faa-radio", (len(frame.payload), _take(self.memory.faa_out, frame.encode())))]
        if frame.source != me:
            return unknown
        if link is Link.SSS:
            return self._outbound.datagram(SSS_ID, frame.payload) if frame.target == SSS_ID else unknown
        return self._outbound.datagram(frame.target, frame.payload) if frame.target >= LOWEST_SED_ID else unknown

    def _cpu_output(self, frame: Frame) -> Output:
        size, memory = len(frame.payload), self.memory
        if frame.source == SSS_ID:
            if size != ANSWER_SIZE:
                return Output("unknown", (Link.CPU,))
            dev, op = (
                int.from_bytes(frame.payload[:2], "little"),
                int.from_bytes(frame.payload[2:], "little", signed=True),
            )
            if op == 0 and memory.offered is not None:
                ca, memory.identity.runtime_key = memory.offered
                memory.identity.authorities.add("RUNTIME", ca)
            memory.offered = None
            return Output("answer", (dev, op))
        if frame.source == FAA_ID:
            return Output("faa-cpu", (size, _take(memory.faa_in, frame.encode())))
        if frame.source < LOWEST_SED_ID:
            return Output("unknown", (Link.CPU,))
        intact = memory.complete.get(frame.source) == frame.payload
        return Output("deliver", (frame.source, size, int(intact)))

    # --- for people

    def label(self, link: Link, frame: Frame) -> str:
        """What a frame is, in the field's terms."""
        size = len(frame.payload)
        if FAA_ID in (frame.source, frame.target):
            return f"FAA, {size} B"
        if link is Link.CPU:
            if SSS_ID in (frame.source, frame.target) and size == ANSWER_SIZE:
                op = int.from_bytes(frame.payload[2:], "little", signed=True)
                word = {0: "register", 1: "deregister", -1: "refused"}.get(op, f"op {op}")
                return f"request: {word}" if frame.target == SSS_ID else f"answer: {word}"
            return f"message, {size} B"
        peer = frame.target if frame.source == self.memory.identity.me else frame.source
        session = self.memory.sessions.get(peer)
        return describe(frame.payload, session.keys if session else None)


def _take(given: list[bytes], frame: bytes) -> int:
    """Whether the frame is the next that was given; takes it off the list."""
    if given and given[0] == frame:
        del given[0]
        return 1
    return 0
