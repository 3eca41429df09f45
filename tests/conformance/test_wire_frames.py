"""FRM-1: frames and junk, however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.wire.frames import Frame, FrameReader, Junk

# The same examples on every run, and no limit by the wall clock.
reproducible = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ids = st.integers(0, 0xFFFF)
frames = st.builds(Frame, ids, ids, st.binary(max_size=40))
magic_free = st.binary(min_size=1, max_size=12).filter(lambda b: b"SC" not in b and not b.endswith(b"S"))


def read(*chunks: bytes) -> tuple[list[Frame | Junk], bytes]:
    """What a reader finds, runs of junk joined, and what it still holds."""
    reader = FrameReader()
    found: list[Frame | Junk] = []
    for chunk in chunks:
        for item in reader.feed(chunk):
            if isinstance(item, Junk) and found and isinstance(found[-1], Junk):
                found[-1] = Junk(found[-1].data + item.data)
            else:
                found.append(item)
    return found, reader.pending


def test_a_frame_on_the_wire() -> None:
    frame = Frame(target=10, source=1, payload=b"hello")
    assert frame.encode() == b"SC\x0a\x00\x01\x00\x05\x00hello"
    assert read(frame.encode()) == ([frame], b"")


@pytest.mark.parametrize(
    ("before", "junk"),
    [(b"SS", b"SS"), (b"SX", b"SX"), (b"S\0", b"S\0"), (b"XC", b"XC"), (b"CS", b"CS"), (b"S", b"S")],
)
def test_only_s_then_c_starts_a_frame(before: bytes, junk: bytes) -> None:
    frame = Frame(3, 4, b"x")
    assert read(before + frame.encode()) == ([Junk(junk), frame], b"")


def test_a_last_s_may_yet_be_a_magic() -> None:
    assert read(b"abcS") == ([Junk(b"abc")], b"S")
    assert read(b"abcSS") == ([Junk(b"abcS")], b"S")


def test_a_partial_frame_is_pending() -> None:
    encoded = Frame(3, 4, b"payload").encode()
    for cut in range(len(encoded)):
        assert read(encoded[:cut]) == ([], encoded[:cut])


def test_a_payload_may_hold_the_magic_and_the_longest_is_65535_bytes() -> None:
    frame = Frame(0xFFFF, 0, b"SC" * 32767 + b"S")
    assert read(frame.encode()) == ([frame], b"")


@pytest.mark.parametrize("frame", [Frame(-1, 0, b""), Frame(0, 65536, b""), Frame(0, 0, bytes(65536))])
def test_what_does_not_fit_is_refused_by_name(frame: Frame) -> None:
    with pytest.raises(ValueError, match="no frame can carry"):
        frame.encode()


@reproducible
@given(st.lists(st.one_of(frames, magic_free.map(Junk))), st.data())
def test_frames_and_junk_come_back_however_chunked(sent: list[Frame | Junk], data: st.DataObject) -> None:
    stream = b"".join(s.encode() if isinstance(s, Frame) else s.data for s in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found, pending = read(*chunks)
    assert (found, pending) == read(stream)
    assert [f for f in found if isinstance(f, Frame)] == [s for s in sent if isinstance(s, Frame)]
    assert pending == b""


@reproducible
@given(st.lists(st.text("SC\0\1x", max_size=30).map(str.encode)))
def test_no_byte_is_lost_or_made_up(chunks: list[bytes]) -> None:
    found, pending = read(*chunks)
    parts = [f.encode() if isinstance(f, Frame) else f.data for f in found]
    assert b"".join(parts) + pending == b"".join(chunks)
    assert not any(b"SC" in f.data for f in found if isinstance(f, Junk))
