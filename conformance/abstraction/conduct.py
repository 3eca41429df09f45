"""Whether what a peer says in a handshake is what the profile and the RFCs allow at that place.

A message that is not may end the handshake with an alert, and never brings it further.
"""

from __future__ import annotations

import struct
import warnings
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from conformance.abstraction.proof import keys_proved, proves, public_key
from conformance.abstraction.session import Session
from conformance.wire.handshake import (
    Assembler,
    Certificate,
    CertificateVerify,
    ClientHello,
    HandshakeType,
    Message,
    ServerHello,
    parse_fragments,
)
from conformance.wire.records import DTLS_1_2, Malformed
from conformance.wire.secrets import RSA_SUITES, SUITES, SessionKeys

P_256: Final = 23
"""The one curve (DTL-2), by its number in RFC 8422."""
POINT: Final = 65
"""Bytes of an uncompressed point on it."""
ECDSA_SHA256: Final = 0x0403
RSA_SHA256: Final = 0x0401
RSA_BITS: Final = 2_048
"""Of every RSA key, in a deployment that has them."""
GROUPS, SIGNATURES, RENEGOTIATION_INFO = 10, 13, 0xFF01
"""Extension types (RFC 8422, RFC 5246, RFC 5746)."""
FLIGHTS: Final = {
    True: (
        HandshakeType.SERVER_HELLO,
        HandshakeType.CERTIFICATE,
        HandshakeType.SERVER_KEY_EXCHANGE,
        HandshakeType.CERTIFICATE_REQUEST,
        HandshakeType.SERVER_HELLO_DONE,
    ),
    False: (HandshakeType.CERTIFICATE, HandshakeType.CLIENT_KEY_EXCHANGE, HandshakeType.CERTIFICATE_VERIFY),
}
"""The plaintext messages of the peer's flight, in their order (RFC 5246, section 7.3); by whether the IUT is the
client. With RSA key exchange there is no ServerKeyExchange."""
_RSA_FLIGHTS: Final = {
    of_server: tuple(kind for kind in kinds if kind is not HandshakeType.SERVER_KEY_EXCHANGE)
    for of_server, kinds in FLIGHTS.items()
}
_KNOWN: Final = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}
"""Extensions that may be critical."""
_ROLES: Final = {
    True: {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE},
    False: {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE},
}


def acceptable_offer(hello: ClientHello, suite: int) -> bool:
    """Whether a server of the profile can agree to this hello; `suite` is the deployment's, 0 if that is not known."""
    groups = _numbers(hello.extensions[GROUPS]) or () if GROUPS in hello.extensions else (P_256,)
    signatures = _numbers(hello.extensions.get(SIGNATURES)) or ()
    suites = {suite} if suite else set(SUITES)
    return (
        hello.version >> 8 == DTLS_1_2 >> 8
        and hello.version <= DTLS_1_2  # versions count downwards
        and bool(suites & set(hello.suites))
        and (suite in RSA_SUITES or P_256 in groups)
        and (RSA_SHA256 if suite in RSA_SUITES else ECDSA_SHA256) in signatures
        and hello.extensions.get(RENEGOTIATION_INFO, b"\0") == b"\0"
    )


def offered_signatures(hello: ClientHello) -> tuple[int, ...]:
    """The signature algorithms that a ClientHello names."""
    return _numbers(hello.extensions.get(SIGNATURES)) or ()


def in_order(session: Session, kind: HandshakeType) -> bool:
    """Whether the peer's next plaintext message may be of this kind; notes it if so."""
    kinds = peers_flight(session)
    if session.heard >= len(kinds) or kinds[session.heard] != kind:
        return False
    session.heard += 1
    return True


def flight_whole(session: Session) -> bool:
    """Whether all plaintext messages of the peer's flight came."""
    return session.heard == len(peers_flight(session))


def peers_flight(session: Session) -> tuple[HandshakeType, ...]:
    """The plaintext messages of the peer's flight, in their order."""
    return flight(session.client, session.rsa)


def flight(of_server: bool, rsa: bool) -> tuple[HandshakeType, ...]:
    """The plaintext messages of flight 4 or 5, in their order."""
    return (_RSA_FLIGHTS if rsa else FLIGHTS)[of_server]


