"""The registration codec."""

import pytest

from reference.registration import Request, Response, ResponseReader

RESPONSE = Response(7, 0, b"ca", b"crt", b"key!")


def test_layouts() -> None:
    assert Request(0x0102, -1).encode() == b"\x02\x01\xff\xff"
    assert Request.decode(b"\x02\x01\xff\xff") == Request(0x0102, -1)
    assert RESPONSE.encode() == b"\x07\x00\x00\x00\x02\x00\x03\x00\x04\x00cacrtkey!"
    assert Response(7, -1).encode() == b"\x07\x00\xff\xff" + bytes(6)


@pytest.mark.parametrize("size", [0, 3, 5])
def test_request_has_four_bytes(size: int) -> None:
    assert Request.decode(bytes(size)) is None


def verdicts(data: bytes, op: int = 0, chunk: int = 1) -> list[Response | bool]:
    reader = ResponseReader(Request(7, op), 7)
    said = []
    for at in range(0, len(data), chunk):
        said.append(reader.feed(data[at : at + chunk]))
        if said[-1] is not True:
            break
    return said


@pytest.mark.parametrize("chunk", [1, 3, 10, 100])
def test_good_response(chunk: int) -> None:
    said = verdicts(RESPONSE.encode(), chunk=chunk)
    assert said[-1] == RESPONSE
    assert set(said[:-1]) <= {True}


def test_good_deregistration() -> None:
    assert verdicts(Response(7, 1).encode(), op=1)[-1] == Response(7, 1)


@pytest.mark.parametrize(
    ("data", "op", "told_after"),
    [
        (b"\x08\x00", 0, 2),
        (b"\x07\x01", 0, 2),
        (b"\x07\x00\xff\xff", 0, 4),
        (b"\x07\x00\x01\x00", 0, 4),
        (b"\x07\x00\x00\x00", 1, 4),
        (b"\x07", 2, 1),
        (b"\x07\x00\x01\x00\x00\x00\x00\x00\x01\x00", 1, 10),
        (b"\x07\x00\x00\x00\xff\xff\x00\x00\x00\x00", 0, 10),
        (RESPONSE.encode() + b"!", 0, 0),
    ],
)
def test_bad_response_is_told_as_soon_as_possible(data: bytes, op: int, told_after: int) -> None:
    if told_after == 0:
        assert verdicts(data, op, chunk=len(data)) == [False]
    else:
        assert verdicts(data, op) == [True] * (told_after - 1) + [False]


def test_wipe() -> None:
    reader = ResponseReader(Request(7, 0), 7)
    reader.feed(RESPONSE.encode()[:-1])
    reader.wipe()
    assert not any(reader._buffer)
