"""What the records between two parties were: facts for a purpose's `evidence`, and words for what was said.

A deviation is worth nothing if it never went out. Its purpose therefore names facts of the frames at the IUT's
boundary, decoded by `conformance.wire`, which shares nothing with the peer that sent them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from conformance.abstraction.proof import keys_proved, proves, public_key
from conformance.wire.certificates import Authorities
from conformance.wire.handshake import (
    Assembler,
    Certificate,
    CertificateVerify,
    ClientHello,
    Fragment,
    HandshakeType,
    Message,
    ServerHello,
    parse_fragments,
    parse_message,
)
from conformance.wire.records import (
    AlertCode,
    ContentType,
    Malformed,
    Record,
    parse_alert,
    parse_datagram,
)
from conformance.wire.secrets import KeyLog, SessionKeys

FACTS: Final[dict[str, type]] = {
    # of a datagram
    "iut": int,
    "records": int,
    "place": int,
    "malformed": int,
    # of a record
    "type": int,
    "version": int,
    "epoch": int,
    "seq": int,
    "sealed": int,
    "again": int,
    # of a fragment
    "handshake": int,
    "message_seq": int,
    "total": int,
    "offset": int,
    "size": int,
    # of a whole message
    "chain": int,
    "cn": str,
    "issued": int,
    "curve": str,
    "signed": int,
    "suite": int,
    "cookie": int,
    "extensions": str,
    "verified": int,
    # of an alert
    "level": int,
    "code": int,
    # of any
    "hex": str,
    "count": int,
}
"""The facts that evidence can name and their types; `docs/purposes.md` says what they mean."""

_MODES: Final = {HandshakeType.HELLO_VERIFY_REQUEST: "verify-request", HandshakeType.SERVER_HELLO_DONE: "flight4"}


class Watch:
    """Follows two parties: each datagram becomes facts, one table per fragment or record.

    `keylog` may grow meanwhile; `authorities` say whose a certificate is.
    """

    def __init__(self, keylog: KeyLog, authorities: Authorities) -> None:
        self._keylog, self._authorities = keylog, authorities
        self._client = 0
        self._client_random = b""
        self._server_random = b""
        self._suite = 0
        self._hello_number = 0
        self._transcript = bytearray()
        self._chains: dict[int, tuple[bytes, ...]] = {}
        self._assemblers: dict[int, Assembler] = {}
        self._seen: set[bytes] = set()

    def datagram(self, source: int, data: bytes) -> list[dict[str, Any]]:
        """The facts in one datagram, in order."""
        records = parse_datagram(data)
        found: list[dict[str, Any]] = []
        for place, record in enumerate(records):
            if isinstance(record, Malformed):
                found.append({"malformed": 1, "size": len(record.data), "hex": record.data.hex()})
                continue
            for facts in self._record(source, record):
                found.append(facts | {"records": len(records), "place": place, "malformed": 0})
        return found

    def _record(self, source: int, record: Record) -> Iterator[dict[str, Any]]:
        raw = record.encode()
        facts = {
            "type": int(record.content_type),
            "version": record.version,
            "epoch": record.epoch,
            "seq": record.seq,
            "again": int(raw in self._seen),
        }
        self._seen.add(raw)
        plaintext: bytes | None = record.fragment
        if record.epoch:
            keys = self._keys()
            plaintext = keys.open(record, source == self._client) if keys else None
            facts["sealed"] = int(plaintext is not None)
        if plaintext is None:
            yield facts | {"size": len(record.fragment), "hex": record.fragment.hex()}
        elif record.content_type is ContentType.HANDSHAKE and plaintext:
            for fragment in parse_fragments(plaintext):
                yield facts | self._fragment(source, fragment, record.epoch)
        else:
            alert = parse_alert(plaintext)
            if record.content_type is ContentType.ALERT and not isinstance(alert, Malformed):
                facts |= {"level": alert.level, "code": alert.code}
            yield facts | {"size": len(plaintext), "hex": plaintext.hex()}

    def _keys(self) -> SessionKeys | None:
        return self._keylog.keys(self._client_random, self._server_random, self._suite)

    def _fragment(self, source: int, fragment: Fragment | Malformed, epoch: int) -> dict[str, Any]:
        if isinstance(fragment, Malformed):
            return {"size": len(fragment.data), "hex": fragment.data.hex()}
        facts: dict[str, Any] = {
            "handshake": int(fragment.type),
            "message_seq": fragment.message_seq,
            "total": fragment.length,
            "offset": fragment.offset,
            "size": len(fragment.body),
            "hex": fragment.body.hex(),
        }
        if fragment.type is HandshakeType.CLIENT_HELLO and fragment.whole and not epoch:
            facts |= self._client_hello(source, Message(fragment.type, fragment.message_seq, fragment.body))
        elif fragment.type is not HandshakeType.HELLO_VERIFY_REQUEST:
            # A ServerHello has the number of the ClientHello (RFC 6347, section 4.2.2).
            assembler = self._assemblers.setdefault(source, Assembler(first=self._hello_number))
            for message in assembler.feed(fragment):
                facts |= self._message(source, message)
        return facts

    def _client_hello(self, source: int, message: Message) -> dict[str, Any]:
        body = parse_message(message)
        if not isinstance(body, ClientHello):
            return {}
        self._client, self._client_random = source, body.random
        self._transcript = bytearray(message.encode())
        self._hello_number = message.message_seq
        self._assemblers = {source: Assembler(first=message.message_seq + 1)}
        return {"suite": body.suites[0], "cookie": len(body.cookie), "extensions": _numbers(body.extensions)}

    def _message(self, source: int, message: Message) -> dict[str, Any]:
        body, before = parse_message(message), bytes(self._transcript)
        self._transcript += message.encode()
        key = public_key(self._chains[source][0]) if self._chains.get(source) else None
        if isinstance(body, ServerHello):
            self._server_random, self._suite = body.random, body.suite
            return {"suite": body.suite, "extensions": _numbers(body.extensions)}
        if isinstance(body, Certificate):
            self._chains[source] = body.chain
            return self._chain(body.chain)
        if isinstance(body, CertificateVerify):
            return {"signed": int(proves(key, body, before))}
        if message.type is HandshakeType.SERVER_KEY_EXCHANGE:
            return {"signed": int(keys_proved(key, self._client_random + self._server_random, message.body))}
        keys = self._keys()
        if message.type is HandshakeType.FINISHED and keys:
            return {"verified": int(keys.verify_data(before, source == self._client) == message.body)}
        return {}

    def _chain(self, chain: tuple[bytes, ...]) -> dict[str, Any]:
        if not chain:
            return {"chain": 0}
        seen = self._authorities.classify(chain[0])
        key = public_key(chain[0])
        return {
            "chain": len(chain),
            "cn": seen.cn or "",
            "issued": int(seen.ca_label is not None),
            "curve": key.curve.name if isinstance(key, EllipticCurvePublicKey) else "",
        }


def _numbers(extensions: Iterable[int]) -> str:
    return " ".join(map(str, sorted(extensions)))


def shown(evidence: Mapping[str, Any], facts: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the facts bear it out: as many of them as `count` says, or at least one, have all that it names.

    It is about what the peer sent, unless it says `iut`.
    """
    wanted = {"iut": 0} | {name: value for name, value in evidence.items() if name not in ("count", "hex")}
    part = evidence.get("hex", "")
    met = sum(
        all(fact.get(name) == value for name, value in wanted.items()) and _holds(fact.get("hex", ""), part)
        for fact in facts
    )
    return met == evidence["count"] if "count" in evidence else met > 0


