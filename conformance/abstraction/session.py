"""What the abstraction remembers: who the IUT is, and its DTLS sessions as an onlooker with the key log sees them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Final

from conformance.abstraction.proof import Key
from conformance.wire.certificates import Authorities, Seen
from conformance.wire.handshake import Assembler, ClientHello
from conformance.wire.records import Record
from conformance.wire.secrets import RSA_SUITES, SUITES, KeyLog, SessionKeys
from model.alphabet import SSS_ID, Ca, Output

WINDOW: Final = 64
"""Records in a receiver's replay window (RFC 6347, section 4.1.2.6)."""

KEPT_AHEAD: Final = 3
"""Handshake messages beyond the next one that a controller keeps. RFC 6347, section 4.2.2, leaves the number open; it
is that of Mbed TLS (four with the next one), on which firmware and reference are built."""


@dataclass
class Identity:
    """The IUT's id and the keys that it may present; which authority stands behind a certificate."""

    me: int
    authorities: Authorities
    """With the labels `PROVISIONING` and, once it exists, `RUNTIME`."""
    provisioning_key: bytes
    """DER SubjectPublicKeyInfo of the provisioned certificate."""
    runtime_key: bytes | None = None
    """The same of the latest runtime certificate."""
    suite: int = 0
    """The deployment's cipher suite (DTL-2); 0 if that is not known."""
    cn_pattern: str = "{id}"
    """How the deployment makes a provisioning CN of a SED's id (CRT-7)."""
    wide_response: bool = False
    """Registration responses have the historic header of 22 bytes (section 6)."""

    @property
    def rsa(self) -> bool:
        """Whether the deployment exchanges keys by RSA."""
        return self.suite in RSA_SUITES

    def peer_certificate(self, chain: tuple[bytes, ...]) -> tuple[Ca, int]:
        """Authority and SCEWL id of a peer's certificate; id 0 if its CN is no id."""
        if not chain:
            return Ca.OTHER, 0
        seen = self.authorities.classify(chain[0])
        return _ca(seen.ca_label), self._id(seen)

    def own_certificate(self, chain: tuple[bytes, ...]) -> Ca:
        """Authority of the certificate that the IUT presents: OTHER unless the name and the key are its own."""
        if not chain:
            return Ca.OTHER
        seen = self.authorities.classify(chain[0])
        ca = _ca(seen.ca_label)
        if self._id(seen) != self.me:
            return Ca.OTHER
        if ca is Ca.PROVISIONING:
            return ca if seen.public_key == self.provisioning_key else Ca.OTHER
        if ca is Ca.RUNTIME:
            return ca if seen.public_key == self.runtime_key else Ca.STALE
        return ca

    def _id(self, seen: Seen) -> int:
        """The id that a CN stands for. The pattern is that of provisioning CNs, but for the SSS's, which is `1`."""
        if seen.cn is None or seen.ca_label != "PROVISIONING" or seen.cn == str(SSS_ID):
            return _id(seen.cn)
        head, _, tail = self.cn_pattern.partition("{id}")
        whole = seen.cn.startswith(head) and seen.cn.endswith(tail) and len(seen.cn) >= len(head) + len(tail)
        return _id(seen.cn[len(head) : len(seen.cn) - len(tail)]) if whole else 0


def _ca(label: str | None) -> Ca:
    return Ca[label] if label is not None else Ca.OTHER


def _id(cn: str | None) -> int:
    """The id in decimal that a CN is (CRT-7), else 0."""
    if cn is None or not cn.isascii() or not cn.isdigit() or str(int(cn)) != cn or int(cn) > 0xFFFF:
        return 0
    return int(cn)


@dataclass
class Window:
    """A receiver's replay window (RFC 6347, section 4.1.2.6)."""

    top: int = -1
    seen: set[int] = field(default_factory=set)

    def take(self, seq: int, *, note: bool = True) -> bool:
        """Whether this number is neither a replay nor too old; notes it."""
        if seq in self.seen or seq <= self.top - WINDOW:
            return False
        if not note:
            return True
        self.seen.add(seq)
        self.top = max(self.top, seq)
        return True


