"""What a reader of captures tells: frames, problems, key logs, context; and how a record becomes a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from conformance.capture.context import Context
from conformance.capture.frame import LINKTYPE_USER0, PSEUDO_HEADER, CapturedFrame
from conformance.capture.stream import Window
from model.alphabet import Link

_MAX_TIME_US: Final = 2**64 - 1
_LINKS: Final = tuple(Link)
_LINK_TYPES: Final = {0: "NULL", 1: "ETHERNET", 101: "RAW", 113: "LINUX_SLL", 195: "IEEE802_15_4", 276: "LINUX_SLL2"}
"""Names of link types that one meets by mistake."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a capture that does not fit."""

    offset: int
    """Where in the file (in its content, if it is gzip'd), bytes."""
    number: int
    """Number of the record that it concerns; 0 if it is about none."""
    what: str
    """The matter, in a sentence without a full stop."""
    fatal: bool = False
    """Whether nothing of the file can be read: it is no capture, or not one of SCEWL."""


@dataclass(frozen=True, slots=True)
class KeyLogText:
    """The TLS key log in a decryption secrets block. Its text form shows no secret."""

    offset: int
    text: str

    def __repr__(self) -> str:
        return f"KeyLogText(offset={self.offset}, {len(self.text)} characters)"


Entry = CapturedFrame | Problem | KeyLogText | Context


def other_link_type(link_type: int) -> str:
    """Words for a link type that is not ours."""
    name = f" ({_LINK_TYPES[link_type]})" if link_type in _LINK_TYPES else ""
    return f"link type {link_type}{name}, not USER0 ({LINKTYPE_USER0})"


def frame_of(
    data: bytes, start: int, end: int, time_us: int, number: int, offset: int, length: int, comment: str = ""
) -> list[CapturedFrame | Problem]:
    """The frame in a packet record, and what does not fit.

    The record's content is `data[start:end]`; it says that there were `length` bytes on the wire.
    """
    size = end - start
    if size < PSEUDO_HEADER.size:
        return [Problem(offset, number, f"a record of {size} bytes, too short for the pseudo-header of 4")]
    link, direction, sed = PSEUDO_HEADER.unpack_from(data, start)
    if link > 2 or direction > 1:
        what = f"link {link}; there are 0, 1 and 2" if link > 2 else f"direction {direction}; there are 0 and 1"
        return [Problem(offset, number, f"a pseudo-header with {what}")]
    found: list[CapturedFrame | Problem] = []
    if length != size:
        found.append(Problem(offset, number, f"the record has {size} of {length} bytes"))
    if not 0 <= time_us <= _MAX_TIME_US:
        found.append(Problem(offset, number, f"a time of {time_us} us, out of range; taken as 0"))
        time_us = 0
    frame = data[start + PSEUDO_HEADER.size : end]
    found.append(CapturedFrame(time_us, _LINKS[link], direction == 1, sed, frame, comment, number, offset))
    return found


def skipped_to(skipped: int, window: Window) -> str:
    """What a search came to."""
    return f"skipped {skipped} bytes to " + ("the next one" if window.left else "the end of the file")
