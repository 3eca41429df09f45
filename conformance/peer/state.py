"""All that a peer is in the middle of: plain data, so that it can be copied."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from conformance.peer.credentials import Identity, Shown
from conformance.peer.keys import Ephemeral, Keys, derive, digest, master_secret
from conformance.peer.script import How, Script
from conformance.wire.handshake import Assembler
from conformance.wire.secrets import Suite

KEPT_DATAGRAMS: Final = 32
"""Datagrams of each kind that are kept, the first, for `replay` and `reflect`."""
KEPT_ENTRIES: Final = 2_000
"""Entries of the log that are kept, the latest."""
HELD_RECORDS: Final = 32
"""Records of epoch 1 that wait for the keys, for the ChangeCipherSpec, or for the Finished."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a peer's log: `sent`, `got` or `note`; messages of a datagram, or what is to be said."""

    time: int
    way: str
    what: tuple[str, ...]
    size: int = 0
    """Bytes of the datagram."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Something to say: its content is settled, its records are made anew for each transmission."""

    name: str
    content_type: int
    """Of its records; -1: it is a datagram as it stands, or a reference to one."""
    epoch: int = 0
    msg_type: int = -1
    """Of a handshake message, else -1."""
    message_seq: int = 0
    bodies: tuple[tuple[int, bytes], ...] = ((0, b""),)
    """By transmission, 0 for all that are not named."""
    hows: tuple[tuple[int, How], ...] = ()
    """By transmission, 0 for all."""
    only: int = 0
    """The one transmission that it is in, or 0."""
    lost: tuple[int, ...] = ()
    """Transmissions that it is not in."""
    stop: tuple[int, ...] = ()
    """Transmissions after which nothing is said; 0: any."""
    of: tuple[str, str, int] = ("", "", 0)
    """`sent` or `got`, a message, and which: the datagram that is meant."""

    def body(self, sending: int) -> bytes:
        """The handshake body, or the record's content."""
        bodies = dict(self.bodies)
        return bodies.get(sending, bodies[0])


@dataclass(frozen=True, slots=True)
class Held:
    """A record of epoch 1 that came too early."""

    content_type: int
    version: int
    seq: int
    fragment: bytes


@dataclass
class State:
    """A peer's state. Its text form shows no secret."""

    client: bool
    suite: Suite
    script: Script
    identity: Identity
    shown: Shown
    seed: bytes = field(repr=False)
    bound: bytes = field(repr=False)
    """What the server's cookie is bound to."""
    peer_name: str = ""
    """The common name that the other side's certificate must have; empty: any."""

    # --- the handshake
    client_random: bytes = bytes(32)
    server_random: bytes = bytes(32)
    cookie: bytes = b""
    offered_ems: bool = False
    """Whether the ClientHello, as sent or got, had the extension; likewise `agreed_ems` of the ServerHello."""
    agreed_ems: bool = False
    offered_renegotiation_info: bool = False
    offered_point_formats: bool = False
    transcript: bytearray = field(default_factory=bytearray, repr=False)
    peer_point: bytes = b""
    peer_chain: tuple[bytes, ...] = ()
    certificate_requested: bool = False
    keys: Keys | None = None
    secrets: list[tuple[bytes, bytes]] = field(default_factory=list, repr=False)

    # --- going out
    next_seq: int = 0
    """`message_seq` of the next message."""
    records: dict[int, int] = field(default_factory=dict)
    """By epoch, the sequence number of the next record."""
    said: dict[str, int] = field(default_factory=dict)
    """How many messages of each name the honest flow has had."""
    flight: list[Prepared] = field(default_factory=list, repr=False)
    sendings: int = 0
    """Transmissions of the flight."""
    silent: bool = False
    ready: list[bytes] = field(default_factory=list, repr=False)
    late: list[tuple[int, int, tuple[str, ...], bytes]] = field(default_factory=list, repr=False)
    """Due time, number, messages, datagram."""
    lateness: int = 0

    # --- coming in
    assembler: Assembler = field(default_factory=Assembler, repr=False)
    expected: str = ""
    """The last message that the other side said in order."""
    ccs: bool = False
    """Whether the other side's ChangeCipherSpec came."""
    finished: bool = False
    """Whether its Finished came (and, unless the script takes anything, verified)."""
    highest: int = -1
    window: int = 0
    """The highest number of its records in epoch 1, and a bit for each of the 64 before and including it."""
    held: deque[Held] = field(default_factory=lambda: deque(maxlen=HELD_RECORDS), repr=False)
    received: list[bytes] = field(default_factory=list, repr=False)
    received_size: int = 0

    # --- as a whole
    now: int = 0
    established: bool = False
    ended: str = ""
    """Why the session is over, or empty."""
    verified: bool = False
    """Client: whether a HelloVerifyRequest was answered."""
    closing: bool = False
    closed: bool = False
    """Whether an own close_notify went out."""
    peer_closed: bool = False
    """Whether the other side's came, authenticated."""
    to_send: list[bytes] = field(default_factory=list, repr=False)
    timer: int | None = None
    timeouts: int = 0
    step: int = 0
    step_due: int | None = None
    arrived: list[str] = field(default_factory=list)
    """Messages that came and that no step has waited for."""
    log: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT_ENTRIES), repr=False)
    datagrams: dict[tuple[str, str], list[bytes]] = field(default_factory=dict, repr=False)
    """By `sent` or `got` and message."""

    @property
    def name(self) -> str:
        """`client` or `server`."""
        return "client" if self.client else "server"

    @property
    def ephemeral(self) -> Ephemeral:
        """The own half of the key exchange."""
        return Ephemeral(self.script.curve, derive(self.seed, "ephemeral"))

    @property
    def ems(self) -> bool:
        """Whether both sides want the extended master secret."""
        return self.offered_ems and self.agreed_ems

    def note(self, time: int, *what: str) -> None:
        """Put a line into the log."""
        self.log.append(Entry(time, "note", what))

    def keep(self, time: int, way: str, names: tuple[str, ...], datagram: bytes) -> None:
        """Log a datagram and keep it for `replay` and `reflect`."""
        self.log.append(Entry(time, way, names, len(datagram)))
        for name in dict.fromkeys(names):
            kept = self.datagrams.setdefault((way, name), [])
            if len(kept) < KEPT_DATAGRAMS:
                kept.append(datagram)

    def make_keys(self) -> Keys:
        """The session's keys from what was said so far. Without a usable point of the other side they are nobody's."""
        premaster = self.ephemeral.premaster(self.peer_point) or derive(self.seed, "no premaster")
        session_hash = digest(self.suite, bytes(self.transcript)) if self.ems else None
        master = master_secret(self.suite, premaster, self.client_random + self.server_random, session_hash)
        return Keys.derive(self.suite, master, self.client_random, self.server_random)

    def settle_keys(self) -> None:
        """The ClientKeyExchange was said: the keys are those of this moment."""
        self.keys = self.make_keys()
        self.secrets.append((self.client_random, self.keys.master))
