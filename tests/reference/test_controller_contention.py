"""Who gives way to whom: glare, rings, pre-emption, replacement, FAA frames and the CPU's frames while busy."""

import pytest
from memory_world import DEPLOYMENT, World, frame_of

from model.alphabet import Link
from reference.controller import Controller
from reference.dtls import Session
from reference.frame import Frame
from reference.records import split


def send_all(world: World, *pairs: tuple[int, int]) -> None:
    """CPUs ask at the same moment, before any frame moves."""
    for source, target in pairs:
        world.nodes[source].receive(Link.CPU, Frame(target, source, b"%d" % source).encode(), world.now)
    world.settle()


class Attacker:
    """Someone on the radio who can echo cookies but has no key."""

    def __init__(self, world: World, node: int, claims: int) -> None:
        self.world, self.node, self.claims = world, node, claims
        world.judge = self._listen
        self.heard: list[Frame] = []
        self._client = Controller.from_credentials(claims, DEPLOYMENT.credentials(3), b"attacker %d" % claims)

    def _listen(self, _medium: str, frame: Frame) -> bool:
        self.heard.append(frame)
        return True

    def hello(self) -> None:
        """ClientHello and, on the HelloVerifyRequest, ClientHello with cookie; then silence."""
        self._client.receive(Link.CPU, Frame(self.node, self.claims, b"").encode(), self.world.now)
        for _ in range(2):
            for _, data in self._client.outgoing():
                if frame_of(data).payload[13:14] == b"\x01":
                    self.world.inject(self.node, Link.RADIO, data)
            for frame in self.heard:
                if frame.target == self.claims and frame.payload[13:14] == b"\x03":
                    self._client.receive(Link.RADIO, frame.encode(), self.world.now)
            self.heard.clear()
        self._client = Controller.from_credentials(
            self.claims, DEPLOYMENT.credentials(3), b"again" + self._client._drbg.draw(16)
        )


def test_glare_delivers_both_at_once() -> None:
    world = World.of(3, 4)
    send_all(world, (3, 4), (4, 3))
    assert world.messages(4) == [(3, b"3")]
    assert world.messages(3) == [(4, b"4")]
    assert world.now == 0
    assert world.next_deadline() is None


def test_ring_of_three_resolves() -> None:
    world = World.of(3, 4, 5)
    send_all(world, (3, 4), (4, 5), (5, 3))
    world.run()
    assert [world.messages(n) for n in (3, 4, 5)] == [[(5, b"5")], [(3, b"3")], [(4, b"4")]]
    assert world.now <= 28_000
    assert world.states() == ["IDLE"] * 3


def test_no_yield_to_a_higher_id() -> None:
    world = World.of(4)
    world.cpu(4, 3, b"to an absent peer")
    Attacker(world, 4, 5).hello()
    assert [f.target for _, _, f in world.sent] == [3]
    assert world.states() == ["SENDING_MESSAGE"]


def test_yielding_is_bounded() -> None:
    world = World.of(5)
    world.cpu(5, 6, b"mine")
    attacker = Attacker(world, 5, 4)
    world.run(until=1_000)
    attacker.hello()
    node = world.nodes[5]
    assert node.state == "RECEIVING_MESSAGE"
    assert node.deadline() == 8_000
    before = len(world.sent)
    world.run(until=8_000)
    assert node.state == "SENDING_MESSAGE"
    assert [f.target for _, _, f in world.sent[before:]] == [6], "abandoned without a word, own hello again"
    assert node.deadline() == 15_000
    attacker.hello()
    assert node.state == "SENDING_MESSAGE", "not again for this message"
    assert world.sent[-1][2].payload[13] == 3, "but a HelloVerifyRequest is stateless"


def test_served_session_that_authenticated_renews_the_right_to_yield() -> None:
    world = World.of(3, 5)
    world.cpu(5, 6, b"mine")
    for _ in range(3):
        world.cpu(3, 5, b"lower id")
    assert world.messages(5) == [(3, b"lower id")] * 3
    assert world.states() == ["IDLE", "SENDING_MESSAGE"]


def test_no_yield_once_flight_4_has_come() -> None:
    world = World.of(3, 4, 5)
    world.judge = lambda _medium, frame: frame.payload[0] != 20  # flight 6 is lost
    world.cpu(4, 5, b"mine")
    assert world.nodes[4].state == "SENDING_MESSAGE"
    world.cpu(3, 4, b"lower id")
    assert not [f for _, _, f in world.sent if f.source == 4 and f.target == 3]


