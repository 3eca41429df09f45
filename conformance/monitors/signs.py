"""The alphabet of the monitors: one thing that one party did, as far as an onlooker can tell.

A sign says nothing that the onlooker does not know: a fact that is not in `facts` is unknown, and no condition of a
monitor holds for what is unknown. So a capture without secrets, or a model's trace without bytes, raises fewer alarms,
and never other ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from conformance.sessions.seen import Protection
from model.alphabet import Link


class Kind(StrEnum):
    """What was done. Handshake messages have the RFC's names; a fragmented one counts once, at its first fragment."""

    HELLO = "hello"
    """ClientHello without a cookie."""
    HELLO_WITH_COOKIE = "hello-with-cookie"
    VERIFY_REQUEST = "verify-request"
    SERVER_HELLO = "server-hello"
    CERTIFICATE = "certificate"
    SERVER_KEY_EXCHANGE = "server-key-exchange"
    CERTIFICATE_REQUEST = "certificate-request"
    SERVER_HELLO_DONE = "server-hello-done"
    CLIENT_KEY_EXCHANGE = "client-key-exchange"
    CERTIFICATE_VERIFY = "certificate-verify"
    FINISHED = "finished"
    HELLO_REQUEST = "hello-request"
    NEW_SESSION_TICKET = "new-session-ticket"
    CCS = "ccs"
    ALERT = "alert"
    """Any but close_notify; in epoch 1 without secrets, any at all."""
    CLOSE = "close"
    DATA = "data"
    RECORD = "record"
    """Any DTLS record; what is in it follows as signs of its own."""
    DATAGRAM = "datagram"
    """Any frame on the radio or the SSS wire, except the FAA's; its records follow."""
    REQUEST = "request"
    """The CPU asks its controller for the SSS."""
    ANSWER = "answer"
    """The controller answers its CPU's request."""
    DELIVER = "deliver"
    """The controller gives its CPU a peer's message."""
    BOOT = "boot"
    """A power cycle: nothing before it obliges to anything."""


HANDSHAKE: Final = frozenset(
    {
        Kind.HELLO,
        Kind.HELLO_WITH_COOKIE,
        Kind.VERIFY_REQUEST,
        Kind.SERVER_HELLO,
        Kind.CERTIFICATE,
        Kind.SERVER_KEY_EXCHANGE,
        Kind.CERTIFICATE_REQUEST,
        Kind.SERVER_HELLO_DONE,
        Kind.CLIENT_KEY_EXCHANGE,
        Kind.CERTIFICATE_VERIFY,
        Kind.FINISHED,
        Kind.HELLO_REQUEST,
        Kind.NEW_SESSION_TICKET,
    }
)
CLIENT, SERVER = "client", "server"
NO_FACTS: Final[Mapping[str, Any]] = MappingProxyType({})


class Sign(NamedTuple):
    """One thing that a party did."""

    kind: Kind
    by: int
    """SCEWL id of the party, as the frame claims it."""
    to: int
    """On the CPU link the device that the frame is for or from: the SSS of a request, a message's source."""
    tap: int
    """SCEWL id of the SED at whose controller it was seen."""
    own: bool
    """Whether that controller sent it: then it is certainly its own. Else `by` is what the frame claims."""
    time_us: int = 0
    frame: int = 0
    """Number of the frame in the capture, or of the step in a trace."""
    link: Link = Link.RADIO
    session: int = 0
    """Number of the DTLS session, 0 for none."""
    role: str = ""
    """`client` or `server` of that session, empty if that cannot be told."""
    client_random: bytes = b""
    server_random: bytes = b""
    """With the session's number it tells a handshake that an attacker opened again with an old hello from the first."""
    epoch: int = 0
    number: int = -1
    """The record's number in its epoch, -1 for none."""
    version: int = 0
    protection: Protection = Protection.PLAIN
    message_seq: int = -1
    mark: bytes = b""
    """Two signs of one kind have equal marks if and only if their bytes are equal; empty if the bytes are not known."""
    complete: bool = False
    """Whether the capture vouches for all of the controller's frames: only then does absence tell anything."""
    facts: Mapping[str, Any] = NO_FACTS

    @property
    def peer(self) -> int:
        """The party at the other end of the controller's link; on the CPU link, whom the frame is from or for."""
        return self.to if self.own or self.link is Link.CPU else self.by

    def part(self, name: str) -> Any:
        """A part of a key: as `value`, but before the ServerHello an empty random tells the handshake as well."""
        return self.server_random if name == "server_random" else self.value(name)

    def value(self, name: str) -> Any:
        """A field, the peer, or a fact by name; None if it is unknown."""
        if name in FIELDS:
            value = getattr(self, name)
            return None if value == UNKNOWN.get(name) else value
        return self.facts.get(name)


UNKNOWN: Final[Mapping[str, Any]] = MappingProxyType(
    {"mark": b"", "message_seq": -1, "number": -1, "client_random": b"", "server_random": b""}
)
"""What these fields hold where nothing is known."""
FIELDS: Final = frozenset({*Sign._fields, "peer"})

FACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gapless": "bool: every epoch-0 record of this sender in this session up to this one was seen",
        "again": "bool: the bytes came before, in another record",
        "contradicts": "bool: of a record, whether other bytes came before for a place of a message in it",
        "cookie": "bytes: the hello's or HelloVerifyRequest's cookie; of a ServerHello the latest that a hello had",
        "suites": "tuple: what a hello offers",
        "session_id": "bytes",
        "hello_version": "int: client_version or server_version",
        "offers": "bytes: digest of all that a hello must repeat (RFC 6347, section 4.2.1)",
        "suite": "int: what a ServerHello chose",
        "suite_offered": "bool: whether a hello of the session offered it",
        "extensions_offered": "bool: whether a hello of the session offered every extension of the ServerHello",
        "compression": "int: what a ServerHello chose",
        "resumes": "bool: whether a ServerHello repeats the session id that the hello asked for",
        "empty": "bool: whether a Certificate has no certificate",
        "wrong": "bool: whether a Finished's verify_data does not fit the transcript",
        "fatal": "bool: an alert's level",
        "nonce": "bytes: the explicit nonce of a record that an AEAD suite sealed",
        "size": "int: bytes of the payload",
        "ships_key": "bool: whether a registration response holds a private key",
        "suite_in_use": "int: the session's cipher suite",
        "intact": "bool: whether a delivered message is the one that the peer's records hold, all of them seen",
        "gap": "bool: whether it is what came although a record between is missing",
        "twice": "bool: whether a record that came twice is in it twice",
        "disordered": "bool: whether its records are in the order of their coming, not of their numbers",
        "lone_plaintext": "bool: whether it is what a plaintext record of its source held, no protected data since",
        "as_given": "bool: with a CLOSE, whether the session carried a message that the CPU gave for that peer",
        "carried": "int: with a CLOSE, bytes of application data that its sender sent in the session",
        "offers_weak": "bool: whether a hello offers a weak suite",
        "opening": "bool: whether a record holds a ClientHello or a HelloVerifyRequest",
        "verify_request": "bool: whether a record holds a HelloVerifyRequest",
    }
)
"""What may be in `Sign.facts`."""
