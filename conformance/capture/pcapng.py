"""Read pcapng files (draft-ietf-opsawg-pcapng), damaged ones too."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from conformance.capture.context import Context
from conformance.capture.entries import Entry, KeyLogText, Problem, frame_of, other_link_type, skipped_to
from conformance.capture.frame import LINKTYPE_USER0
from conformance.capture.stream import Window

MAX_INTERFACES: Final = 1024
"""Interfaces of a section that are remembered."""

_SECTION_HEADER, _INTERFACE, _OBSOLETE_PACKET, _SIMPLE_PACKET = 0x0A0D0D0A, 1, 2, 3
_ENHANCED_PACKET, _SECRETS = 6, 10
_KINDS: Final = frozenset({_SECTION_HEADER, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0xBAD, 0x40000BAD})
"""Block types that a search for the next block believes in."""
SECTION_START: Final = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDER_MAGIC: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_TLS_KEY_LOG: Final = 0x544C534B
_OPT_COMMENT, _IF_TSRESOL, _IF_TSOFFSET = 1, 9, 14


@dataclass(frozen=True, slots=True)
class _Interface:
    """An interface description block, as far as it matters."""

    wanted: bool
    """Whether its link type is ours."""
    snap: int
    units: int
    """Units of its time stamps to a second."""
    offset_us: int

    def time_us(self, stamp: int) -> int:
        if self.units == 1_000_000:
            return stamp + self.offset_us
        return stamp * 1_000_000 // self.units + self.offset_us


class Pcapng:
    """Reads pcapng, block by block."""

    def __init__(self, window: Window, max_block: int) -> None:
        self._window = window
        self._max = max_block
        self._count = 0
        """Packet records so far."""
        self._time = 0
        """The latest time, which a simple packet block takes over: it has none of its own."""
        self._set_order("<")
        self._interfaces: list[_Interface] = []

    def entries(self) -> Iterator[Entry]:
        """All entries, in the order of the file."""
        window, largest = self._window, self._max
        while True:
            data, start = window.data, window.position
            if len(data) - start < 12:
                if not window.need(12):
                    break
                data, start = window.data, window.position
            kind, length = self._block.unpack_from(data, start)
            if kind == _SECTION_HEADER:
                order = _BYTE_ORDER_MAGIC.get(data[start + 8 : start + 12])
                if order is None:
                    if window.offset == 0:
                        yield Problem(8, 0, "a section header without its byte-order magic: not pcapng", fatal=True)
                        return
                    yield self._search("a section header without its byte-order magic")
                    continue
                self._set_order(order)
                kind, length = self._block.unpack_from(data, start)
            if length % 4 or length < 12:
                yield self._search(f"a block length of {length}, which cannot be")
                continue
            if length > largest:
                yield self._search(f"a block of {length} bytes, above {largest}")
                continue
            if len(data) - start < length:
                if not window.need(length):
                    yield self._search(f"the file ends within a block: {window.left} of {length} bytes")
                    continue
                data, start = window.data, window.position
            end = start + length
            if data[end - 4 : end] != data[start + 4 : start + 8]:
                (trailer,) = self._number.unpack_from(data, end - 4)
                yield self._search(f"a block whose lengths differ: {length} before it, {trailer} behind it")
                continue
            offset = window.offset
            window.position = end
            reader = _READERS.get(kind)
            if reader is not None:  # names, statistics, journals and custom blocks say nothing that matters here
                yield from reader(self, data, start + 8, end - 4, offset)
        if window.left:
            yield Problem(window.offset, 0, f"{window.left} bytes at the end are too few for a block")

    def _set_order(self, order: str) -> None:
        """Take the byte order of a section."""
        self._order = order
        self._number, self._block = struct.Struct(order + "I"), struct.Struct(order + "II")
        self._packet_head, self._option = struct.Struct(order + "IIIII"), struct.Struct(order + "HH")

    def _search(self, what: str) -> Problem:
        """Go to the next block that is plausible: of a known type, its two lengths equal. Tell what was wrong."""
        window, begin = self._window, self._window.offset
        window.position += 1
        while window.need(12):
            found = _PLAUSIBLE[self._order].search(window.data, window.position, len(window.data) - 8)
            window.position = found.start() if found else len(window.data) - 11
            if found and self._plausible():
                break
            window.position += bool(found)
        else:
            window.position = len(window.data)
        return Problem(begin, 0, f"{what}; {skipped_to(window.offset - begin, window)}")

    def _plausible(self) -> bool:
        window = self._window
        order: str | None = self._order
        if window.data.startswith(SECTION_START, window.position):
            order = _BYTE_ORDER_MAGIC.get(window.data[window.position + 8 : window.position + 12])
        if order is None:
            return False
        length: int = struct.unpack_from(order + "I", window.data, window.position + 4)[0]
        if length % 4 or not 12 <= length <= self._max or not window.need(length):
            return False
        start, end = window.position, window.position + length
        return window.data[end - 4 : end] == window.data[start + 4 : start + 8]

    def _section(self, data: bytes, start: int, end: int, offset: int) -> Iterable[Entry]:
        self._interfaces = []
        if end - start < 16:
            yield Problem(offset, 0, f"a section header of {end - start} of 16 bytes")
            return
        major, minor = struct.unpack_from(self._order + "HH", data, start + 4)
        if major != 1:
            yield Problem(offset, 0, f"pcapng version {major}.{minor}; read as 1.0")
        for code, value in self._options(data, start + 16, end):
            if code == _OPT_COMMENT and (context := Context.parse(value.decode(errors="replace"))) is not None:
                yield context

    def _interface(self, data: bytes, start: int, end: int, offset: int) -> Iterable[Entry]:
        if end - start < 8:
            yield Problem(offset, 0, f"an interface description of {end - start} of 8 bytes")
            return
        if len(self._interfaces) >= MAX_INTERFACES:
            yield Problem(offset, 0, f"more than {MAX_INTERFACES} interfaces in a section")
            return
        link_type, snap = struct.unpack_from(self._order + "H2xI", data, start)
        units, offset_s = 1_000_000, 0
        for code, value in self._options(data, start + 8, end):
            if code == _IF_TSRESOL and len(value) == 1:
                units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _IF_TSOFFSET and len(value) == 8:
                (offset_s,) = struct.unpack(self._order + "q", value)
        if link_type != LINKTYPE_USER0:
            number = len(self._interfaces)
            yield Problem(offset, 0, f"interface {number} has {other_link_type(link_type)}; its records are not read")
        self._interfaces.append(_Interface(link_type == LINKTYPE_USER0, snap, units, offset_s * 1_000_000))

    def _secrets(self, data: bytes, start: int, end: int, offset: int) -> Iterable[Entry]:
        if end - start < 8:
            return [Problem(offset, 0, f"a decryption secrets block of {end - start} of 8 bytes")]
        kind, length = struct.unpack_from(self._order + "II", data, start)
        if length > end - start - 8:
            what = f"decryption secrets of {length} bytes in a block with room for {end - start - 8}"
            return [Problem(offset, 0, what)]
        if kind != _TLS_KEY_LOG:
            return ()
        return [KeyLogText(offset, data[start + 8 : start + 8 + length].decode("ascii", errors="replace"))]

    def _enhanced(self, data: bytes, start: int, end: int, offset: int) -> Iterable[Entry]:
        self._count += 1
        if end - start < 20:
            return [Problem(offset, self._count, f"an enhanced packet block of {end - start} of 20 bytes")]
        index, high, low, captured, length = self._packet_head.unpack_from(data, start)
        return self._packet(index, high << 32 | low, captured, length, data, start + 20, end, offset)

    def _obsolete(self, data: bytes, start: int, end: int, offset: int) -> Iterable[Entry]:
        self._count += 1
        if end - start < 20:
            return [Problem(offset, self._count, f"a packet block of {end - start} of 20 bytes")]
        index, high, low, captured, length = struct.unpack_from(self._order + "H2xIIII", data, start)
        return self._packet(index, high << 32 | low, captured, length, data, start + 20, end, offset)

    def _simple(self, data: bytes, start: int, end: int, offset: int) -> Iterable[Entry]:
        self._count += 1
        if end - start < 4:
            return [Problem(offset, self._count, f"a simple packet block of {end - start} of 4 bytes")]
        (length,) = struct.unpack_from(self._order + "I", data, start)
        snap = self._interfaces[0].snap if self._interfaces else 0
        captured = min(length, snap or length, end - start - 4)
        return self._packet(0, None, captured, length, data, start + 4, end, offset)

    def _packet(
        self, index: int, stamp: int | None, captured: int, length: int, data: bytes, start: int, end: int, offset: int
    ) -> Iterable[Entry]:
        if index >= len(self._interfaces):
            return [Problem(offset, self._count, f"a record of interface {index}, which is not described")]
        interface = self._interfaces[index]
        if not interface.wanted:
            return ()
        stop = start + captured
        if stop > end:
            what = f"a record of {captured} bytes in a block with room for {end - start}"
            return [Problem(offset, self._count, what)]
        comment = ""
        if stamp is not None:
            self._time = interface.time_us(stamp)
            after = stop + -captured % 4
            if after < end:
                comment = self._comment(data, after, end)
        return frame_of(data, start, stop, self._time, self._count, offset, length, comment)

    def _comment(self, data: bytes, start: int, end: int) -> str:
        """The comments in a block's options, a line each."""
        found = []
        while start + 4 <= end:
            code, length = self._option.unpack_from(data, start)
            start += 4
            if code == 0 or start + length > end:
                break
            if code == _OPT_COMMENT:
                found.append(data[start : start + length].decode(errors="replace"))
            start += length + -length % 4
        return "\n".join(found)

    def _options(self, data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Code and value of each option that fits; the end of options, or one that does not fit, ends them."""
        while start + 4 <= end:
            code, length = self._option.unpack_from(data, start)
            start += 4
            if code == 0 or start + length > end:
                return
            yield code, data[start : start + length]
            start += length + -length % 4


_READERS: Final = {
    _SECTION_HEADER: Pcapng._section,
    _INTERFACE: Pcapng._interface,
    _OBSOLETE_PACKET: Pcapng._obsolete,
    _SIMPLE_PACKET: Pcapng._simple,
    _ENHANCED_PACKET: Pcapng._enhanced,
    _SECRETS: Pcapng._secrets,
}


def _plausible_starts(order: str) -> re.Pattern[bytes]:
    return re.compile(b"|".join(re.escape(struct.pack(order + "I", kind)) for kind in sorted(_KINDS)), re.DOTALL)


_PLAUSIBLE: Final = {order: _plausible_starts(order) for order in "<>"}
