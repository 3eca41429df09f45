"""One session as the tracker remembers it."""

from __future__ import annotations

import hashlib
from typing import Final

from conformance.sessions.assembly import Flow
from conformance.sessions.protection import CIPHER_SUITES, Keys, derive
from conformance.sessions.secrets import Secrets
from conformance.sessions.seen import SeenSession
from conformance.wire.handshake import (
    EXTENDED_MASTER_SECRET,
    Certificate,
    ClientHello,
    HandshakeType,
    Message,
    ServerHello,
    parse_message,
)
from conformance.wire.records import Record
from conformance.wire.secrets import MASTER_SIZE, prf

MAX_REMEMBERED: Final = 256
"""Records that a side remembers, to know replays."""
ENCRYPT_THEN_MAC: Final = 22
"""Extension type, RFC 7366."""


MATTERING: Final = frozenset({HandshakeType.SERVER_HELLO, HandshakeType.CLIENT_KEY_EXCHANGE})
"""Messages that `Session.take` looks into."""


class Side:
    """What one device sent in a session."""

    __slots__ = ("_records", "change_cipher_spec", "data_begun", "expected", "flow", "sealed_finished")

    def __init__(self) -> None:
        self.flow = Flow()
        self._records: dict[int, tuple[int, int]] = {}
        """By epoch << 48 | number: the frame that had it, and a hash of it."""
        self.expected: dict[int, int] = {}
        """By epoch, 0 and 1: the number that follows the largest so far."""
        self.change_cipher_spec = 0
        """Number of the frame with the first ChangeCipherSpec; 0 before."""
        self.sealed_finished = 0
        """The same of the first handshake record of epoch 1 that was not opened."""
        self.data_begun = False
        """Whether application data came."""

    @property
    def held(self) -> int:
        """Bytes, pieces and records that are remembered."""
        return self.flow.held + len(self._records)

    def earlier(self, record: Record) -> tuple[int, bool]:
        """In which earlier frame the record's number was, or 0, and whether it was the same record."""
        found = self._records.get(record.epoch << 48 | record.seq)
        return (0, False) if found is None else (found[0], found[1] == _digest(record))

    def remember(self, record: Record, number: int) -> tuple[int, bool]:
        """Note a record of frame `number`, if its number is new; return what `earlier` does."""
        key, records = record.epoch << 48 | record.seq, self._records
        found = records.get(key)
        if found is not None:
            return found[0], found[1] == _digest(record)
        if len(records) >= MAX_REMEMBERED:
            del records[next(iter(records))]
        records[key] = (number, _digest(record))
        return 0, False


def _encoded(message: Message) -> bytes:
    """The message as one fragment, as `Message.encode` has it, in a fifth of the time."""
    length = len(message.body).to_bytes(3)
    return b"%c%b%b\0\0\0%b%b" % (message.type, length, message.message_seq.to_bytes(2), length, message.body)


def _digest(record: Record) -> int:
    return hash(record.fragment) ^ record.content_type ^ record.version << 8


