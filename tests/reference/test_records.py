"""Record headers and ClientHellos."""

from hypothesis import given, settings
from hypothesis import strategies as st
from memory_world import World

from reference.records import client_hello, is_client_hello, split


def hellos() -> list[bytes]:
    world = World.of(3, 4, with_sss=False)
    world.cpu(3, 4, b"")
    return [f.payload for _, _, f in world.sent if f.source == 3][:2]


def test_records_of_a_datagram() -> None:
    one = b"\x16\xfe\xfd\x00\x01\x00\x00\x00\x00\x01\x02\x00\x02ab"
    found = list(split(one + one + one[:-1]))
    assert [(r.kind, r.epoch, r.seq, r.fragment) for r in found] == [(22, 1, 258, b"ab")] * 2


def test_client_hellos() -> None:
    first, second = (client_hello(next(split(h))) for h in hellos())
    assert first is not None
    assert second is not None
    assert first.random == second.random
    assert (len(first.cookie), len(second.cookie)) == (0, 32)


def test_damaged_hellos_are_none() -> None:
    whole = hellos()[1]
    for at in (13 + 1, 13 + 8, 13 + 11, 13 + 12 + 34, 13 + 12 + 35):
        damaged = whole[:at] + b"\xff" + whole[at + 1 :]
        record = next(split(damaged))
        assert is_client_hello(record)
        assert client_hello(record) is None


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    for record in split(data):
        client_hello(record)
    for record in split(b"\x16\xfe\xfd\0\0\0\0\0\0\0\0" + len(data + b"\x01").to_bytes(2, "big") + b"\x01" + data):
        client_hello(record)
