"""What is known of an SSS that runs, and what can happen on one of its wires."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from conformance.abstraction.session import Identity
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame, FrameReader
from model.alphabet import SSS_ID


@dataclass(frozen=True)
class SssFacts:
    """What is known of an SSS. No secret."""

    ca: bytes
    """The provisioning CA certificate, DER, which is its own (CRT-6)."""
    runtime_ca: bytes
    devices: dict[int, bytes]
    """The provisioned keys (SubjectPublicKeyInfo, DER) of the devices that it accepts, by id (CRT-8)."""
    suite: int
    cn_pattern: str
    wide_response: bool
    timeouts: tuple[int, int, int]
    """Milliseconds: first and last retransmission timeout (DTL-6), and the idle timeout (SES-7)."""
    lifetime: timedelta
    """Of a runtime certificate (CRT-10)."""
    replace: bool = True
    """REG-5."""

    @cached_property
    def identity(self) -> Identity:
        """What the abstraction knows of it; all its wires share it."""
        authorities = Authorities({"PROVISIONING": self.ca})
        own = authorities.classify(self.ca).public_key or b""
        return Identity(SSS_ID, authorities, own, suite=self.suite, cn_pattern=self.cn_pattern)


@dataclass(frozen=True, slots=True)
class Device:
    """What the SSS knows of the device of a frame when the frame comes, from all its wires."""

    registered: bool
    undecided: bool = False
    """A request of its is being kept, from this wire or another."""
    removed: bool = False
    last_key: bytes = b""
    """Of its latest runtime certificate, SubjectPublicKeyInfo; no other may have it (REG-1)."""


@dataclass(frozen=True, slots=True)
class Took:
    """A frame that came, and how the SSS took it."""

    frame: Frame
    device: Device
    date: datetime
    """By the SSS's calendar (CRT-10)."""
    granted: bool = False
    """It was decided, and is answered when it is kept."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The decision about the request was kept or not; the device as it was before."""

    kept: bool
    device: Device


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is ended from outside. `goodbye`: with a close_notify, if the device has proved itself."""

    goodbye: bool


Happening = Took | Settled | Ended | None
"""None: a timer was due."""


class WireMoment(NamedTuple):
    """One step on a wire: what happened at `now`, and what the SSS made of it."""

    now: int
    what: Happening
    said: tuple[bytes, ...]
    """The frames that the SSS sent on it."""
    deadline: int | None
    """When its next timer on the wire is due, milliseconds."""
    registered: bool
    """Whether the wire's device counts as registered afterwards."""
    alone: bool
    """No session is on the wire then."""
    secrets: tuple[tuple[bytes, bytes], ...]
    """Client random and master secret of what the SSS has just computed."""

    @property
    def frames(self) -> list[Frame]:
        """The frames that the SSS said."""
        return [f for data in self.said for f in FrameReader().feed(data) if isinstance(f, Frame)]
