"""The reader of captures: both formats, both byte orders, and what comes of damaged files."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import threading
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.capture import CapturedFrame, Context, Entry, KeyLogText, Problem, read_capture, write_capture
from conformance.capture.pcapng import MAX_INTERFACES
from model.alphabet import Link

reproducible = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))

DATA = b"\x01\x01\x0a\x00SC\x0a\x00\x01\x00\x03\x00abc"
"""A record: on the SSS wire, towards the controller of 10."""
FRAME = CapturedFrame(0, Link.SSS, True, 10, DATA[4:])
SECTION = 0x0A0D0D0A


def read(data: bytes, **options: int) -> list[Entry]:
    return list(read_capture(io.BytesIO(data), **options))


def frames(entries: Iterable[Entry]) -> list[CapturedFrame]:
    return [entry for entry in entries if isinstance(entry, CapturedFrame)]


def problems(entries: Iterable[Entry]) -> list[Problem]:
    return [entry for entry in entries if isinstance(entry, Problem)]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class Pcapng:
    """Makes blocks in a byte order."""

    def __init__(self, order: str = "<") -> None:
        self.order = order

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self.order + layout, *values)

    def block(self, kind: int, body: bytes, length: int | None = None) -> bytes:
        size = self.pack("I", len(body) + 12 if length is None else length)
        return self.pack("I", kind) + size + body + size

    def option(self, code: int, value: bytes) -> bytes:
        return self.pack("HH", code, len(value)) + padded(value)

    def section(self, *options: bytes, major: int = 1) -> bytes:
        return self.block(SECTION, self.pack("IHHq", 0x1A2B3C4D, major, 0, -1) + b"".join(options))

    def interface(self, *options: bytes, link_type: int = 147, snap: int = 0) -> bytes:
        return self.block(1, self.pack("HHI", link_type, 0, snap) + b"".join(options))

    def packet(
        self, stamp: int = 0, data: bytes = DATA, *options: bytes, interface: int = 0, length: int = -1
    ) -> bytes:
        length = len(data) if length < 0 else length
        head = self.pack("IIIII", interface, stamp >> 32, stamp & 0xFFFFFFFF, len(data), length)
        return self.block(6, head + padded(data) + b"".join(options))

    def file(self, *blocks: bytes) -> bytes:
        return self.section() + self.interface() + b"".join(blocks)


LE, BE = Pcapng("<"), Pcapng(">")


def pcap(*records: bytes, order: str = "<", magic: int = 0xA1B2C3D4, link_type: int = 147, minor: int = 4) -> bytes:
    return struct.pack(order + "IHHiIII", magic, 2, minor, 0, 0, 65535, link_type) + b"".join(records)


def record(data: bytes = DATA, seconds: int = 0, fraction: int = 0, order: str = "<", **lengths: int) -> bytes:
    captured, length = lengths.get("captured", len(data)), lengths.get("length", len(data))
    return struct.pack(order + "IIII", seconds, fraction, captured, length) + data


# --- what is right


def test_what_was_written_is_read(tmp_path: Path) -> None:
    context = Context(virtual=True, boots={10: (0,)}, keys={10: b"key"})
    given_frames = [
        replace(FRAME, time_us=n, link=link, towards=towards, frame=bytes(n), comment=comment)
        for n, (link, towards, comment) in enumerate(
            [(Link.RADIO, False, ""), (Link.SSS, True, "step 1: ClientHello"), (Link.CPU, True, "é\nü")]
        )
    ]
    write_capture(tmp_path / "a.pcapng", given_frames, [(bytes(32), bytes(48))], context)
    got = list(read_capture(tmp_path / "a.pcapng"))
    assert got[0] == context
    assert isinstance(got[1], KeyLogText) and got[1].text == f"CLIENT_RANDOM {'00' * 32} {'00' * 48}\n"
    assert "00" * 48 not in repr(got[1])
    assert [replace(f, number=0, offset=0) for f in frames(got)] == given_frames
    assert [f.number for f in frames(got)] == [1, 2, 3]
    content = (tmp_path / "a.pcapng").read_bytes()
    assert all(content[f.offset : f.offset + 4] == b"\6\0\0\0" for f in frames(got))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "fraction"), [(0xA1B2C3D4, 5), (0xA1B23C4D, 5999)])
def test_pcap_in_both_orders_and_resolutions(order: str, magic: int, fraction: int) -> None:
    data = pcap(record(seconds=2, fraction=fraction, order=order), record(order=order), order=order, magic=magic)
    assert read(data) == [
        replace(FRAME, time_us=2_000_005, number=1, offset=24),
        replace(FRAME, number=2, offset=24 + 16 + len(DATA)),
    ]


@pytest.mark.parametrize("make", [LE, BE], ids=["little", "big"])
def test_every_kind_of_packet_block(make: Pcapng) -> None:
    simple = make.block(3, make.pack("I", len(DATA)) + padded(DATA))
    obsolete = make.block(2, make.pack("HHIIII", 0, 9, 0, 7, len(DATA), len(DATA)) + padded(DATA))
    others = [make.block(kind, make.pack("I", 1)) for kind in (4, 5, 0xBAD, 0x40000BAD, 77)]
    got = read(make.file(make.packet(5), simple, *others, obsolete))
    assert [(f.time_us, f.number) for f in frames(got)] == [(5, 1), (5, 2), (7, 3)]  # a simple one has no time
    assert len(got) == 3 and {f.frame for f in frames(got)} == {FRAME.frame}


@pytest.mark.parametrize(
    ("resolution", "offset", "stamp", "time_us"),
    [(3, 0, 7, 7000), (9, 0, 7999, 7), (6, 2, 5, 2_000_005), (0, 0, 3, 3_000_000), (0x80 | 10, 0, 512, 500_000)],
)
def test_time_stamps_of_any_resolution(resolution: int, offset: int, stamp: int, time_us: int) -> None:
    options = [BE.option(9, bytes([resolution])), BE.option(14, BE.pack("q", offset)), BE.option(0, b"")]
    (frame,) = frames(read(BE.section() + BE.interface(*options) + BE.packet(stamp)))
    assert frame.time_us == time_us


def test_times_out_of_range_are_said() -> None:
    early = BE.section() + BE.interface(BE.option(14, BE.pack("q", -5))) + BE.packet(1)
    late = BE.section() + BE.interface(BE.option(9, b"\0")) + BE.packet(2**64 - 1)
    for data in (early, late):
        problem, frame = read(data)
        assert isinstance(problem, Problem) and problem.number == 1 and "out of range" in problem.what
        assert isinstance(frame, CapturedFrame) and frame.time_us == 0


def test_sections_have_their_own_order_and_interfaces() -> None:
    data = LE.file(LE.packet(1)) + BE.file(BE.packet(2)) + LE.section() + LE.packet(3)
    got = read(data)
    assert [(f.time_us, f.number) for f in frames(got)] == [(1, 1), (2, 2)]
    assert [(p.number, p.what) for p in problems(got)] == [(3, "a record of interface 0, which is not described")]


def test_comments() -> None:
    notes = [LE.option(2, b"\1\0\0\0"), LE.option(1, b"one"), LE.option(1, b"t\xffwo"), LE.option(0, b"")]
    got = read(LE.section(LE.option(1, b"of the section")) + LE.interface() + LE.packet(0, DATA, *notes))
    assert [f.comment for f in frames(got)] == ["one\nt\ufffdwo"]
    assert len(got) == 1  # the section's comment is no Context


def test_secrets_stand_where_they_are_in_the_file() -> None:
    def secrets(text: bytes, kind: int = 0x544C534B) -> bytes:
        return LE.block(10, LE.pack("II", kind, len(text)) + padded(text))

    got = read(LE.file(LE.packet(), secrets(b"later\n"), secrets(b"other", kind=0x57474B4C), LE.packet()))
    assert [type(entry) for entry in got] == [CapturedFrame, KeyLogText, CapturedFrame]
    assert isinstance(got[1], KeyLogText) and got[1].text == "later\n"


@pytest.mark.parametrize("data", [LE.file(LE.packet(), LE.packet(1)), pcap(record(), record(seconds=1))])
def test_gzip(data: bytes) -> None:
    plain = read(data)
    assert len(frames(plain)) == 2
    assert read(gzip.compress(data)) == plain
    half = len(data) // 2
    assert read(gzip.compress(data[:half]) + gzip.compress(data[half:])) == plain


def test_damaged_gzip() -> None:
    data = LE.file(*(LE.packet(n, DATA + random.Random(n).randbytes(500)) for n in range(20)))
    packed = gzip.compress(data)
    cut = read(packed[:-9])
    assert len(frames(cut)) == 20 and problems(cut)[-1].what == "the gzip'd data ends early"
    broken = read(packed[:-8] + b"\1" * 8)
    assert len(frames(broken)) >= 19 and "damaged" in problems(broken)[-1].what
    (early,) = read(b"\x1f\x8bnothing")
    assert isinstance(early, Problem) and early.fatal


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pcap(record()))))
    assert len(frames(read_capture("-"))) == 1


@pytest.mark.parametrize("data", [LE.file(LE.packet(), LE.packet(1)), pcap(record(), record(seconds=1))])
def test_a_growing_pipe_is_followed(data: bytes) -> None:
    """The first frame comes while the second is half written."""
    out, into = os.pipe()
    with os.fdopen(out, "rb") as stream:
        os.write(into, data[:-20])
        entries = read_capture(stream)
        assert isinstance(next(entries), CapturedFrame)
        rest = threading.Thread(target=lambda: (os.write(into, data[-20:]), os.close(into)))
        rest.start()
        assert len(frames(entries)) == 1
        rest.join()


def test_a_drip_is_read() -> None:
    class Drip(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self._left = iter(data)

        def read(self, size: int = -1) -> bytes:
            return bytes([byte]) if (byte := next(self._left, None)) is not None else b""

    data = LE.file(LE.packet(), LE.packet(1))
    assert list(read_capture(Drip(data))) == read(data)  # type: ignore[arg-type]


def test_no_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(read_capture(tmp_path / "none"))
    with pytest.raises(IsADirectoryError):
        next(read_capture(tmp_path))


# --- what is not


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "the file is empty"),
        (b"GIF89a", "the file begins with 47 49 46 38: neither pcap nor pcapng"),
        (b"\x0a", "the file begins with 0a: neither pcap nor pcapng"),
        (LE.section()[:8] + b"abcd" + LE.section()[12:], "a section header without its byte-order magic: not pcapng"),
        (pcap()[:20], "a pcap header of 20 of 24 bytes"),
        (pcap(record(), link_type=1), "link type 1 (ETHERNET), not USER0 (147)"),
        (pcap(record(), link_type=148), "link type 148, not USER0 (147)"),
    ],
)
def test_what_cannot_be_read_at_all(data: bytes, what: str) -> None:
    (problem,) = read(data)
    assert isinstance(problem, Problem) and problem.fatal and problem.what == what


def test_records_of_other_link_types_count_but_are_not_read() -> None:
    got = read(LE.section() + LE.interface(link_type=1) + LE.interface() + LE.packet() + LE.packet(interface=1))
    assert [(p.number, p.what) for p in problems(got)] == [
        (0, "interface 0 has link type 1 (ETHERNET), not USER0 (147); its records are not read")
    ]
    assert [f.number for f in frames(got)] == [2]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\0\0\0", "a record of 3 bytes, too short for the pseudo-header of 4"),
        (b"\3\0\0\0", "a pseudo-header with link 3; there are 0, 1 and 2"),
        (b"\0\2\0\0", "a pseudo-header with direction 2; there are 0 and 1"),
    ],
)
def test_records_that_are_none_of_ours(data: bytes, what: str) -> None:
    for content in (LE.file(LE.packet(0, data), LE.packet(1)), pcap(record(data), record())):
        problem, frame = read(content)
        assert isinstance(problem, Problem) and (problem.number, problem.what) == (1, what) and not problem.fatal
        assert content[problem.offset :].startswith(b"\6\0\0\0" if content[0] == 10 else bytes(8))
        assert isinstance(frame, CapturedFrame) and frame.number == 2


def test_a_record_that_was_cut_is_given_and_said() -> None:
    for content in (LE.file(LE.packet(0, DATA, length=99)), pcap(record(length=99))):
        problem, frame = read(content)
        assert isinstance(problem, Problem) and problem.what == "the record has 15 of 99 bytes"
        assert isinstance(frame, CapturedFrame) and frame.frame == DATA[4:]


@pytest.mark.parametrize(
    ("block", "number", "what"),
    [
        (LE.packet(interface=1), 1, "a record of interface 1, which is not described"),
        (LE.block(6, bytes(16)), 1, "an enhanced packet block of 16 of 20 bytes"),
        (LE.block(2, bytes(16)), 1, "a packet block of 16 of 20 bytes"),
        (LE.block(3, b""), 1, "a simple packet block of 0 of 4 bytes"),
        (LE.block(6, LE.pack("IIIII", 0, 0, 0, 9, 9) + bytes(8)), 1, "a record of 9 bytes in a block with room for 8"),
        (LE.block(1, bytes(4)), 0, "an interface description of 4 of 8 bytes"),
        (LE.block(10, bytes(4)), 0, "a decryption secrets block of 4 of 8 bytes"),
        (LE.block(10, LE.pack("II", 0, 5) + bytes(4)), 0, "decryption secrets of 5 bytes in a block with room for 4"),
        (LE.block(SECTION, LE.pack("I", 0x1A2B3C4D)), 0, "a section header of 4 of 16 bytes"),
    ],
)
def test_blocks_that_do_not_fit(block: bytes, number: int, what: str) -> None:
    got = read(LE.file(block) + LE.file(LE.packet()))
    assert [(p.offset, p.number, p.what) for p in problems(got)] == [(len(LE.file()), number, what)]
    assert len(frames(got)) == 1


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (
            LE.packet()[:4] + LE.pack("I", 50) + LE.packet()[8:],
            "a block length of 50, which cannot be; skipped 48 bytes",
        ),
        (LE.packet()[:4] + LE.pack("I", 8) + LE.packet()[8:], "a block length of 8, which cannot be; skipped 48 bytes"),
        (
            LE.packet()[:4] + LE.pack("I", 60) + LE.packet()[8:],
            "a block whose lengths differ: 60 before it, 0 behind it",
        ),
        (
            LE.packet()[:-4] + LE.pack("I", 9),
            "a block whose lengths differ: 48 before it, 9 behind it; skipped 48 bytes",
        ),
        (LE.block(6, bytes(5000)), "a block of 5012 bytes, above 4096; skipped 5012 bytes to the next one"),
        (
            LE.packet()[:4] + LE.pack("I", 4000) + LE.packet()[8:],
            "the file ends within a block: 96 of 4000 bytes; skipped",
        ),
        (b"junk!", "a block length of 1569, which cannot be; skipped 5 bytes to the next one"),
    ],
)
def test_a_length_that_lies_costs_its_block_only(bad: bytes, what: str) -> None:
    head = LE.file(LE.packet(1))
    got = read(head + bad + LE.packet(2), max_block=4096)
    (problem,) = problems(got)
    assert problem.what.startswith(what) and problem.offset == len(head)
    assert [f.time_us for f in frames(got)] == [1, 2]


def test_a_section_without_magic_further_on_is_skipped() -> None:
    bad = LE.section()[:8] + b"abcd" + LE.section()[12:]
    got = read(LE.file(LE.packet(1)) + bad + BE.file(BE.packet(2)))
    assert [p.what for p in problems(got)] == [
        "a section header without its byte-order magic; skipped 28 bytes to the next one"
    ]
    assert [f.time_us for f in frames(got)] == [1, 2]


def test_the_end_of_a_cut_file() -> None:
    whole = LE.file(LE.packet(1), LE.packet(2))
    for cut in range(1, len(LE.packet())):
        got = read(whole[:-cut])
        assert [f.time_us for f in frames(got)] == [1]
        left = len(LE.packet()) - cut
        (problem,) = problems(got)
        if left < 12:
            assert problem.what == f"{left} bytes at the end are too few for a block"
        else:
            assert problem.what.startswith(f"the file ends within a block: {left} of {len(LE.packet())} bytes; skipped")


def test_a_cut_pcap() -> None:
    whole = pcap(record(), record())
    size = len(record())
    for cut in range(1, size):
        got = read(whole[:-cut])
        assert len(frames(got)) == 1
        within = (
            f"record: {size - 16 - cut} of {len(DATA)} bytes" if size - cut >= 16 else f"header: {size - cut} of 16"
        )
        (problem,) = problems(got)
        assert within in problem.what and problem.offset == 24 + size


def test_a_pcap_length_that_lies_is_searched_past() -> None:
    data = pcap(record(seconds=1), record(captured=9_000_000), record(DATA + b"?"), record(seconds=3))
    got = read(data)
    assert [(f.time_us, f.number) for f in frames(got)] == [(1_000_000, 1), (3_000_000, 3)]
    (problem,) = problems(got)
    assert problem.number == 2 and "above 1048576; skipped 63 bytes to the next one" in problem.what
    _, problem = read(pcap(record(), record(captured=9_000_000)))
    assert isinstance(problem, Problem) and problem.what.endswith("skipped 31 bytes to the end of the file")


def test_other_versions_are_said_and_read() -> None:
    for data in (pcap(record(), minor=3), LE.section(major=2) + LE.interface() + LE.packet()):
        problem, frame = read(data)
        assert isinstance(problem, Problem) and "version 2." in problem.what
        assert isinstance(frame, CapturedFrame)


def test_options_that_do_not_fit_end_the_options() -> None:
    got = read(LE.file(LE.packet(0, DATA, LE.option(1, b"good"), LE.pack("HH", 1, 500))))
    assert [f.comment for f in frames(got)] == ["good"] and not problems(got)


# --- bounds


def test_interfaces_are_bounded() -> None:
    got = read(LE.section() + LE.interface() * (MAX_INTERFACES + 2) + LE.packet(interface=MAX_INTERFACES))
    assert [p.what for p in problems(got)] == [f"more than {MAX_INTERFACES} interfaces in a section"] * 2 + [
        f"a record of interface {MAX_INTERFACES}, which is not described"
    ]


class Endless(io.RawIOBase):
    """A stream that repeats itself for `size` bytes."""

    def __init__(self, head: bytes, piece: bytes, size: int) -> None:
        self._chunks = self._made(head, piece * (1 + 60_000 // len(piece)), size)

    @staticmethod
    def _made(head: bytes, chunk: bytes, size: int) -> Iterator[bytes]:
        yield head
        for _ in range(size // len(chunk)):
            yield chunk

    def read(self, size: int = -1) -> bytes:
        return next(self._chunks, b"")


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (LE.file(), LE.packet()),
        (pcap(), record()),
        (LE.file(), b"junk"),
        (LE.file() + LE.pack("II", 6, 0xFFFFFFF0), bytes(64)),
        (LE.file(), LE.pack("III", 6, 1 << 16, 1)),
        (pcap(record(captured=0xFFFFFFFF)), b"SC" + bytes(30)),
        (pcap(record(captured=0xFFFFFFFF)), bytes(64)),
    ],
)
def test_memory_is_bounded(head: bytes, piece: bytes) -> None:
    entries = read_capture(Endless(head, piece, 600_000), max_block=100_000)  # type: ignore[arg-type]
    tracemalloc.start()
    for _ in entries:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000


SEEDS = [
    LE.file(LE.packet(1), LE.packet(2, DATA, LE.option(1, b"note"), LE.option(0, b"")), LE.packet(3)),
    BE.file(BE.packet(1), BE.block(3, BE.pack("I", len(DATA)) + padded(DATA)), BE.packet(3)),
    pcap(record(), record(), record()),
    gzip.compress(pcap(record(), record(), record()), mtime=0),
]


@settings(reproducible, max_examples=400)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 400),
    st.binary(max_size=20),
)
def test_nothing_raises(seed: bytes, changes: list[tuple[int, int]], place: int, inserted: bytes) -> None:
    data = bytearray(seed)
    for position, value in changes:
        data[position % len(data)] = value
    place %= len(data)
    data[place:place] = inserted
    entries = read(bytes(data))
    assert entries and all(p.offset >= 0 for p in problems(entries))
    numbers = [f.number for f in frames(entries)]
    assert numbers == sorted(set(numbers))
