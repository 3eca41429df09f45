"""Frames in a byte stream."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.frame import Frame, FrameReader


def read(data: bytes, maximum: int = 16_384, chunk: int = 0) -> tuple[list[Frame], FrameReader]:
    reader = FrameReader(maximum)
    frames = []
    for at in range(0, len(data), chunk or len(data) or 1):
        reader.feed(data[at : at + (chunk or len(data))])
        while frame := reader.next():
            frames.append(frame)
    return frames, reader


def test_layout() -> None:
    assert Frame(0x0102, 0x0304, b"xyz").encode() == b"SC\x02\x01\x04\x03\x03\x00xyz"


FRAME = Frame(3, 4, b"payload")


@pytest.mark.parametrize("before", [b"", b"S", b"SSS", b"C", b"SX", b"S\x00", b"XC", b"junk", b"SXC"])
def test_resynchronises(before: bytes) -> None:
    frames, reader = read(before + FRAME.encode() + b"S" + FRAME.encode(), chunk=1)
    assert frames == [FRAME, FRAME]
    assert reader.skipped == len(before) + 1


def test_oversize_is_consumed_whole_and_counted() -> None:
    inside = FRAME.encode() * 100
    for chunk in (0, 1, 7):
        frames, reader = read(Frame(3, 4, inside).encode() + FRAME.encode(), 100, chunk)
        assert frames == [FRAME]
        assert reader.oversize == 1
        assert reader.skipped == 0


def test_maximum_may_depend_on_the_header() -> None:
    reader = FrameReader(lambda header: 1 if header.source == 5 else 0)
    reader.feed(Frame(3, 4, b"x").encode() + Frame(3, 5, b"x").encode())
    assert reader.next() == Frame(3, 5, b"x")
    assert reader.next() is None


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.builds(Frame, st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=40))), st.integers(1, 9)
)
def test_what_is_written_is_read(frames: list[Frame], chunk: int) -> None:
    assert read(b"".join(f.encode() for f in frames), chunk=chunk)[0] == frames


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([b"S", b"C", b"SC", b"\x00", b"\x03\x00", b"\xff", FRAME.encode()])))
def test_any_bytes_in_any_chunks_read_alike(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert read(data, 64)[0] == read(data, 64, chunk=1)[0]
