"""Read pcap files (draft-ietf-opsawg-pcap), damaged ones too."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from conformance.capture.entries import Entry, Problem, frame_of, other_link_type, skipped_to
from conformance.capture.frame import LINKTYPE_USER0, PSEUDO_HEADER
from conformance.capture.stream import Window

PCAP_MAGIC: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1000),
}
"""Byte order, and units of the fraction of a second to a microsecond."""
_PCAP_HEADER, _PCAP_RECORD = 24, 16


def read_pcap(window: Window, order: str, per_us: int, max_block: int) -> Iterator[Entry]:
    """The entries of a file whose magic says its byte order and units of time."""
    if not window.need(_PCAP_HEADER):
        yield Problem(0, 0, f"a pcap header of {window.left} of {_PCAP_HEADER} bytes", fatal=True)
        return
    major, minor, link_type = struct.unpack_from(order + "HH12xI", window.data, 4)
    if (major, minor) != (2, 4):
        yield Problem(4, 0, f"pcap version {major}.{minor}; read as 2.4")
    if link_type & 0xFFFF != LINKTYPE_USER0:
        yield Problem(20, 0, other_link_type(link_type & 0xFFFF), fatal=True)
        return
    window.position = _PCAP_HEADER
    header = struct.Struct(order + "IIII")
    number = 0
    while window.need(_PCAP_RECORD):
        offset = window.offset
        seconds, fraction, captured, length = header.unpack_from(window.data, window.position)
        number += 1
        if captured > max_block:
            skipped = _next_pcap_record(window, header)
            yield Problem(
                offset, number, f"a record of {captured} bytes, above {max_block}; {skipped_to(skipped, window)}"
            )
            continue
        if not window.need(_PCAP_RECORD + captured):
            yield Problem(
                offset, number, f"the file ends within a record: {window.left - _PCAP_RECORD} of {captured} bytes"
            )
            return
        start = window.position + _PCAP_RECORD
        window.position = start + captured
        time_us = seconds * 1_000_000 + fraction // per_us
        yield from frame_of(window.data, start, window.position, time_us, number, offset, length)
    if window.left:
        yield Problem(
            window.offset, 0, f"the file ends within a record's header: {window.left} of {_PCAP_RECORD} bytes"
        )


def _next_pcap_record(window: Window, header: struct.Struct) -> int:
    """Move to the next record that holds exactly one SCEWL frame; return how many bytes were skipped."""
    begin = window.offset
    window.position += 1
    ahead = _PCAP_RECORD + PSEUDO_HEADER.size
    while window.need(ahead + 8):
        at = window.data.find(b"SC", window.position + ahead)
        if at < 0:
            window.position = len(window.data) - ahead - 1
            if not window.need(window.left + 1):
                break
            continue
        window.position = at - ahead
        if window.need(ahead + 8):
            at = window.position + ahead
            _, _, captured, length = header.unpack_from(window.data, window.position)
            size = int.from_bytes(window.data[at + 6 : at + 8], "little")
            if captured == length == PSEUDO_HEADER.size + 8 + size:
                return window.offset - begin
        window.position += 1
    window.position = len(window.data)
    return window.offset - begin
