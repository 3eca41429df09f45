"""Short labels for datagrams, for ladders and captures, in the field's terms."""

from __future__ import annotations

from conformance.wire.handshake import ClientHello, Fragment, Message, parse_fragments, parse_message
from conformance.wire.records import (
    FATAL,
    WARNING,
    AlertCode,
    ContentType,
    Malformed,
    Record,
    parse_alert,
    parse_datagram,
)
from conformance.wire.secrets import OVERHEAD, SessionKeys

_LEVELS = {WARNING: "warning", FATAL: "fatal"}
_CODES = frozenset(AlertCode)


def describe(datagram: bytes, keys: SessionKeys | None = None) -> str:
    """What a datagram is, such as `ClientHello`, `CCS, Finished (sealed)`, `data #3, 963 B`, `not DTLS, 17 B`.

    The number after `#` is the record's sequence number. `(sealed)` marks what was not opened, for want of `keys`;
    `(does not authenticate)` what `keys` fit in neither direction.
    """
    if not datagram:
        return "empty"
    parts = [_record(entry, keys) if isinstance(entry, Record) else entry for entry in parse_datagram(datagram)]
    if isinstance(parts[0], Malformed):
        return f"not DTLS, {len(datagram)} B"
    return ", ".join(f"malformed, {len(p.data)} B" if isinstance(p, Malformed) else p for p in parts)


def _record(record: Record, keys: SessionKeys | None) -> str:
    if record.epoch == 0:
        return _plain(record, record.fragment)
    if keys is None:
        return f"{_sealed(record)} (sealed)"
    for from_client in (True, False):
        plaintext = keys.open(record, from_client)
        if plaintext is not None:
            return _plain(record, plaintext)
    return f"{_sealed(record)} (does not authenticate)"


def _sealed(record: Record) -> str:
    """A protected record by its header alone: without renegotiation (DTL-4) a handshake message there is a Finished."""
    match record.content_type:
        case ContentType.HANDSHAKE:
            return "Finished"
        case ContentType.APPLICATION_DATA:
            return f"data #{record.seq}, {max(0, len(record.fragment) - OVERHEAD)} B"
        case ContentType.ALERT:
            return f"alert #{record.seq}"
        case ContentType.CHANGE_CIPHER_SPEC:
            return "CCS"


def _plain(record: Record, plaintext: bytes) -> str:
    match record.content_type:
        case ContentType.HANDSHAKE:
            return ", ".join(_fragment(f) for f in parse_fragments(plaintext))
        case ContentType.APPLICATION_DATA:
            return f"data #{record.seq}, {len(plaintext)} B" + (" in plaintext" if record.epoch == 0 else "")
        case ContentType.ALERT:
            return _alert(plaintext)
        case ContentType.CHANGE_CIPHER_SPEC:
            return "CCS" if plaintext == b"\1" else f"malformed CCS, {len(plaintext)} B"


def _fragment(fragment: Fragment | Malformed) -> str:
    if isinstance(fragment, Malformed):
        return f"malformed handshake, {len(fragment.data)} B"
    title = fragment.type.title
    if not fragment.whole:
        return f"{title} (bytes {fragment.offset} to {fragment.offset + len(fragment.body)} of {fragment.length})"
    body = parse_message(Message(fragment.type, fragment.message_seq, fragment.body))
    if isinstance(body, Malformed):
        return f"malformed {title}, {fragment.length} B"
    return f"{title} with cookie" if isinstance(body, ClientHello) and body.cookie else title


def _alert(plaintext: bytes) -> str:
    alert = parse_alert(plaintext)
    if isinstance(alert, Malformed):
        return f"malformed alert, {len(plaintext)} B"
    if alert.close_notify:
        return "close_notify"
    level = _LEVELS.get(alert.level, f"level {alert.level}")
    name = AlertCode(alert.code).name.lower() if alert.code in _CODES else "unassigned"
    return f"alert {level} {name}({alert.code})"