CPU_FRAMES = {
    "message": Frame(6, 4, b"\x04\x00\x00\x00"),
    "request": Frame(1, 4, b"\x04\x00\x00\x00"),
    "broadcast": Frame(0, 4, b"\x04\x00\x00\x00"),
    "oversize": Frame(6, 4, bytes(16_385)),
    "oversize for the FAA": Frame(2, 4, bytes(16_385)),
}
"""Frames of the CPU of SED 4; those after the request are dropped."""


def check_that_it_went(world: World, frame: Frame, before: int) -> None:
    dropped = frame.target == 0 or len(frame.payload) > 16_384
    assert world.states() == ["SENDING_MESSAGE" if frame.target == 6 and not dropped else "IDLE"]
    went = {f.target for _, _, f in world.sent[before:] if f.source == 4}
    assert went == (set() if dropped else {frame.target}), "without a word to 5"
    assert world.nodes[4].registered == (frame.target == 1)


@pytest.mark.parametrize("frame", CPU_FRAMES.values(), ids=CPU_FRAMES)
def test_cpu_waits_one_period_for_an_unproved_peer(frame: Frame) -> None:
    world = World.of(4)
    Attacker(world, 4, 5).hello()
    before = len(world.sent)
    world.run(until=1_000)
    world.inject(4, Link.CPU, frame.encode())
    world.run(until=6_999)
    assert world.states() == ["RECEIVING_MESSAGE"]
    assert world.sent[before:] == []
    world.run(until=7_000)
    check_that_it_went(world, frame, before)


@pytest.mark.parametrize("frame", CPU_FRAMES.values(), ids=CPU_FRAMES)
def test_cpu_pre_empts_at_once_after_a_period_without_progress(frame: Frame) -> None:
    world = World.of(4)
    Attacker(world, 4, 5).hello()
    world.run(until=7_000)
    assert world.states() == ["RECEIVING_MESSAGE"]
    before = len(world.sent)
    world.inject(4, Link.CPU, frame.encode())
    check_that_it_went(world, frame, before)


def test_part_of_a_cpu_frame_is_not_waited_for() -> None:
    world = World.of(4)
    Attacker(world, 4, 5).hello()
    before = len(world.sent)
    whole = CPU_FRAMES["message"].encode()
    world.inject(4, Link.CPU, whole[:-1])
    world.run(until=7_000)
    assert {f.target for _, _, f in world.sent[before:]} == {5}, "flight 4 again"
    world.inject(4, Link.CPU, whole[-1:])
    assert world.states() == ["SENDING_MESSAGE"]


def test_a_peer_that_starts_over_again_and_again_holds_the_cpu_for_one_period() -> None:
    world = World.of(4)
    attacker = Attacker(world, 4, 5)
    attacker.hello()
    world.cpu(4, 6, b"waits")
    world.run(until=6_000)
    attacker.hello()
    assert world.nodes[4].deadline() == 7_000
    before = len(world.sent)
    world.run(until=7_000)
    assert [f.target for _, _, f in world.sent[before:]] == [6]


@pytest.mark.parametrize("target", [3, 5])
def test_a_cpu_that_asks_during_an_honest_handshake_destroys_nothing(target: int) -> None:
    """Decision 0007: 4 has sent flight 4 to 3 when its own CPU has a message, for 3 or for another."""
    world = World.of(3, 4, 5)
    kept: list[Frame] = []

    def judge(_medium: str, frame: Frame) -> bool:
        flight_5 = frame.source == 3 and frame.payload[13] == 11 and not kept
        if flight_5:
            kept.append(frame)
        return not flight_5

    world.judge = judge
    world.cpu(3, 4, b"first")
    assert world.states() == ["SENDING_MESSAGE", "RECEIVING_MESSAGE", "IDLE"]
    world.cpu(4, target, b"second")
    assert world.states() == ["SENDING_MESSAGE", "RECEIVING_MESSAGE", "IDLE"]
    world.now = 100
    world.inject(4, Link.RADIO, kept[0].encode())
    assert world.messages(4) == [(3, b"first")]
    assert world.messages(target) == [(4, b"second")]
    assert world.next_deadline() is None


def test_put_aside_message_goes_before_the_frame_that_waits() -> None:
    world = World.of(5)
    world.cpu(5, 6, b"first")
    attacker = Attacker(world, 5, 4)
    attacker.hello()
    before = len(world.sent)
    world.cpu(5, 7, b"second")
    assert world.sent[before:] == [], "a service that is bounded is not pre-empted"
    world.run(until=7_000)
    assert [f.target for _, _, f in world.sent[before:]] == [6]
    attacker.hello()
    assert world.states() == ["SENDING_MESSAGE"], "the right to yield was used up"
    world.run(until=172_000)
    assert [f.target for _, _, f in world.sent][-1] == 7


