"""The alphabet at a controller's boundary: what it can be told (events) and what it can do (outputs).

Every argument is an integer, so that one rule text serves the run, explore and prove readings. Times are
milliseconds, sizes bytes of payload, ids SCEWL ids. A peer's link follows from its id: 1 is on the SSS wire,
ids from 3 up are on the radio.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Link(IntEnum):
    """The three byte streams of a controller; the numbers are those of the capture header."""

    RADIO = 0
    SSS = 1
    CPU = 2


class Ca(IntEnum):
    """Which authority stands behind a certificate, as far as the bytes can tell."""

    PROVISIONING = 0
    RUNTIME = 1
    OTHER = 2
    STALE = 3
    """A runtime certificate of this device that a later registration has replaced."""


BROADCAST, SSS_ID, FAA_ID = 0, 1, 2
LOWEST_SED_ID, HIGHEST_ID = 3, 0xFFFF
MAX_MESSAGE = 16_384
"""Bytes of payload on the CPU bus and the FAA channel (FRM-2)."""
MTU = 1_000
"""Bytes of a DTLS datagram (FRM-2, DTL-5)."""
MAX_RECORD = 963
"""Bytes of plaintext in one record of application data (DTL-5)."""

REGISTER, DEREGISTER, REFUSED = 0, 1, -1
"""Values of `op` (protocol page, section 6)."""

PLAINTEXT = -1
"""Value of `seq` for a record that is not protected (epoch 0)."""

EVENTS: dict[str, tuple[str, ...]] = {
    # CPU bus
    "cpu-send": ("to", "size"),
    "cpu-request": ("size", "dev", "op"),
    "cpu-faa": ("size",),
    "cpu-other": (),
    "cpu-oversize": ("to", "size"),
    # an own failure, a power cycle
    "start-failure": ("to",),
    "boot": (),
    # radio, without DTLS
    "radio-faa": ("size",),
    # handshake, towards a server
    "hello": ("source",),
    "hello-cookie": ("source", "handshake"),
    "flight5": ("source", "seq"),
    # handshake, towards a client
    "verify-request": ("source",),
    "flight4": ("source",),
    "flight6": ("source", "seq"),
    # either way
    "certificate": ("source", "ca", "cn"),
    "repeat": ("source", "flight", "seq"),
    "forged": ("source",),
    # after the handshake
    "data": ("source", "seq", "size"),
    "response": ("op", "good", "usable"),
    "close": ("source", "seq"),
    "alert": ("source", "seq"),
    # neither
    "noise": ("source",),
    "time": ("ms",),
}
"""Event kinds and the names of their arguments.

`hello` lacks a valid cookie, `hello-cookie` has one; `handshake` numbers the client's handshake (its client random).
`certificate` is the peer's certificate message, whole; it precedes `flight4` or `flight5`, which say that the flight
is whole and verifies. `repeat` is the last message of an earlier flight, come again. `forged` is a plaintext handshake
message that does not belong to the handshake under way. `seq` is a record's number in epoch 1, of an authenticated
record. `response` follows the `data` that completes (or spoils) the registration response. `noise` is all that
authenticates nowhere or does not parse; its `source` is 0 where the frame is not a datagram of a possible peer.
`cpu-oversize`, `start-failure` (a session for a message that could not be started) and `boot` happen in systems only:
at an IUT's boundary an oversize frame is a `cpu-other`, and the others do not show.
"""

OUTPUTS: dict[str, tuple[str, ...]] = {
    "hello": ("to",),
    "verify-request": ("to",),
    "hello-cookie": ("to",),
    "flight4": ("to", "ca"),
    "flight5": ("to", "ca"),
    "flight6": ("to",),
    "alert": ("to",),
    "data": ("to", "size", "intact"),
    "request": ("dev", "op"),
    "close": ("to",),
    "deliver": ("source", "size", "intact"),
    "answer": ("dev", "op"),
    "faa-radio": ("size", "intact"),
    "faa-cpu": ("size", "intact"),
    "unknown": ("link",),
}
"""Output kinds and the names of their arguments.

`ca` is the authority of the certificate that the controller presents. `intact` is 1 if the bytes are the ones that
were given. `unknown` is anything that the abstraction cannot name; no rule ever allows it.
"""


@dataclass(slots=True, unsafe_hash=True)  # never changed; frozen ones take long to make
class Event:
    """Something that reaches a controller: a kind of `EVENTS` and its arguments in order."""

    kind: str
    args: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(EVENTS[self.kind]) != len(self.args):
            raise ValueError(f"event {self.kind} takes {EVENTS[self.kind]}, not {self.args}")

    def named(self) -> dict[str, int]:
        """The arguments by name."""
        return dict(zip(EVENTS[self.kind], self.args, strict=True))

    def __str__(self) -> str:
        return _text(self.kind, self.named())


@dataclass(slots=True, unsafe_hash=True)  # never changed, as Event
class Output:
    """Something that a controller does: a kind of `OUTPUTS` and its arguments in order."""

    kind: str
    args: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(OUTPUTS[self.kind]) != len(self.args):
            raise ValueError(f"output {self.kind} takes {OUTPUTS[self.kind]}, not {self.args}")

    def named(self) -> dict[str, int]:
        """The arguments by name."""
        return dict(zip(OUTPUTS[self.kind], self.args, strict=True))

    @property
    def link(self) -> Link:
        """The link on which it shows."""
        if self.kind in ("deliver", "answer", "faa-cpu"):
            return Link.CPU
        if self.kind == "request":
            return Link.SSS
        if self.kind == "unknown":
            return Link(self.args[0])
        if self.kind == "faa-radio":
            return Link.RADIO
        return Link.SSS if self.args[0] == SSS_ID else Link.RADIO

    def __str__(self) -> str:
        return _text(self.kind, self.named())


def _text(kind: str, named: dict[str, int]) -> str:
    def value(name: str, number: int) -> str:
        return Ca(number).name.lower() if name == "ca" else str(number)

    return f"{kind}({', '.join(f'{n}={value(n, v)}' for n, v in named.items())})" if named else kind
