"""Whatever happens to the references, each of their steps is one of the model's: refinement, by Hypothesis.

`make refine` runs it for as many examples as asked, with new ones each time.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from worlds import IDS, Flight, World

from model.alphabet import BROADCAST, FAA_ID, SSS_ID, Link
from reference.frame import Frame
from reference.registration import Request

LONG = int(os.environ.get("SCEWL_REFINE", "0"))
"""Examples of a long run; 0: the few of `make test`, always the same ones."""

seds = st.sampled_from(IDS)
places = st.integers(0, 30)
sizes = st.sampled_from((0, 1, 9, 9, 9, 963, 964, 2_000))
headers = st.sampled_from(
    (
        "15fefd0000000000000032000202",  # a fatal alert, with too short a length
        "15fefd000000000000003200020228",  # a fatal alert
        "15fefd000000000000003300020100",  # a close_notify in plaintext
        "14fefd00000000000000340001" + "01",  # ChangeCipherSpec
        "16fefd000000000000003500140e000000" + "0005" + "000000" + "000000" + "00" * 8,  # ServerHelloDone, and more
        "16fefd0000000000000036000c0e000000" + "0002" + "000000" + "000000",
        "16fefd0000000000000037000c00000000" + "0000" + "000000" + "000000",  # HelloRequest
        "16feff000000000000000000" + "1703000007000000000000" + "07feff0400000000",  # HelloVerifyRequest, record 0
        "16fefd000000000000000000" + "1703000007000100000000" + "07feff04deadbeef",
        "16fefd00000000000000" + "01000c020000000001" + "000000000000",  # an empty ServerHello, record 1
        "17fefd00010000000000010020" + "00" * 32,  # application data that does not authenticate
        "16fefd00010000000000000028" + "00" * 40,  # a Finished that does not authenticate
    )
)
"""Datagrams of an attacker who has read the RFC."""


class Refinement(RuleBasedStateMachine):
    """The world, and all that can happen to it."""

    world: World
    count = 0

    @initialize(registered=st.lists(seds, unique=True, max_size=2), foreign=st.sampled_from((False, False, True)))
    def begin(self, registered: list[int], foreign: bool) -> None:
        self.world = World(foreign=foreign)
        for sed in registered:
            self.world.request(sed, 0)
            self.world.settle()

    # --- CPUs

    @rule(by=seds, to=seds, size=sizes)
    def send(self, by: int, to: int, size: int) -> None:
        self.count += 1
        self.world.cpu(by, Frame(to, by, (self.count.to_bytes(9, "little") + bytes(size))[:size]))

    @rule(by=seds, to=seds, size=sizes)
    def send_and_settle(self, by: int, to: int, size: int) -> None:
        self.send(by, to, size)
        self.world.settle()

    @rule(one=seds, other=seds, settle=st.booleans())
    def glare(self, one: int, other: int, settle: bool) -> None:
        self.send(one, other, 9)
        self.send(other, one, 9)
        if settle:
            self.world.settle()

    @rule(by=seds, op=st.sampled_from((0, 0, 0, 1, 1, 5)), settle=st.booleans())
    def ask(self, by: int, op: int, settle: bool) -> None:
        self.world.request(by, op)
        if settle:
            self.world.settle()

    @rule(
        by=seds,
        frame=st.sampled_from(
            (
                (SSS_ID, b"abc"),
                (SSS_ID, Request(4, 0).encode()),
                (SSS_ID, Request(7, 1).encode()),
                (BROADCAST, b"to all"),
                (FAA_ID, b"to the FAA"),
                (9, b"to nobody"),
                (3, bytes(16_385)),
            )
        ),
    )
    def cpu_says_something_else(self, by: int, frame: tuple[int, bytes]) -> None:
        self.world.cpu(by, Frame(frame[0], by, frame[1]))

    # --- links

    @rule()
    def settle(self) -> None:
        self.world.settle()

    @precondition(lambda self: self.world.flying)
    @rule(count=st.integers(1, 6))
    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.world.flying))):
            self.world.deliver()

    @precondition(lambda self: self.world.flying)
    @rule(place=places)
    def out_of_turn(self, place: int) -> None:
        self.world.deliver(place % len(self.world.flying))

    @precondition(lambda self: self.world.flying)
    @rule(place=places)
    def lose(self, place: int) -> None:
        self.world.seen.append(self.world.flying.pop(place % len(self.world.flying)))

    @precondition(lambda self: self.world.flying)
    @rule()
    def lose_all(self) -> None:
        self.world.seen += self.world.flying
        self.world.flying.clear()

    @precondition(lambda self: self.world.flying)
    @rule(place=places)
    def duplicate(self, place: int) -> None:
        flying = self.world.flying
        flying.insert(place % len(flying), flying[place % len(flying)])

    @precondition(lambda self: self.world.flying)
    @rule(place=places, part=st.integers(1, 9))
    def cut(self, place: int, part: int) -> None:
        self._rewrite(place, lambda payload: payload[: len(payload) * part // 10])

    @precondition(lambda self: self.world.flying)
    @rule(place=places, at=st.integers(0, 999), bit=st.integers(0, 7))
    def alter(self, place: int, at: int, bit: int) -> None:
        def altered(payload: bytes) -> bytes:
            changed = bytearray(payload or b"\0")
            changed[at % len(changed)] ^= 1 << bit
            return bytes(changed)

        self._rewrite(place, altered)

    def _rewrite(self, place: int, change: Any) -> None:
        flying = self.world.flying
        place %= len(flying)
        to, link, data = flying[place]
        target, source = (int.from_bytes(data[n : n + 2], "little") for n in (2, 4))
        flying[place] = Flight(to, link, Frame(target, source, change(data[8:])).encode())

    @rule(
        by=seds,
        to=st.sampled_from((*IDS, SSS_ID)),
        size=st.sampled_from((0, 9, 964, 2_000)),
        count=st.sampled_from((0, 1, 2, 3, 3, 3, 4, 5, 6, 6, 7, 7, 8)),
        what=st.sampled_from(("lose", "lose", "duplicate", "swap", "late", "lose all")),
        ms=st.sampled_from((1_000, 7_000, 7_001, 59_999)),
        then=st.booleans(),
    )
    def disturb(self, by: int, to: int, size: int, count: int, what: str, ms: int, then: bool) -> None:
        """One session, in which one thing goes wrong somewhere; and its peer's CPU may have something to say then."""
        world = self.world
        if to == SSS_ID:
            world.request(by, 0)
        else:
            self.send(by, to, size)
        for _ in range(count):
            if world.flying:
                world.deliver()
        frame = world.flying.pop(0) if world.flying else None
        if what == "late":
            world.wait(world.now + ms)
        elif what == "lose all":
            self.lose_all()
            world.wait(world.now + ms)
        if frame and what != "lose":
            world.flying.insert(min(len(world.flying), what == "swap"), frame)
        if frame and what == "duplicate":
            world.flying.insert(0, frame)
        if then and to in IDS:
            self.send(to, by, 9)
        world.settle()

    # --- the attacker

    @precondition(lambda self: self.world.seen)
    @rule(place=places, again=st.booleans())
    def replay(self, place: int, again: bool) -> None:
        """One of the latest frames once more; or the latest ones, all."""
        seen = self.world.seen[-8:]
        for flight in seen if again else [seen[place % len(seen)]]:
            self.world.give(flight)

    @precondition(lambda self: self.world.seen)
    @rule(place=places, to=seds, source=st.sampled_from((0, 1, 2, 3, 4, 5, 7, 0xFFFF)))
    def replay_elsewhere(self, place: int, to: int, source: int) -> None:
        _, link, data = self.world.seen[-1 - place % len(self.world.seen)]
        self.world.give(Flight(to, link if link is not Link.CPU else Link.RADIO, Frame(to, source, data[8:]).encode()))

    @rule(to=seds, source=st.sampled_from((1, 2, 3, 4, 5, 7)), datagram=headers, wire=st.booleans())
    def inject(self, to: int, source: int, datagram: str, wire: bool) -> None:
        frame = Frame(to, SSS_ID if wire else source, bytes.fromhex(datagram))
        self.world.give(Flight(to, Link.SSS if wire else Link.RADIO, frame.encode()))

    @rule(to=seds, link=st.sampled_from((Link.RADIO, Link.SSS, Link.CPU)), data=st.binary(max_size=60))
    def junk(self, to: int, link: Link, data: bytes) -> None:
        if b"S" not in data:  # else it would swallow what comes after it
            self.world.give(Flight(to, link, data))

    @rule(to=seds, source=st.sampled_from((1, 3, 4, 5, 7)), data=st.binary(max_size=60))
    def junk_in_a_frame(self, to: int, source: int, data: bytes) -> None:
        self.world.give(Flight(to, Link.SSS if source == 1 else Link.RADIO, Frame(to, source, data).encode()))

    @rule(to=seds, whom=st.sampled_from((0, 3, 4, 7)))
    def faa_says(self, to: int, whom: int) -> None:
        self.world.give(Flight(to, Link.RADIO, Frame(whom, FAA_ID, b"from the FAA").encode()))

    # --- time and power

    @precondition(lambda self: self.world.deadline() is not None)
    @rule(early=st.sampled_from((0, 0, 1)), settle=st.booleans())
    def a_timer(self, early: int, settle: bool) -> None:
        due = self.world.deadline()
        assert due is not None
        self.world.wait(max(due - early, self.world.now))
        if settle:
            self.world.settle()

    @rule(ms=st.sampled_from((1, 6_999, 7_001, 60_000, 170_000)))
    def time_passes(self, ms: int) -> None:
        self.world.wait(self.world.now + ms)

    @rule(sed=seds)
    def power_cycle(self, sed: int) -> None:
        self.world.power_cycle(sed)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    # --- what must be so

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.check_end()


TestRefinement = Refinement.TestCase
TestRefinement.settings = settings(
    max_examples=LONG or 25,
    stateful_step_count=50 if LONG else 25,
    derandomize=not LONG,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)