def test_replacement_needs_a_retransmission_first() -> None:
    world = World.of(3, 4)
    Attacker(world, 4, 6).hello()
    world.cpu(3, 4, b"honest")
    assert world.messages(4) == []
    assert [f.payload[13] for _, _, f in world.sent if f.target == 3] == [3], "only a HelloVerifyRequest"
    world.run(until=7_000)
    world.run(until=21_000)
    assert world.messages(4) == [(3, b"honest")]


def test_peer_that_starts_over_is_served_at_once() -> None:
    world = World.of(4)
    attacker = Attacker(world, 4, 6)
    attacker.hello()
    world.run(until=3_000)
    attacker.hello()
    assert world.nodes[4].deadline() == 10_000


def test_repeated_flight_3_is_answered_and_the_timer_runs_on() -> None:
    world = World.of(3, 4)
    kept: list[Frame] = []

    def judge(_medium: str, frame: Frame) -> bool:
        if frame.source == 3 and frame.payload[13] == 1:
            kept.append(frame)
        return frame.payload[13] in (1, 3) and world.now == 0

    world.judge = judge
    world.cpu(3, 4, b"message")
    world.run(until=7_000)
    assert world.nodes[4].deadline() == 21_000
    world.run(until=10_000)
    before = len(world.sent)
    world.inject(4, Link.RADIO, kept[1].encode())
    assert world.sent[before:] == [], "the very same record is a replay"
    payload = bytearray(kept[1].payload)
    payload[10] += 1  # the record's sequence number
    world.inject(4, Link.RADIO, Frame(4, 3, bytes(payload)).encode())
    assert {f.payload[13] for _, _, f in world.sent[before:]} == {2}
    assert world.nodes[4].deadline() == 21_000


def test_forged_repeats_hold_no_controller() -> None:
    """Decision 0005: whatever is repeated, and however often, a handshake ends when its 165 s are over."""
    world = World.of(3, 4)
    kept: list[Frame] = []

    def judge(_medium: str, frame: Frame) -> bool:
        if frame.source == 3 and frame.payload[13] == 1:
            kept.append(frame)
        return frame.payload[13] in (1, 3) and world.now == 0

    world.judge = judge
    world.cpu(3, 4, b"message")
    for forgery in range(1, 34):
        world.run(until=5_000 * forgery - 1)
        assert world.nodes[4].state == "RECEIVING_MESSAGE"
        payload = bytearray(kept[1].payload)
        payload[10] += forgery
        world.inject(4, Link.RADIO, Frame(4, 3, bytes(payload)).encode())
    world.run(until=165_000)
    assert world.nodes[4].state == "IDLE"


def test_a_client_answers_one_hello_verify_request() -> None:
    world = World.of(3, 4)
    kept: list[Frame] = []

    def judge(_medium: str, frame: Frame) -> bool:
        if frame.payload[13] == 3:
            kept.append(frame)
        return frame.payload[13] in (1, 3) and len(kept) < 2

    world.judge = judge
    world.cpu(3, 4, b"message")
    before = len(world.sent)
    for message_seq in (0, 1, 2):
        payload = bytearray(kept[0].payload)
        payload[10] += 1 + message_seq
        payload[18] = message_seq
        world.inject(3, Link.RADIO, Frame(3, 4, bytes(payload)).encode())
    assert world.sent[before:] == []


def test_hello_without_cookie_leaves_nothing() -> None:
    world = World.of(3, 4)
    world.judge = lambda _medium, frame: frame.source == 3
    world.cpu(3, 4, b"message")
    hello, verify = world.sent[0][2], world.sent[1][2]
    assert world.nodes[4].state == "IDLE"
    assert world.nodes[4].deadline() is None
    assert [r.seq for r in split(verify.payload)] == [r.seq for r in split(hello.payload)]


def test_cookie_of_another_source_is_worth_nothing() -> None:
    world = World.of(3, 4)
    hellos: list[Frame] = []

    def judge(_medium: str, frame: Frame) -> bool:
        if frame.source == 3 and frame.payload[13] == 1:
            hellos.append(frame)
        return True

    world.judge = judge
    world.cpu(3, 4, b"message")
    world.inject(4, Link.RADIO, Frame(4, 5, hellos[1].payload).encode())
    assert world.nodes[4].state == "IDLE"
    assert world.sent[-1][2].target == 5
    assert world.sent[-1][2].payload[13] == 3