@dataclass
class Session:
    """One DTLS session of the IUT with a peer."""

    peer: int
    client: bool
    """Whether the IUT is the client."""
    client_random: bytes
    inbound: Assembler
    server_random: bytes = b""
    hello_seq: int = 0
    """As a server: the `message_seq` of the hello that is being served."""
    rsa: bool = False
    """The deployment exchanges keys by RSA."""
    suite: int = 0
    change_cipher_spec: bool = False
    """The peer's ChangeCipherSpec came."""
    finished: int | None = None
    """Number of the peer's first authenticated handshake record, or of the one with which its Finished was whole."""
    closing: list[tuple[int, bytes]] = field(default_factory=list)
    """The peer's authenticated handshake records before the handshake was complete, and their numbers."""
    early: list[Record] = field(default_factory=list)
    """Sealed records of the peer that came before the session's secret was known."""
    own_finished: Record | None = None
    """As a client: the record of the IUT's Finished."""
    heard: int = 0
    """How many plaintext messages of the peer's flight came, in their order."""
    spoiled: bool = False
    """The peer has said what no controller goes on after."""
    poked: bool = False
    """A message that is none of the peer's has come in this step, with the number of one of its messages before."""
    latest_flight: Output | None = None
    """The IUT's latest handshake flight."""
    asked_again: bool = False
    """The peer has asked for another handshake, and has had no answer."""
    offer: ClientHello | None = None
    """As a client: the IUT's latest hello; `offer_seq` is its message_seq."""
    offer_seq: int = -1
    signatures: tuple[int, ...] = ()
    """As a client: the signature algorithms that the IUT's hello names."""
    established: bool = False
    """The peer's flight 5 or 6 is whole."""
    collected: bytearray = field(default_factory=bytearray)
    """Application data from the peer, authenticated, in the order of its coming."""
    sent: bytearray = field(default_factory=bytearray)
    """Application data from the IUT."""
    sent_largest: int = 0
    """The largest record of application data from the IUT, bytes."""
    sent_numbers: set[tuple[int, int]] = field(default_factory=set)
    """Epoch and number of the IUT's records: none may come twice (RFC 6347, section 4.1)."""
    response_told: bool = False
    transcript: bytearray = field(default_factory=bytearray)
    """Handshake messages from the cookie-bearing ClientHello on, each as one fragment (RFC 6347, section 4.2.6)."""
    transcribed: set[int] = field(default_factory=set)
    """The `message_seq` of the IUT's messages in it."""
    peer_certificate: bytes = b""
    """The peer's own certificate, DER."""
    peer_key: Key | None = None
    """The key of the peer's certificate, if it is one of this profile (DTL-2)."""
    _keys: SessionKeys | None = None
    _windows: dict[int, Window] = field(default_factory=dict)

    def fork(self) -> Session:
        """An independent copy."""
        return replace(
            self,
            inbound=copy.deepcopy(self.inbound),
            closing=list(self.closing),
            early=list(self.early),
            collected=bytearray(self.collected),
            sent=bytearray(self.sent),
            sent_numbers=set(self.sent_numbers),
            transcript=bytearray(self.transcript),
            transcribed=set(self.transcribed),
            _windows={epoch: Window(w.top, set(w.seen)) for epoch, w in self._windows.items()},
        )

    def open(self, record: Record, keylog: KeyLog, *, inbound: bool) -> bytes | None:
        """The plaintext of a record of epoch 1; None if it does not authenticate, or its secret is unknown."""
        if self._keys is None:
            self._keys = keylog.keys(self.client_random, self.server_random, self.suite)
        if self._keys is None:
            return None
        return self._keys.open(record, from_client=inbound != self.client)

    @property
    def of_profile(self) -> bool:
        """Whether the cipher suite is one of the profile, as far as it is known: another one has other messages."""
        known = self.suite in (RSA_SUITES if self.rsa else SUITES)
        offered = known or self.offer is None or self.suite not in self.offer.suites
        return offered if self.client else known

    @property
    def keys(self) -> SessionKeys | None:
        """The keys, once they were needed and known."""
        return self._keys

    def fresh(self, record: Record, *, note: bool = True) -> bool:
        """Whether the replay window of the record's epoch lets it through (DTL-4); notes it. Authenticate it first."""
        return self._windows.setdefault(record.epoch, Window()).take(record.seq, note=note)
