"""How sessions end, as a controller tells whoever runs it; and its power switch."""

from __future__ import annotations

from memory_world import DEPLOYMENT, FOREIGN, World

from model.alphabet import Link
from reference.controller import Controller
from reference.endings import Doing, Ending, How
from reference.frame import Frame


def test_a_session_that_went_well_has_one_ending_at_each_side() -> None:
    world = World.of(3, 4)
    world.cpu(3, 4, b"hello")
    assert world.nodes[3].endings() == [Ending(Doing.SENDING, 4, How.DONE)]
    assert world.nodes[4].endings() == [Ending(Doing.RECEIVING, 3, How.DONE)]
    assert world.nodes[3].endings() == [], "they are handed out once"
    assert world.request(3, 0) == 0
    assert world.nodes[3].endings() == [Ending(Doing.ASKING, 1, How.DONE)]


def test_silence() -> None:
    world = World.of(3)
    world.cpu(3, 4, b"to nobody")
    world.run()
    assert world.nodes[3].endings() == [Ending(Doing.SENDING, 4, How.SILENCE, "the other side is silent")]
    assert world.now == 165_000


def test_silence_after_the_handshake() -> None:
    """SES-7: the client's data never come."""
    world = World.of(3, 4)
    world.judge = lambda _medium, frame: frame.payload[0] != 23 and not (frame.payload[0] == 21 and frame.payload[4])
    world.cpu(3, 4, b"hello")
    world.run()
    assert world.nodes[4].endings() == [Ending(Doing.RECEIVING, 3, How.SILENCE, "the session made no progress")]


def test_refused_and_refusing() -> None:
    world = World.of(3)
    world.nodes[4] = Controller(FOREIGN.image(4))
    world.cpu(3, 4, b"hello")
    (mine,), (its,) = world.nodes[3].endings(), world.nodes[4].endings()
    assert mine == Ending(
        Doing.SENDING, 4, How.REFUSED, "the other side's certificate is refused: of another authority"
    )
    assert its == Ending(Doing.RECEIVING, 3, How.REFUSED, "the other side sent a fatal alert")
    assert world.request(3, 1) == -1
    assert world.nodes[3].endings() == [Ending(Doing.ASKING, 1, How.REFUSED, "it did not grant the request")]


def test_a_gap() -> None:
    world = World.of(3, 4)
    data = []

    def judge(_medium: str, frame: Frame) -> bool:
        data.append(frame.payload[0] == 23)
        return not (frame.payload[0] == 23 and sum(data) == 2)

    world.judge = judge
    world.cpu(3, 4, bytes(3_000))
    assert world.nodes[4].endings() == [Ending(Doing.RECEIVING, 3, How.BROKEN, "records are missing")]
    assert world.nodes[3].endings() == [Ending(Doing.SENDING, 4, How.DONE)], "the sender cannot know"


def test_giving_way_to_the_own_cpu() -> None:
    world = World.of(3, 4)
    world.judge = lambda _medium, frame: not (frame.source == 3 and frame.payload[13] == 11)  # never 3's flight 5
    world.cpu(3, 4, b"hello")
    world.cpu(4, 5, b"of my own")
    world.run(until=7_000)
    assert world.nodes[4].endings() == [Ending(Doing.RECEIVING, 3, How.GAVE_WAY, "the own CPU has something to say")]


def test_nobody_has_to_ask() -> None:
    world = World.of(3, 4)
    for _ in range(70):
        world.cpu(3, 4, b"")
    assert len(world.nodes[3].endings()) == 64


def test_power_off_leaves_no_key() -> None:
    world = World.of(3)
    assert world.request(3, 0) == 0
    world.cpu(3, 4, b"under way")
    controller = world.nodes[3]
    sets = [controller._provisioning, controller._runtime]
    controller.switch_off()
    assert controller.deadline() is None and not controller.registered
    assert all(one is not None and not any(one.key) for one in sets)
    controller.switch_off()


def test_a_stream_that_was_pulled_out_leaves_nothing_behind() -> None:
    controller = Controller(DEPLOYMENT.image(3))
    faa = Frame(3, 2, b"to be heard").encode()
    for beginning in (faa[:12], Frame(3, 9, bytes(5_000)).encode()[:100]):  # half a frame; half of one to be dropped
        controller.receive(Link.RADIO, beginning, 0)
        controller.unplug(Link.RADIO)
        controller.receive(Link.RADIO, faa, 0)
        assert controller.outgoing() == [(Link.CPU, faa)]