class Session:
    """A session in the making, or made. `pair` is where the tracker keeps it."""

    def __init__(self, number: int, pair: tuple[int, int, int, int], client: int, server: int, random: bytes) -> None:
        self.number = number
        self.pair = pair
        self.client, self.server = client, server
        self.client_random = random
        self.server_random = b""
        self.suite = 0
        self.keys: Keys | None = None
        self.refused = False
        """The server's RSA key is known, and the ClientKeyExchange does not fit it: nothing will open."""
        self.sides = {pair[2]: Side(), pair[3]: Side()}
        self._encrypt_then_mac = self._extended = False
        self._master = b""
        self._seen: SeenSession | None = None

    @property
    def late(self) -> bool:
        """Whether it began before the capture."""
        return not self.client_random

    def seen(self) -> SeenSession:
        """As it stands."""
        if self._seen is None:
            self._seen = SeenSession(
                self.number,
                self.client,
                self.server,
                self.client_random,
                self.server_random,
                self.suite,
                self.keys is not None,
            )
        return self._seen

    def set_roles(self, client: int, server: int) -> None:
        """Note who is who, once messages tell."""
        self.client, self.server = client, server
        self._seen = None

    def set_random(self, client_random: bytes) -> None:
        """Note the client random, once a ClientHello tells it."""
        self.client_random = client_random
        self._seen = None

    def take(self, message: Message, secrets: Secrets) -> str:
        """Look at a message that is whole; return what is wrong with it, else an empty text."""
        match message.type:
            case HandshakeType.SERVER_HELLO:
                hello = parse_message(message)
                if isinstance(hello, ServerHello):
                    self.server_random, self.suite = hello.random, hello.suite
                    self._encrypt_then_mac = ENCRYPT_THEN_MAC in hello.extensions
                    self._extended = EXTENDED_MASTER_SECRET in hello.extensions
                    self._seen = None
            case HandshakeType.CLIENT_KEY_EXCHANGE:
                return self._take_rsa(message, secrets)
        return ""

    def find_keys(self, secrets: Secrets) -> Keys | None:
        """The keys, if its secret is known by now."""
        if self.keys is None and self.suite and self.client_random:
            master = secrets.master(self.client_random) or self._master
            if master:
                self.keys = derive(
                    self.suite,
                    master,
                    self.client_random,
                    self.server_random,
                    encrypt_then_mac=self._encrypt_then_mac,
                )
                self._seen = None
        return self.keys

    def _take_rsa(self, message: Message, secrets: Secrets) -> str:
        """Plain RSA key exchange: the master secret from the premaster secret (RFC 5246, section 8.1; RFC 7627)."""
        suite = CIPHER_SUITES.get(self.suite)
        if suite is None or not suite.rsa or not self.client_random or secrets.master(self.client_random):
            return ""
        hello = self._hello()
        premaster = secrets.premaster(self._server_certificate(), message.body, hello.version if hello else 0)
        if isinstance(premaster, bool):
            self.refused = premaster
            return "the premaster secret does not open with the server's key" if premaster else ""
        seed = self.client_random + self.server_random
        label = b"master secret"
        if self._extended:
            transcript = self.transcript(HandshakeType.CLIENT_KEY_EXCHANGE)
            if transcript is None:
                return "messages are missing, without which the extended master secret cannot be told"
            label, seed = b"extended master secret", hashlib.new(suite.prf_hash, transcript).digest()
        self._master = prf(suite.prf_hash, premaster, label, seed, MASTER_SIZE)
        return ""

    def _hello(self) -> ClientHello | None:
        hellos = [m for m in self.sides[self.client].flow.messages if m.type is HandshakeType.CLIENT_HELLO]
        body = parse_message(hellos[-1]) if hellos else None
        return body if isinstance(body, ClientHello) else None

    def _server_certificate(self) -> bytes:
        for message in self.sides[self.server].flow.messages:
            if message.type is HandshakeType.CERTIFICATE:
                body = parse_message(message)
                return body.chain[0] if isinstance(body, Certificate) and body.chain else b""
        return b""

    def transcript(self, until: HandshakeType, *, from_client: bool = True) -> bytes | None:
        """All messages of the handshake from the ClientHello with the cookie on (RFC 6347, section 4.2.6).

        Up to and with the client's message of this type; a Finished itself is left out. None if one is missing.
        """
        if not self.client:
            return None
        flows = [self.sides[side].flow for side in (self.client, self.server)]
        if any(flow.lost for flow in flows):
            return None
        client, server = (flow.messages for flow in flows)
        last_hello = max((n for n, m in enumerate(client) if m.type is HandshakeType.CLIENT_HELLO), default=None)
        if last_hello is None:
            return None
        first = [n for n, m in enumerate(server) if m.type is HandshakeType.SERVER_HELLO]
        done = [n for n, m in enumerate(server) if m.type is HandshakeType.SERVER_HELLO_DONE]
        if not first or not done:
            return None
        mine = client[last_hello + 1 :]
        ends = [n for n, m in enumerate(mine) if m.type is until]
        if not ends:
            return None
        kept = [client[last_hello], *server[first[0] : done[0] + 1]]
        if until is not HandshakeType.FINISHED:
            kept += mine[: ends[0] + 1]
        elif from_client:
            kept += mine[: ends[0]]
        else:  # the server's covers the client's, and a ticket if there was one
            kept += mine[: ends[0] + 1]
            kept += [m for m in server[done[0] + 1 :] if m.type is not HandshakeType.FINISHED]
        return b"".join(map(_encoded, kept))
