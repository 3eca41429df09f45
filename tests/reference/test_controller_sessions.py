"""Sessions between controllers as they should go, and as lost frames, silence and gaps make them go."""

import pytest
from memory_world import DEPLOYMENT, World, frame_of

from model.alphabet import Link
from reference.controller import Controller
from reference.frame import Frame


def kind(frame: Frame) -> tuple[int, int]:
    """Content type and handshake type (or 0) of the datagram's first record."""
    return frame.payload[0], frame.payload[13] if frame.payload[0] == 22 and frame.payload[4] == 0 else 0


def is_flight(number: int, frame: Frame, client: int) -> bool:
    from_client, (content, message) = frame.source == client, kind(frame)
    cookie_hello = len(frame.payload) > 120
    return {
        1: from_client and (content, message) == (22, 1) and not cookie_hello,
        2: not from_client and (content, message) == (22, 3),
        3: from_client and (content, message) == (22, 1) and cookie_hello,
        4: not from_client and (content, message) == (22, 2),
        5: from_client and (content, message) == (22, 11),
        6: not from_client and content == 20,
    }[number]


@pytest.mark.parametrize("size", [0, 1, 16, 963, 964, 16_384])
def test_message_arrives_byte_for_byte(size: int) -> None:
    world = World.of(3, 4)
    message = bytes(i * 7 & 0xFF for i in range(size))
    world.cpu(3, 4, message)
    assert world.messages(4) == [(3, message)]
    assert world.messages(3) == []
    assert world.states() == ["IDLE", "IDLE"]
    assert world.next_deadline() is None
    data = [f for _, _, f in world.sent if f.payload[0] == 23]
    assert len(data) == -(-size // 963)
    assert max((len(f.payload) for _, _, f in world.sent)) <= 1000


def test_message_too_long_for_the_bus_is_consumed_whole() -> None:
    world = World.of(3, 4)
    world.cpu(3, 4, bytes(16_385))
    assert world.sent == []
    world.cpu(3, 4, b"next")
    assert world.messages(4) == [(3, b"next")]


@pytest.mark.parametrize("number", range(1, 7))
def test_each_lost_flight_is_repeated_after_7_seconds(number: int) -> None:
    world = World.of(3, 4)
    lost: list[int] = []

    def judge(_medium: str, frame: Frame) -> bool:
        if not lost and is_flight(number, frame, 3):
            lost.append(world.now)
            return False
        return True

    world.judge = judge
    world.cpu(3, 4, b"message")
    assert lost == [0]
    assert world.messages(4) == []
    world.run()
    assert world.messages(4) == [(3, b"message")]
    assert world.now == 7_000
    assert world.states() == ["IDLE", "IDLE"]


def test_retransmissions_of_a_hello_without_answer() -> None:
    world = World.of(3)
    world.cpu(3, 4, b"nobody there")
    world.run()
    assert [t for t, _, _ in world.sent] == [0, 7_000, 21_000, 49_000, 105_000]
    assert len({f.payload[13:] for _, _, f in world.sent}) == 1
    assert world.now == 165_000
    assert world.states() == ["IDLE"]


def test_server_repeats_flight_4_and_gives_up() -> None:
    world = World.of(3, 4)
    world.judge = lambda _medium, frame: not is_flight(4, frame, 3) and not (frame.source == 3 and world.now > 0)
    world.cpu(3, 4, b"message")
    server = world.nodes[4]
    assert server.state == "RECEIVING_MESSAGE"
    assert server.deadline() == 7_000
    world.run()
    # After the second timeout Mbed TLS fragments a flight to 508 bytes, hence several frames at a time.
    assert sorted({t for t, _, f in world.sent if f.source == 4 and t > 0}) == [7_000, 21_000, 49_000, 105_000]
    assert world.now == 165_000
    assert world.states() == ["IDLE", "IDLE"]


def test_repeated_flight_5_is_answered_and_the_message_still_arrives() -> None:
    world = World.of(3, 4)
    losses = iter([False, False])
    world.judge = lambda _medium, frame: next(losses, True) if is_flight(6, frame, 3) else True
    world.cpu(3, 4, b"x" * 2_000)
    world.run()
    assert world.messages(4) == [(3, b"x" * 2_000)]
    assert world.now == 21_000


def test_silent_sender_is_closed_after_60_seconds() -> None:
    world = World.of(3, 4)
    world.judge = lambda _medium, frame: not (frame.source == 3 and frame.payload[0] in (21, 23))
    world.cpu(3, 4, b"message")
    assert world.states() == ["IDLE", "RECEIVING_MESSAGE"]
    assert world.nodes[4].deadline() == 60_000
    before = len(world.sent)
    world.run()
    assert world.now == 60_000
    assert [(f.source, kind(f)[0]) for _, _, f in world.sent[before:]] == [(4, 21)]
    assert world.states() == ["IDLE", "IDLE"]
    assert world.messages(4) == []


def test_progress_rearms_the_idle_timer() -> None:
    world = World.of(3, 4)
    kept: list[Frame] = []

    def judge(_medium: str, frame: Frame) -> bool:
        if frame.source == 3 and frame.payload[0] in (21, 23):
            kept.append(frame)
            return False
        return True

    world.judge = judge
    world.cpu(3, 4, b"a" * 963 + b"b")
    for step, frame in enumerate(kept):
        world.run(until=50_000 * (step + 1))
        world.inject(4, Link.RADIO, frame.encode())
    assert world.messages(4) == [(3, b"a" * 963 + b"b")]


@pytest.mark.parametrize("index", range(4))
def test_gap_closes_at_once_and_delivers_nothing(index: int) -> None:
    world = World.of(3, 4)
    seen = [0]

    def judge(_medium: str, frame: Frame) -> bool:
        if frame.source == 3 and frame.payload[0] == 23:
            seen[0] += 1
            return seen[0] != index + 1
        return True

    world.judge = judge
    world.cpu(3, 4, bytes(3_000))
    assert world.messages(4) == []
    assert world.states() == ["IDLE", "IDLE"]
    assert [f.payload[0] for _, _, f in world.sent if f.source == 4][-1] == 21
    world.judge = lambda _medium, _frame: True
    world.cpu(3, 4, b"again")
    assert world.messages(4) == [(3, b"again")]


def test_swapped_records_are_a_gap() -> None:
    world = World.of(3, 4)
    kept: list[Frame] = []

    def judge(_medium: str, frame: Frame) -> bool:
        if frame.source == 3 and frame.payload[0] in (21, 23):
            kept.append(frame)
            return False
        return True

    world.judge = judge
    world.cpu(3, 4, bytes(1_500))
    for frame in (kept[1], kept[0], kept[2]):
        world.inject(4, Link.RADIO, frame.encode())
    assert world.messages(4) == []
    assert world.states() == ["IDLE", "IDLE"]


def test_duplicates_and_replays_change_nothing() -> None:
    world = World.of(3, 4)

    def judge(_medium: str, frame: Frame) -> bool:
        for node in world.nodes.values():
            node.receive(Link.RADIO, frame.encode(), world.now)
        return True

    world.judge = judge
    world.cpu(3, 4, bytes(2_000))
    world.run()
    assert world.messages(4) == [(3, bytes(2_000))]
    replay = [f for _, _, f in world.sent]
    world.judge = lambda _medium, _frame: True
    for frame in replay:
        world.inject(4, Link.RADIO, frame.encode())
    world.run()
    assert world.messages(4) == [(3, bytes(2_000))]
    assert world.states() == ["IDLE", "IDLE"]


def test_finished_that_overtakes_its_flight_is_held() -> None:
    world = World.of(3, 4)
    held: list[Frame] = []

    def judge(_medium: str, frame: Frame) -> bool:
        if not held and is_flight(5, frame, 3):
            held.append(frame)
            return False
        return True

    world.judge = judge
    world.cpu(3, 4, b"message")
    payload = held[0].payload
    cut = payload.rindex(b"\x16\xfe\xfd\x00\x01")
    junk = payload[cut:-1] + bytes([payload[-1] ^ 1])
    for part in (junk, payload[cut:], payload[:cut]):
        world.inject(4, Link.RADIO, Frame(4, 3, part).encode())
    assert world.messages(4) == [(3, b"message")]
    assert world.now == 0


def test_message_of_a_peer_beyond_16384_bytes_is_refused() -> None:
    world = World.of(3, 4)
    world.nodes[3]._cpu._maximum = lambda _header: 0xFFFF
    world.cpu(3, 4, bytes(16_385))
    assert world.messages(4) == []
    assert world.states() == ["IDLE", "IDLE"]


def test_same_seed_and_inputs_give_the_same_bytes() -> None:
    def run() -> tuple[list[tuple[int, str, Frame]], list[tuple[bytes, bytes]]]:
        world = World.of(3, 4)
        world.request(3, 0)
        world.request(4, 0)
        world.cpu(3, 4, b"message")
        return world.sent, [s for n in world.nodes.values() for s in n.secrets()]

    first, second = run(), run()
    assert first == second
    randoms = [s[0] for s in first[1]]
    assert len(randoms) == 4
    assert len(set(randoms)) == 3  # both ends of the last session know the same one


def test_another_boot_seed_gives_other_bytes() -> None:
    def hello(**how: bytes) -> bytes:
        image = DEPLOYMENT.image(3, how.get("boot_seed"))
        node = Controller(image, boot_entropy=how.get("boot_entropy", b""))
        node.receive(Link.CPU, Frame(4, 3, b"").encode(), 0)
        return node.outgoing()[0][1]

    assert len({hello(), hello(boot_seed=bytes(48)), hello(boot_entropy=b"power-up 2")}) == 3


def test_stream_may_come_byte_by_byte() -> None:
    def run(whole: bool) -> list[tuple[Link, bytes]]:
        node = Controller(DEPLOYMENT.image(3))
        data = b"junkS" + Frame(4, 3, b"message").encode()
        for part in [data] if whole else [data[i : i + 1] for i in range(len(data))]:
            node.receive(Link.CPU, part, 5)
        return node.outgoing()

    assert run(True) == run(False)
    assert frame_of(run(True)[0][1]).target == 4


def test_everything_that_comes_is_mixed_into_the_randomness() -> None:
    def hello(*before: tuple[Link, int]) -> bytes:
        node = Controller(DEPLOYMENT.image(3))
        for link, now in before:
            node.receive(link, Frame(3, 4, b"noise").encode(), now)
        node.receive(Link.CPU, Frame(4, 3, b"").encode(), 9)
        return node.outgoing()[0][1]

    ways = [(), ((Link.RADIO, 0),), ((Link.RADIO, 1),), ((Link.SSS, 2),), ((Link.RADIO, 0), (Link.RADIO, 0))]
    assert len({hello(*way) for way in ways}) == len(ways)


def test_what_is_due_happens_before_what_comes() -> None:
    node = Controller(DEPLOYMENT.image(3))
    node.receive(Link.CPU, Frame(4, 3, b"").encode(), 0)
    node.outgoing()
    node.receive(Link.CPU, Frame(2, 3, b"").encode(), 7_000)
    assert [frame_of(data).target for _, data in node.outgoing()] == [4, 2]


@pytest.mark.parametrize(("at", "ends"), [(13 + 12 + 34, True), (13 + 9, False)], ids=["session id", "fragment"])
def test_what_a_message_says_that_is_longer_than_it_is(at: int, ends: bool) -> None:
    """In the message it ends the handshake with one alert; a fragment that cannot be one is dropped unseen."""
    world = World.of(3, 4)
    world.judge = lambda _medium, frame: not is_flight(4, frame, 3)
    world.cpu(3, 4, b"message")
    flight = bytearray(world.sent[-1][2].payload)
    flight[at] = 0xFF
    before = len(world.sent)
    world.inject(3, Link.RADIO, Frame(3, 4, bytes(flight)).encode())
    assert [(f.source, f.payload[0]) for _, _, f in world.sent[before:]] == [(3, 21)] * ends
    assert world.nodes[3].state == ("IDLE" if ends else "SENDING_MESSAGE")
