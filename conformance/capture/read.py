"""Read captures: pcap and pcapng, damaged ones too, as a stream.

Formats: draft-ietf-opsawg-pcap and -pcapng; `conformance.capture.frame` describes a record. Both byte orders, any
resolution of time, several sections, gzip'd files, pipes. What does not fit comes as a `Problem` in its place, and
reading goes on where the next block can be found. Memory is bounded: one block at a time, with a window of less than
1 MB behind it.

Why not Scapy's reader: one wrong block length ends it without a word (of 100,000 frames it then gives those before
it), it knows neither offsets nor comments nor secrets of a section, and it is four times slower when it tells times.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from conformance.capture.entries import Entry, Problem
from conformance.capture.pcap import PCAP_MAGIC, read_pcap
from conformance.capture.pcapng import SECTION_START, Pcapng
from conformance.capture.stream import Window

MAX_BLOCK: Final = 1 << 20
"""Bytes of a block or record that is read; a larger one is a problem."""


def read_capture(source: Path | str | BinaryIO, *, max_block: int = MAX_BLOCK) -> Iterator[Entry]:
    """The entries of a capture in the order of the file; `-` is standard input. Raises OSError while it is iterated.

    Frames are numbered as Wireshark numbers them: every packet record counts, also those that give no frame.
    Entries come as soon as they are whole, so a growing pipe can be followed.
    """
    if not isinstance(source, (str, Path)):
        yield from _entries(source, max_block)
    elif str(source) == "-":
        yield from _entries(sys.stdin.buffer, max_block)
    else:
        with Path(source).open("rb") as stream:
            yield from _entries(stream, max_block)


def _entries(stream: BinaryIO, max_block: int) -> Iterator[Entry]:
    window = Window(stream)
    window.need(4)
    magic = window.data[:4]
    if magic == SECTION_START:
        yield from Pcapng(window, max_block).entries()
    elif magic in PCAP_MAGIC:
        yield from read_pcap(window, *PCAP_MAGIC[magic], max_block)
    elif magic or not window.damage:
        begins = f"begins with {magic.hex(' ')}: neither pcap nor pcapng" if magic else "is empty"
        yield Problem(0, 0, f"the file {begins}", fatal=True)
    if window.damage:
        yield Problem(window.offset, 0, window.damage, fatal=not magic)
