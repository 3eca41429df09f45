"""What the steps of a purpose do in the world around an IUT, and what they ask of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conformance.cast import Cast
from conformance.deviation import Deviation
from conformance.faults import Fault
from conformance.judge import Judge
from conformance.lab import Lab
from conformance.purpose import Purpose, Step
from conformance.speaker import CannotSay, Speaker
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.secrets import KeyLog
from model.alphabet import BROADCAST, DEREGISTER, FAA_ID, REFUSED, REGISTER, SSS_ID, Link

IDLE_LIMIT = 1_200_000
"""Virtual milliseconds within which every device must have come to rest."""
SESSION_SIZE = 16
"""Bytes of the message that shows an IUT to be alive."""


@dataclass
class ChoseOtherwise(Exception):
    """The IUT took another way than the purpose goes on from, and the rules leave it the choice."""

    rule: str


@dataclass
class Unreached(Exception):
    """The purpose was not reached, though nothing forbidden happened."""

    reason: str

    def __str__(self) -> str:
        return self.reason


class Steps:
    """Carries out the steps of one run, one after the other. Each may raise Unreached, or Diverged of the judge."""

    def __init__(self, purpose: Purpose, seed: int, cast: Cast, lab: Lab, judge: Judge, keylog: KeyLog) -> None:
        self._purpose, self._seed, self._cast, self._lab, self._judge = purpose, seed, cast, lab, judge
        self.deviation = Deviation(purpose, lab, keylog, cast.authorities())
        self.booted: list[int] = []
        """When the IUT was powered up, virtual milliseconds."""
        self._payloads = 0
        self._boots = 0
        """Power cycles and restarts so far: each has randomness of its own."""
        self._sent: list[tuple[int, int, bytes]] = []
        """Messages that CPUs gave: from, to, payload."""
        self._met: list[tuple[int, int, bytes]] = []
        """Those of them that were expected, and have come."""
        self._speaker = None if cast.voice is None else Speaker(cast.voice, judge)

    def take(self, step: Step) -> None:
        """Carry out a step. Raises ChoseOtherwise, too, where a step leaves the IUT a choice."""
        do = getattr(self, f"_do_{step.kind.replace('-', '_')}")
        do(**{_parameter(k): v for k, v in step.arguments.items()})
        self._lab.settle()

    def come_to_rest(self) -> None:
        """Let time pass until every device has come to rest."""
        self._do_wait(until="idle")

    def expect_no_more(self) -> None:
        """At the end no CPU has got anything that no step has asked for."""
        left = [f"{_at(self._purpose, d)} {_frame(f)}" for d, frames in self._lab.inbox.items() for f in frames]
        if left:
            raise Unreached(f"At the end a CPU had got something that the purpose does not expect: {', '.join(left)}.")

    def power_up(self, boots: int = 0) -> None:
        """Give the IUT power, with the randomness of boot number `boots`."""
        self.booted.append(self._lab.now)
        self._lab.boot(self._cast.image(boots))

    # --- steps: CPUs

    def _do_send(self, to: int, size: int, by: int = 0) -> None:
        by, payload = by or self._purpose.iut, self._payload(size)
        self._sent.append((by, to, payload))
        self._lab.from_cpu(by, Frame(to, by, payload).encode())

    def _do_register(self, by: int = 0) -> None:
        self._request(by or self._purpose.iut, REGISTER)

    def _do_deregister(self, by: int = 0) -> None:
        self._request(by or self._purpose.iut, DEREGISTER)

    def _request(self, by: int, op: int) -> None:
        self._lab.from_cpu(by, Frame(SSS_ID, by, request(by, op)).encode())

    def _do_request(self, size: int = 4, dev: int = 0, op: int = REGISTER) -> None:
        iut = self._purpose.iut
        payload = (request(dev or iut, op) + self._payload(size))[:size]
        self._lab.from_cpu(iut, Frame(SSS_ID, iut, payload).encode())

    def _do_broadcast(self, size: int) -> None:
        self._lab.from_cpu(self._purpose.iut, Frame(BROADCAST, self._purpose.iut, self._payload(size)).encode())

    def _do_faa(self, to: str, size: int) -> None:
        iut, payload = self._purpose.iut, self._payload(size)
        if to == "radio":
            self._lab.from_cpu(iut, Frame(FAA_ID, iut, payload).encode())
        else:
            self._sent.append((FAA_ID, iut, payload))
            self._lab.inject(Link.RADIO, Frame(iut, FAA_ID, payload).encode())

    # --- steps: links

    def _do_lose(self, **what: Any) -> None:
        self._lab.faults.append(Fault("lose", **what))

    def _do_duplicate(self, **what: Any) -> None:
        self._lab.faults.append(Fault("duplicate", **what))

    def _do_delay(self, **what: Any) -> None:
        self._lab.faults.append(Fault("delay", **what))

    def _do_swap(self, **what: Any) -> None:
        self._lab.faults.append(Fault("swap", **what))

    def _do_cut(self, **what: Any) -> None:
        self._lab.faults.append(Fault("cut", **what))

    def _do_mend(self) -> None:
        """From now on the links do to no datagram what an earlier step asked for."""
        self._lab.faults.clear()

    def _do_silence(self, who: int) -> None:
        self._lab.silent.add(who)

    def _do_restore(self, who: int) -> None:
        self._lab.silent.discard(who)

    # --- steps: the attacker

    def _do_inject(self, link: str, raw: str = "", source: int = 0, target: int = 0, size: int = 0) -> None:
        if raw:
            data = bytes.fromhex(raw)
            frames = [f for f in FrameReader().feed(data) if isinstance(f, Frame)]
            self._sent += [(FAA_ID, self._purpose.iut, f.payload) for f in frames if f.source == FAA_ID]
            self._lab.inject(Link[link.upper()], data)
        else:
            frame = Frame(target or self._purpose.iut, source, self._payload(size))
            self._lab.inject(Link[link.upper()], frame.encode())

    def _do_spoof(self, flight: int, as_: int) -> None:
        """Repeat the latest datagram of a flight that went to the IUT, under another source id."""
        seen = [frame for content, frame in self._lab.towards_iut if content.flight == flight]
        if not seen:
            raise Unreached(f"no datagram of flight {flight} has gone to the IUT yet.")
        self._lab.inject(Link.RADIO, Frame(self._purpose.iut, as_, seen[-1].payload).encode())

    def _do_replay(self, of: int) -> None:
        """Repeat every radio frame that a device has sent to the IUT, in their order."""
        frames = [frame for _, frame in self._lab.towards_iut if frame.source == of]
        if not frames:
            raise Unreached(f"nothing from {of} has gone to the IUT yet.")
        for frame in frames:
            self._lab.inject(Link.RADIO, frame.encode())

    def _do_half_frame(self) -> None:
        self._cast.sss.stall(self._lab.now)

    # --- steps: the voice

    def _do_say(self, what: str, as_: int = 0, variant: int = 0, takes: str = "", choice: bool = False) -> None:
        """Say something of the model's alphabet, and see that the IUT's step was taken by this rule."""
        assert self._speaker is not None
        before = len(self._judge.steps)
        try:
            for link, data in self._speaker.stimuli(what, as_, variant):
                self._lab.inject(link, data)
                self._lab.settle()
        except CannotSay as error:
            raise Unreached(str(error)) from None
        taken = {rule for step in self._judge.steps[before:] for rule in step["rules"]}
        if takes and takes not in taken:
            if choice:
                raise ChoseOtherwise(takes)
            raise Unreached(f"it was not taken by {takes} but by {', '.join(sorted(taken)) or 'no rule'}.")

    # --- steps: what else goes wrong

    def _do_boot(self, by: int = 0) -> None:
        """A power cycle."""
        self._boots += 1
        if by in (0, self._purpose.iut):
            self.power_up(self._boots)
        else:
            self._lab.nodes[by] = self._cast.sed(by, self._boots)

    def _do_restart(self) -> None:
        self._boots += 1
        self._cast.sss.restart(self._boots)

    def _do_respond(self, response: str) -> None:
        self._cast.response = response

    # --- steps: time and expectations

    def _do_wait(self, ms: int = 0, until: str = "") -> None:
        if ms:
            self._lab.run(self._lab.now + ms)
        elif until in ("deadline", "before-deadline"):
            self._lab.settle()
            deadline = self._lab.next_deadline()
            if deadline is None:
                raise Unreached("no timer of the IUT is armed.")
            self._lab.run(max(deadline - (until == "before-deadline"), self._lab.now))
        else:
            self._lab.run(self._lab.now + IDLE_LIMIT, stop=self._lab.idle)
            if not self._lab.idle():
                raise Unreached(f"a device still waits for something after {IDLE_LIMIT} ms.")

    def _do_expect(
        self,
        what: str,
        at: int = 0,
        from_: int = 0,
        size: int | None = None,
        op: int = 0,
        said: Sequence[str] = (),
    ) -> None:
        at = at or self._purpose.iut
        if what == "reaction":
            self.deviation.expect(at, said, len(self._judge.steps) - 1)
            return
        if what == "session":
            self._expect_session(at)
            return
        got = self._lab.inbox.setdefault(at, [])
        told = "; ".join(map(_frame, got)) or "nothing"
        if what == "nothing":
            for frame in got:
                self._not_told_twice(at, frame)
            if got:
                raise Unreached(f"{_at(self._purpose, at)} got {told}.")
            return
        if what == "rest":
            self._expect_rest()
            return
        for frame in got:
            if self._meets(frame, what, at, from_, size, op):
                got.remove(frame)
                if what == "message":
                    self._not_told_twice(at, frame)
                    self._met.append((frame.source, at, frame.payload))
                return
        raise Unreached(f"{_at(self._purpose, at)} got {told}.")

    def _meets(self, frame: Frame, what: str, at: int, from_: int, size: int | None, op: int) -> bool:
        if what == "answer":
            return frame.source == SSS_ID and frame.payload == request(at, op)
        told = [s for s in self._sent if s[:2] == (from_ or frame.source, at)]
        return (
            frame.source == (from_ or frame.source)
            and any(frame.payload == payload for _, _, payload in told)
            and size in (None, len(frame.payload))
        )

    def _not_told_twice(self, at: int, frame: Frame) -> None:
        """The IUT's CPU gets a message once. One that came again was recorded and played back, in a session that only
        its old randomness opens (ADV-3), which no single step shows. Raises Diverged."""
        message = (frame.source, at, frame.payload)
        if at == self._purpose.iut and message in self._met and self._sent.count(message) <= self._met.count(message):
            raise self.deviation.wrong(f"to its CPU {_frame(frame)}, again", ["nothing"], len(self._judge.steps) - 1)

    def _expect_rest(self) -> None:
        """All that any CPU has got and no step has asked for are messages that were given for it, each once and whole,
        and answers to itself."""
        left = list(self._sent)
        for message in self._met:
            if message in left:
                left.remove(message)
        for at, got in self._lab.inbox.items():
            for frame in got:
                message = (frame.source, at, frame.payload)
                if message in left:
                    left.remove(message)
                    self._met.append(message)
                elif frame.payload not in (request(at, op) for op in (REGISTER, DEREGISTER, REFUSED)):
                    self._not_told_twice(at, frame)
                    raise Unreached(f"{_at(self._purpose, at)} got {_frame(frame)}, which nobody gave for it.")
            got.clear()

    def _expect_session(self, at: int) -> None:
        """The IUT is alive: once it is at rest, a session with an honest peer, or the SSS, works."""
        self._do_wait(until="idle")
        self.deviation.end()
        self._boots += 1
        if at == SSS_ID:
            self._lab.nodes[at] = self._cast.scripted_sss({})
            self._do_register()
        else:
            self._lab.nodes[at] = self._cast.sed(at, self._boots, honest=True)
            self._do_send(self._purpose.iut, SESSION_SIZE, at)
        self._do_wait(until="idle")
        self._do_expect("answer" if at == SSS_ID else "message", size=SESSION_SIZE, op=REGISTER)

    def _payload(self, size: int) -> bytes:
        """The next payload: a function of seed, purpose and count."""
        self._payloads += 1
        name = f"{self._seed}/{self._purpose.id}/{self._payloads}".encode()
        return hashlib.shake_256(name).digest(size)


def request(dev: int, op: int) -> bytes:
    """A registration request, which is also the form of the CPU's answer (protocol page, section 6)."""
    return dev.to_bytes(2, "little") + op.to_bytes(2, "little", signed=True)


def _parameter(name: str) -> str:
    return f"{name}_" if name in ("from", "as") else name


def _at(purpose: Purpose, device: int) -> str:
    return f"the CPU of {device}" + (" (the IUT)" if device == purpose.iut else "")


def _frame(frame: Frame) -> str:
    if frame.source == SSS_ID and len(frame.payload) == 4:
        dev, op = frame.payload[:2], frame.payload[2:]
        return f"an answer (dev {int.from_bytes(dev, 'little')}, op {int.from_bytes(op, 'little', signed=True)})"
    return f"a message of {len(frame.payload)} B from {frame.source}"