def test_faa_frames_pass_at_any_time_but_not_behind_a_waiting_frame() -> None:
    world = World.of(3)
    world.cpu(3, 4, b"absent")
    faa = Frame(2, 3, bytes(16_384))
    world.inject(3, Link.CPU, faa.encode())
    assert world.sent[-1][2] == faa
    world.cpu(3, 5, b"waits")
    world.inject(3, Link.CPU, faa.encode())
    assert world.sent[-1][2] == faa
    assert len(world.sent) == 2
    for target in (3, 0):
        world.inject(3, Link.RADIO, Frame(target, 2, b"in").encode())
    world.inject(3, Link.RADIO, Frame(9, 2, b"for another").encode())
    assert world.messages(3) == [(2, b"in"), (2, b"in")]
    world.run(until=165_000)
    assert [f.target for _, _, f in world.sent][-3:] == [4, 5, 2]


def test_cpu_frame_for_broadcast_or_own_id_is_dropped() -> None:
    world = World.of(3)
    world.cpu(3, 0, b"broadcast")
    world.cpu(3, 3, b"self")
    assert world.sent == []


def test_what_is_dropped_is_counted() -> None:
    world = World.of(3)
    world.cpu(3, 0, b"broadcast")
    world.inject(3, Link.CPU, b"junk" + Frame(4, 3, bytes(16_385)).encode())
    world.inject(3, Link.RADIO, Frame(3, 4, bytes(1_001)).encode())
    world.inject(3, Link.RADIO, Frame(3, 4, b"\x17\xfe\xfd" + bytes(10)).encode())
    world.inject(3, Link.SSS, Frame(3, 1, b"\x16\xfe\xfd" + bytes(9) + b"\x01\x01").encode())
    world.inject(3, Link.RADIO, Frame(3, 4, b"\x16\xfe\xfd" + bytes(9) + b"\x01\x01").encode())
    counts = {"cpu-other": 1, "hello": 1, "record": 2, "start": 0, "oversize": 2, "skipped": 4}
    assert world.nodes[3].counters == counts


def test_frames_of_others_change_nothing() -> None:
    world = World.of(3, 4)
    world.judge = lambda _medium, frame: not (frame.source == 3 and frame.payload[0] in (21, 23))
    world.cpu(3, 4, b"message")
    assert world.states() == ["IDLE", "RECEIVING_MESSAGE"]
    frames = [f.payload for _, _, f in world.sent]
    before, deadline = len(world.sent), world.nodes[4].deadline()
    world.now = 1
    for payload in frames:
        for source in (0, 1, 4, 5):
            world.nodes[4].receive(Link.RADIO, Frame(4, source, payload).encode(), world.now)
        world.nodes[4].receive(Link.RADIO, Frame(0, 3, payload).encode(), world.now)
        world.nodes[4].receive(Link.SSS, Frame(4, 1, payload).encode(), world.now)
    world.settle()
    assert len(world.sent) == before
    assert world.nodes[4].deadline() == deadline


@pytest.mark.parametrize("source", [0, 1, 4])
def test_only_other_seds_may_say_hello(source: int) -> None:
    world = World.of(3, 4)
    world.judge = lambda _medium, _frame: False
    world.cpu(3, 4, b"message")
    hello = world.sent[-1][2].payload
    world.inject(4, Link.RADIO, Frame(4, source, hello).encode())
    assert len(world.sent) == 1
    world.inject(4, Link.RADIO, Frame(4, 3, hello).encode())
    assert len(world.sent) == 2


def test_datagram_beyond_the_mtu_is_dropped() -> None:
    world = World.of(3, 4)
    world.judge = lambda _medium, _frame: False
    world.cpu(3, 4, b"message")
    hello = world.sent[-1][2].payload
    world.inject(4, Link.RADIO, Frame(4, 3, hello + bytes(1_001 - len(hello))).encode())
    assert len(world.sent) == 1
    world.inject(4, Link.RADIO, Frame(4, 3, hello + bytes(1_000 - len(hello))).encode())
    assert len(world.sent) == 2


def test_oversize_cpu_frame_waits_while_busy() -> None:
    world = World.of(3)
    world.cpu(3, 4, b"absent")
    world.inject(3, Link.CPU, Frame(4, 3, bytes(16_385)).encode() + Frame(2, 3, b"behind").encode())
    assert [f.target for _, _, f in world.sent] == [4]
    world.run()
    assert world.sent[-1][2] == Frame(2, 3, b"behind")
    assert world.now == 165_000


def test_start_that_fails_returns_to_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.of(3, 4)

    def broken(*_arguments: object, **_named: object) -> Session:
        raise MemoryError

    monkeypatch.setattr("reference.controller.Session", broken)
    world.cpu(3, 4, b"lost")
    assert world.request(3, 0) == -1
    assert world.nodes[3].counters["start"] == 2
    assert world.states() == ["IDLE", "IDLE"]
    monkeypatch.undo()
    world.cpu(3, 4, b"next")
    assert world.messages(4) == [(3, b"next")]
