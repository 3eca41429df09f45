"""A world of many SEDs, the SSS and the links between them, on one virtual clock.

Deterministic: the same file, seed and actions give the same bytes at the same times. `step` does exactly one thing, the
next one; nothing here reads a clock or waits. At one moment timers fire first, then the script acts, then CPUs speak,
then frames arrive, each in the order of ids or of sending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from conformance.cast import SssNode
from conformance.links import Delivery, Links
from conformance.mixed.device import Device, Said
from conformance.mixed.secrets import SRAM, SRAM_SIZE, Handshakes, NotThere
from conformance.targets.base import HarnessError, IutFault
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.wire.describe import describe
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.secrets import KeyLog
from model.alphabet import BROADCAST, FAA_ID, LOWEST_SED_ID, SSS_ID, Link

BUSY_LIMIT: Final = 20_000
"""Things at one moment: beyond it something answers something for ever."""
BITS_A_BYTE: Final = 10
"""Of a UART: start bit, eight, stop bit."""

Listener = Callable[[int, str, dict[str, Any]], None]
"""Takes what happened: the virtual time in milliseconds, its kind, and what belongs to it as plain data."""


@dataclass
class Wire:
    """How long frames are under way on the radio, or on each SSS wire."""

    latency: int = 0
    """Milliseconds from the last byte sent to the last byte received."""
    baud: int = 0
    """Bits per second that the medium carries, one frame after another; 0: any number."""
    _free_us: int = 0

    def due(self, now: int, size: int) -> int:
        """When a frame of so many bytes has arrived that is sent now."""
        if not self.baud:
            return now + self.latency
        begin = max(now * 1000, self._free_us)
        self._free_us = begin + size * BITS_A_BYTE * 1_000_000 // self.baud
        return -(-self._free_us // 1000) + self.latency


@dataclass
class Counts:
    """What went well, and what did not."""

    steps: int = 0
    frames: int = 0
    given: int = 0
    delivered: int = 0
    payload: int = 0
    """Bytes of the messages that were delivered."""
    answers: Counter[int] = field(default_factory=Counter)
    """Answers of the SSS to CPUs, by op."""


class World:
    """The devices and everything between them."""

    def __init__(
        self,
        devices: Iterable[Device],
        sss: SssNode | None,
        keylog: KeyLog,
        wires: dict[Link, Wire],
        authorities: Mapping[str, bytes],
        *,
        overhear: bool = False,
    ) -> None:
        """`overhear` lets each device hear every radio frame, its own too; `authorities` are the CA certificates, DER,
        by label."""
        self.devices = {device.number: device for device in devices}
        self.sss = sss
        self.keylog = keylog
        self.wires = wires
        self.authorities = authorities
        self.at = 0
        """The device to which something happens, for whoever has to say which one broke."""
        self.listeners: list[Listener] = []
        """They hear everything that happens."""
        self.now = 0
        self.links = Links()
        self.silent: set[int] = set()
        """Devices that neither hear nor are heard; 1 is the SSS."""
        self.inbox: dict[int, list[Frame]] = {number: [] for number in self.devices}
        """What each CPU got, until somebody takes it."""
        self.secrets: list[tuple[bytes, bytes]] = []
        self.keep_secrets = False
        """Whether all `secrets` are kept, for a capture."""
        self.agenda: list[tuple[int, Callable[[], None]]] = []
        """What a script does, each with its time, in order."""
        self.pending: Counter[tuple[int, int, bytes]] = Counter()
        """Messages that controllers took from their CPUs and nobody got yet: from, to, payload."""
        self.counts = Counts()
        self._overhear = overhear
        self._handshakes = Handshakes()
        self._states: dict[int, str] = {}
        self._busy = 0
        for device in self.devices.values():
            device.secrets = self._reader(device)
            device.gave = partial(self._given, device.number)

    def tell(self, kind: str, facts: dict[str, Any]) -> None:
        """Let the listeners know of something that happens now."""
        for listener in self.listeners:
            listener(self.now, kind, facts)

    # --- what happens

    def boot(self) -> None:
        """Power everything up. Raises Diverged, IutFault, HarnessError."""
        for device in self.devices.values():
            self.at = device.number
            self._routed(device, device.boot(self.now))

    def due(self) -> int | None:
        """When the next thing happens; None if nothing does."""
        if any(d.can_speak for d in self.devices.values()):
            return self.now
        return min(self._dues(), default=None)

    def step(self) -> bool:
        """Do the next thing; False if there is none. Raises Diverged, IutFault, HarnessError."""
        due = self.due()
        if due is None:
            return False
        self._busy = self._busy + 1 if due <= self.now else 0
        if self._busy > BUSY_LIMIT:
            raise IutFault(f"not done after {BUSY_LIMIT} steps at {self.now} ms: something answers something for ever")
        self.now = max(self.now, due)
        self.counts.steps += 1
        if self._timer():
            return True
        if self.agenda and self.agenda[0][0] <= self.now:
            self.agenda.pop(0)[1]()
            return True
        for device in self.devices.values():
            if device.can_speak:
                self._catch_up(device)
                if device.can_speak:  # as before its timer fired, if that was due
                    self._routed(device, device.speak())
                return True
        if (delivery := self.links.take(self.now)) is not None:
            self._arrive(delivery)
        return True

    def pass_time(self, until: int) -> None:
        """Nothing happens until then."""
        self.now = max(self.now, until)

    def _dues(self) -> Iterable[int]:
        if self.agenda:
            yield self.agenda[0][0]
        if (due := self.links.due()) is not None:
            yield due
        if self.sss is not None and SSS_ID not in self.silent and (due := self.sss.deadline()) is not None:
            yield due
        for device in self.devices.values():
            if device.deadline is not None:
                yield device.deadline

    def _timer(self) -> bool:
        """Let the first timer that is due fire."""
        if self.sss is not None and SSS_ID not in self.silent:
            due = self.sss.deadline()
            if due is not None and due <= self.now:
                self.tell("timer", {"device": SSS_ID})
                self.sss.on_time(self.now)
                self._drain()
                return True
        for device in self.devices.values():
            if device.deadline is not None and device.deadline <= self.now:
                self._catch_up(device)
                return True
        return False

    def _catch_up(self, device: Device) -> None:
        """Let a device come to the present, before something happens to it."""
        self.at = device.number
        if device.deadline is not None and device.deadline <= self.now:
            self.tell("timer", {"device": device.number})
        self._routed(device, device.pass_time(self.now))

    # --- what is done to it, by a script or a person

    def from_cpu(self, device: int, target: int, payload: bytes) -> None:
        """A device's CPU sends a frame."""
        frame = Frame(target, device, payload)
        self.tell("cpu-sends", {"device": device, "to": target, "bytes": len(payload), "what": _cpu_label(frame)})
        self.devices[device].waiting.append(frame.encode())

    def _given(self, device: int, frame: Frame) -> None:
        """A controller takes a frame of its CPU, whoever put it there."""
        if frame.target >= LOWEST_SED_ID:
            self.pending[device, frame.target, frame.payload] += 1
            self.counts.given += 1

    def power_cycle(self, device: int) -> None:
        """A device loses power and has it again; what its CPU had yet to say is gone."""
        sed = self.devices[device]
        self.tell("power-cycle", {"device": device})
        self._catch_up(sed)
        self._routed(sed, sed.boot(self.now))

    def restart_sss(self, boots: int) -> None:
        """The SSS starts again with what it keeps (REG-1)."""
        if self.sss is not None:
            self.tell("sss-restarts", {})
            self.sss.restart(boots)

    def inject(self, device: int, link: Link, data: bytes) -> None:
        """Bytes appear on one of a device's links, from nobody."""
        self.tell("injected", {"device": device, "link": link.name.lower(), "bytes": len(data)})
        if link is Link.CPU:
            self.devices[device].waiting.append(data)
        else:
            self.links.fly(device, link, data, "injected", self.now)

    def close(self) -> None:
        """End every device. Safe to call twice."""
        for device in self.devices.values():
            device.target.close()

    # --- the links

    def _routed(self, device: Device, said: list[Said]) -> None:
        """Put what a device has said where it belongs."""
        for link, frame, label in said:
            if link is Link.CPU:
                device.see(link, False, frame, "delivered", label)
                self._to_cpu(device, frame, label)
            else:
                fate = self._send(device.number, link, frame, label)
                device.see(link, False, frame, fate, label)
        state = device.model_state()
        if state != self._states.get(device.number, ""):
            self._states[device.number] = state
            self.tell("state", {"device": device.number, "model": state})

    def _send(self, sender: int, link: Link, frame: Frame, label: str) -> str:
        content = self.links.content(frame)
        self.counts.frames += 1
        fate = "lost"
        if sender not in self.silent:
            due = self.wires[link].due(self.now, len(frame.payload) + 8)
            lost_at = frame.target if frame.target in self.devices else -1
            hearers = self._hearers(sender, link, frame)
            fate = self.links.send(sender, link, frame, content, hearers, due, lost_at=lost_at)
        facts = {"link": link.name.lower(), "from": sender, "to": frame.target, "what": label}
        self.tell("sent", facts | {"bytes": len(frame.payload), "fate": fate})
        return fate

    def _hearers(self, sender: int, link: Link, frame: Frame) -> list[int]:
        if link is Link.SSS:
            to = frame.target if sender == SSS_ID else SSS_ID
            return [to] if to in self.devices or (to == SSS_ID and self.sss is not None) else []
        if self._overhear:
            return list(self.devices)
        return [d for d in self.devices if d != sender and frame.target in (d, BROADCAST)]

    def _arrive(self, delivery: Delivery) -> None:
        to, link, fate = delivery.to, delivery.link, delivery.fate
        if fate == "lost" or to in self.silent:
            self._lost(delivery)
        elif to == SSS_ID and self.sss is not None:
            self._tell_arrival(delivery)
            self.sss.receive(link, delivery.data, self.now)
            self._drain()
        else:
            device = self.devices[to]
            self._catch_up(device)
            self._tell_arrival(delivery)
            self._routed(device, device.give(link, delivery.data, fate))

    def _lost(self, delivery: Delivery) -> None:
        for frame in FrameReader().feed(delivery.data):
            if isinstance(frame, Frame) and delivery.to in self.devices:
                self._catch_up(self.devices[delivery.to])
                self.devices[delivery.to].see_lost(delivery.link, frame)
        self.tell("lost", flight_facts(delivery))

    def _tell_arrival(self, delivery: Delivery) -> None:
        self.tell("arrives", flight_facts(delivery))

    def _drain(self) -> None:
        """Send what the SSS has to send."""
        assert self.sss is not None
        self._learn(self.sss.secrets())
        for link, data in self.sss.outgoing():
            for frame in FrameReader().feed(data):
                if isinstance(frame, Frame):
                    self._send(SSS_ID, link, frame, describe(frame.payload))

    def _to_cpu(self, device: Device, frame: Frame, label: str) -> None:
        facts = {"device": device.number, "from": frame.source, "what": label, "bytes": len(frame.payload)}
        self.tell("cpu-gets", facts)
        self.inbox[device.number].append(frame)
        if frame.source == SSS_ID:
            self.counts.answers[int.from_bytes(frame.payload[2:4], "little", signed=True)] += 1
        elif frame.source != FAA_ID:
            message = (frame.source, device.number, frame.payload)
            if not self.pending[message]:
                raise IutFault(
                    f"SED {device.number} gave its CPU a message of {len(frame.payload)} B from {frame.source} that "
                    "nobody sent, or that it gave before",
                    device.evidence,
                )
            self.pending[message] -= 1
            if not self.pending[message]:
                del self.pending[message]
            self.counts.delivered += 1
            self.counts.payload += len(frame.payload)

    # --- secrets

    def _learn(self, secrets: Iterable[tuple[bytes, bytes]]) -> None:
        for client_random, master in secrets:
            self.keylog.add(client_random, master)
            if self.keep_secrets:
                self.secrets.append((client_random, master))

    def _reader(self, device: Device) -> Callable[[list[tuple[Link, Frame]]], None]:
        target = device.target
        if isinstance(target, ReferenceTarget):
            return lambda _frames: self._learn(target.controller.secrets())

        def memory() -> bytes:
            if not isinstance(target, QemuTarget):
                raise NotThere
            return target.memory(SRAM, SRAM_SIZE)

        def of_firmware(frames: list[tuple[Link, Frame]]) -> None:
            for link, frame in frames:
                if link is not Link.RADIO or frame.source != device.number:
                    continue
                try:
                    found = self._handshakes.see(frame, memory)
                except NotThere:
                    raise HarnessError(
                        f"the memory of SED {device.number} does not show the secret of its session with "
                        f"{frame.target}: two firmwares can be watched or recorded only if the client keeps the master "
                        'secret in SRAM in one piece; set watch = false and record = ""'
                    ) from None
                if found is not None:
                    self._learn([found])

        def unread(_frames: list[tuple[Link, Frame]]) -> None:
            """Nobody looks."""

        return of_firmware if device.judge else unread


def flight_facts(delivery: Delivery) -> dict[str, Any]:
    """What is shown of a frame on its way."""
    frames = [f for f in FrameReader().feed(delivery.data) if isinstance(f, Frame)]
    source = frames[0].source if frames else 0
    what = describe(frames[0].payload) if frames else "no frame"
    facts = {"link": delivery.link.name.lower(), "from": source, "to": delivery.to, "what": what}
    return facts | {"bytes": max(0, len(delivery.data) - 8), "fate": delivery.fate}


def _cpu_label(frame: Frame) -> str:
    if frame.target == SSS_ID and len(frame.payload) == 4:
        op = int.from_bytes(frame.payload[2:], "little", signed=True)
        return {0: "request: register", 1: "request: deregister"}.get(op, f"request: op {op}")
    return f"message, {len(frame.payload)} B"
