"""One record of a capture.

| offset | bytes | field |
|---|---|---|
| 0 | 1 | link: 0 radio, 1 SSS wire, 2 CPU bus |
| 1 | 1 | direction: 0 sent by the controller, 1 towards it |
| 2 | 2 | SCEWL id of the SED whose controller it is, little endian |
| 4 | n | the frame, from its magic on |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from model.alphabet import Link

LINKTYPE_USER0: Final = 147
PSEUDO_HEADER: Final = struct.Struct("<BBH")
"""Link, direction, SED."""


@dataclass(slots=True, unsafe_hash=True)  # never changed; frozen ones take long to make
class CapturedFrame:
    """One SCEWL frame on one link of one controller."""

    time_us: int
    """Microseconds: of virtual time since the controller's boot, or of the clock that the capture was made with."""
    link: Link
    towards: bool
    """True if it moved towards the controller, False if the controller sent it."""
    sed: int
    """SCEWL id of the SED whose controller it is."""
    frame: bytes
    """The frame from its magic on, as it was on the link; anything at all in a file that others wrote."""
    comment: str = ""
    """Shown by Wireshark as the frame's comment; empty for none."""
    number: int = 0
    """Its number in a file, from 1 on, as Wireshark counts; 0 if it was not read from one."""
    offset: int = 0
    """Where its record begins in that file, bytes."""