def hear_finished(session: Session) -> bool:
    """Whether the peer's Finished is whole; spoils the session if it is wrong, as far as the handshake and its secret
    are known (RFC 5246, section 7.4.9). It may come in fragments, in any order."""
    own = flight(not session.client, session.rsa)  # hellos of a client and Finished apart
    known = len(session.transcribed) >= len(own) and flight_whole(session)
    if not isinstance(session.keys, SessionKeys) or not session.of_profile or not known:
        return True
    assembler = Assembler(first=session.inbound.next_seq)
    for seq, plaintext in session.closing:
        session.finished = seq
        fragments = parse_fragments(plaintext)
        for fragment in fragments:
            if isinstance(fragment, Malformed):
                session.spoiled = True
                return True
            if messages := assembler.feed(fragment):
                transcript = bytes(session.transcript)
                if session.own_finished is not None:  # the server's Finished is over the client's, too
                    transcript += session.keys.open(session.own_finished, from_client=True) or b""
                wanted = session.keys.verify_data(transcript, from_client=not session.client)
                right = messages[0].type is HandshakeType.FINISHED and messages[0].body == wanted
                session.spoiled |= not right or fragment is not fragments[-1]
                return True
    return False


def acceptable(session: Session, message: Message, body: object, before: bytes) -> bool:
    """Whether a message's content is; `before` are the handshake's messages so far."""
    if isinstance(body, Malformed):
        return False
    if isinstance(body, ServerHello):
        return _server_hello(session, body)
    if isinstance(body, CertificateVerify):
        # Mbed TLS 2.28 signs with its suite's hash, whatever was asked for: any hash that `proves` knows will do.
        return proves(session.peer_key, body, before)
    match message.type:
        case HandshakeType.SERVER_KEY_EXCHANGE:
            return _server_key_exchange(session, message.body)
        case HandshakeType.CLIENT_KEY_EXCHANGE:
            if session.rsa:
                return message.body[:2] == (RSA_BITS // 8).to_bytes(2, "big") and len(message.body) == 2 + RSA_BITS // 8
            return message.body[:1] == bytes([POINT]) and _on_curve(message.body[1:])
        case HandshakeType.CERTIFICATE_REQUEST:
            return _certificate_request(message.body)
        case HandshakeType.SERVER_HELLO_DONE:
            return not message.body
    return True


def usable(body: Certificate, server: bool, rsa: bool = False) -> bool:
    """Whether the first certificate's key is one of the profile and the certificate may be used for it (RFC 5280,
    sections 4.2 and 4.2.1.12). Its name and its authority are judged elsewhere."""
    return bool(body.chain) and _usable(body.chain[0], server, rsa)


@lru_cache(256)
def _usable(certificate: bytes, server: bool, rsa: bool) -> bool:
    key = public_key(certificate)
    if rsa:
        if not isinstance(key, RSAPublicKey) or key.key_size != RSA_BITS:
            return False
    elif not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            extensions = x509.load_der_x509_certificate(certificate).extensions
            if any(e.critical and e.oid not in _KNOWN for e in extensions):
                return False
            usages = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except x509.ExtensionNotFound:
            return True
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
            return False
    return bool(usages & _ROLES[server])


def _server_hello(session: Session, hello: ServerHello) -> bool:
    offer = session.offer
    return offer is None or (
        hello.version == DTLS_1_2
        and hello.suite in offer.suites
        and hello.compression == 0
        and hello.extensions.keys() <= offer.extensions.keys() | {RENEGOTIATION_INFO}
        and hello.extensions.get(RENEGOTIATION_INFO, b"\0") == b"\0"
    )


def _server_key_exchange(session: Session, body: bytes) -> bool:
    head, algorithm = b"\x03" + P_256.to_bytes(2, "big") + bytes([POINT]), body[4 + POINT :][:2]
    return (
        body[:4] == head
        and _on_curve(body[4 : 4 + POINT])
        and int.from_bytes(algorithm, "big") in session.signatures
        and keys_proved(session.peer_key, session.client_random + session.server_random, body)
    )


def _certificate_request(body: bytes) -> bool:
    """Three lists behind their lengths, and nothing else: types, signature algorithms, authorities."""
    for width in (1, 2, 2):
        end = width + int.from_bytes(body[:width], "big")
        if len(body) < end:
            return False
        body = body[end:]
    return not body


def _on_curve(point: bytes) -> bool:
    if len(point) != POINT or point[0] != 4:
        return False
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError:
        return False
    return True


def _numbers(data: bytes | None) -> tuple[int, ...] | None:
    """A list of 16-bit numbers behind its length in bytes; None if it is none."""
    if data is None or len(data) < 2 or int.from_bytes(data[:2], "big") != len(data) - 2 or len(data) % 2:
        return None
    return struct.unpack(f">{len(data) // 2 - 1}H", data[2:])