def _holds(text: str, part: str) -> bool:
    """Whether bytes in hexadecimal hold others."""
    return bytes.fromhex(part) in bytes.fromhex(text)


def words(facts: Iterable[Mapping[str, Any]]) -> list[str]:
    """What an IUT said to a peer: flights by their last part, alerts by their codes, and a message's records as one."""
    said: list[str] = []
    client = False
    for fact in facts:
        word = _word(fact, client)
        client = fact.get("handshake") == HandshakeType.CLIENT_KEY_EXCHANGE or (client and word != "flight5")
        if word and not (word == "data" and said[-1:] == ["data"]):
            said.append(word)
    return said


def _word(fact: Mapping[str, Any], client: bool) -> str:
    match fact.get("type"):
        case ContentType.CHANGE_CIPHER_SPEC:
            return "flight5" if client else "flight6"
        case ContentType.APPLICATION_DATA:
            return "data"
        case ContentType.ALERT if fact.get("code") == AlertCode.CLOSE_NOTIFY:
            return "close"
        case ContentType.ALERT:
            return f"{'alert' if fact.get('level') == 2 else 'warning'} {_code(fact.get('code'))}"
    if fact.get("handshake") == HandshakeType.CLIENT_HELLO:
        return "hello-cookie" if fact.get("cookie") else "hello"
    return _MODES.get(HandshakeType(fact["handshake"]), "") if "handshake" in fact else ""


def _code(code: int | None) -> str:
    if code is None:
        return "unreadable"
    return AlertCode(code).name.lower() if code in set(AlertCode) else str(code)


def told(words_said: list[str], reaction: str) -> bool:
    """Whether what was said is one of the reactions that a purpose asks for."""
    wanted = [w for w in reaction.split(", ") if w]
    return len(words_said) == len(wanted) and all(_same(s, w) for s, w in zip(words_said, wanted, strict=True))


def _same(said: str, wanted: str) -> bool:
    kind, _, codes = wanted.partition(" ")
    said_kind, _, code = said.partition(" ")
    return kind == said_kind and (not codes or code in codes.split("|"))
