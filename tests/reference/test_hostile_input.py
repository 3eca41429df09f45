"""Whatever comes, a controller does not raise and is IDLE again within a bound (SES-7, SES-12)."""

from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_world import DEPLOYMENT, World

from model.alphabet import Link
from reference.controller import Controller, State
from reference.frame import Frame
from reference.records import split

LONGEST = 4 * 165_000 + 60_000
"""Milliseconds of one session: a handshake of four flights, each repeated to the end, and the silence after it."""


@cache
def honest() -> tuple[tuple[str, Frame], ...]:
    """What a registration of 4 and a message from 3 to 4 look like."""
    world = World.of(3, 4)
    world.cpu(3, 4, bytes(1_000))
    world.request(4, 0)
    return tuple((medium, frame) for _, medium, frame in world.sent)


def payloads() -> st.SearchStrategy[bytes]:
    whole = st.sampled_from([f.payload for _, f in honest()])
    single = st.sampled_from([r.raw for _, f in honest() for r in split(f.payload)])
    return st.one_of(
        whole,
        single,
        st.binary(max_size=60),
        st.tuples(single, st.integers(0, 80), st.binary(min_size=1, max_size=3)).map(
            lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + len(t[2]) :]
        ),
    )


def steps() -> st.SearchStrategy[list[tuple[Link, bytes, int]]]:
    ids = st.sampled_from([0, 1, 2, 3, 4, 5, 6])
    frames = st.builds(lambda t, s, p: Frame(t, s, p).encode(), st.sampled_from([4, 4, 4, 0, 1, 2, 3]), ids, payloads())
    data = st.one_of(frames, frames, frames, st.binary(max_size=30), frames.map(lambda f: f[:-1]))
    return st.lists(
        st.tuples(st.sampled_from(list(Link)), data, st.sampled_from([0, 0, 0, 1, 7_000, 60_000])), max_size=40
    )


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(steps())
def test_any_bytes_on_any_link(sequence: list[tuple[Link, bytes, int]]) -> None:
    node, now = Controller(DEPLOYMENT.image(4)), 0
    for link, data, wait in sequence:
        now += wait
        node.receive(link, data, now)
        assert node.state is not State.FATAL_ERROR
        deadline = node.deadline()
        assert (deadline is None) == (node.state is State.IDLE)
        assert deadline is None or deadline > now
    while (deadline := node.deadline()) is not None:
        node.on_time(deadline)
        assert deadline - now <= LONGEST * len(sequence), "a step starts one session at most"
    assert node.state is State.IDLE
    assert not [s for s in node.outgoing() if s[0] is Link.CPU and s[1][4:6] == b"\x03\x00"], (
        "no message is made of replays"
    )


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 900), st.integers(1, 255), st.booleans()), max_size=4))
def test_altered_frames_of_a_real_session(changes: list[tuple[int, int, int, bool]]) -> None:
    """An attacker alters or doubles frames in flight: the message arrives whole or not at all."""
    world = World.of(3, 4, with_sss=False)
    count = [0]

    def judge(_medium: str, frame: Frame) -> bool:
        index, count[0] = count[0], count[0] + 1
        keep = True
        for which, at, flip, also_original in changes:
            if which == index and at < len(frame.payload):
                altered = bytearray(frame.payload)
                altered[at] ^= flip
                for node in world.nodes.values():
                    node.receive(Link.RADIO, Frame(frame.target, frame.source, bytes(altered)).encode(), world.now)
                keep = keep and also_original
        return keep

    world.judge = judge
    world.cpu(3, 4, b"the message")
    world.run(until=10**6)
    assert world.messages(4) in ([], [(3, b"the message")])
    assert world.states() == ["IDLE", "IDLE"]
    world.judge = lambda _medium, _frame: True
    world.cpu(3, 4, b"the next")
    assert world.messages(4)[-1] == (3, b"the next")


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.integers(10, 12),
            st.one_of(
                st.binary(max_size=40),
                st.builds(lambda s, p: Frame(1, s, p).encode(), st.sampled_from([0, 1, 2, 3, 4, 9]), payloads()),
                st.builds(lambda s, p: Frame(1, s, p).encode()[:-1], st.sampled_from([3, 4, 9]), payloads()),
            ),
            st.sampled_from([0, 0, 0, 1, 7_000, 60_000]),
        ),
        max_size=25,
    )
)
def test_any_bytes_on_other_wires_of_the_sss(sequence: list[tuple[int, bytes, int]]) -> None:
    world = World.of(3)
    assert world.sss is not None
    for wire, data, wait in sequence:
        world.now += wait
        world.sss.receive(wire, data, world.now)
    world.sss.outgoing()
    assert world.request(3, 0) == 0
    assert world.sss.registered == {3}
    begun = world.now
    world.run()
    assert world.now - begun <= 225_000
    assert world.sss.deadline() is None
