"""Record numbers, nonces, message_seq and fragments."""

from __future__ import annotations

from conformance.monitors.automaton import (
    BUG,
    GAPLESS,
    OWN,
    START,
    SURE_SESSION,
    Condition,
    Fault,
    Memory,
    Monitor,
    Severity,
    above,
    below,
    differs,
    has,
    rule,
    same,
)
from conformance.monitors.catalogue.order import PARTY_KEY
from conformance.monitors.signs import HANDSHAKE, Kind, Sign
from model.alphabet import MAX_RECORD, MTU

_NUMBERED = HANDSHAKE - {Kind.VERIFY_REQUEST}
"""A HelloVerifyRequest is stateless: it always has message_seq 0 and its ClientHello's record number."""
_STATEFUL = has("verify_request", False)


def _leaps(sign: Sign, memory: Memory) -> bool:
    value, old = sign.value("message_seq"), memory.get("message_seq")
    return value is not None and old is not None and bool(value > old + 1)


_LEAPS = Condition("message_seq > kept message_seq + 1", _leaps, ("message_seq",))

NUMBERS = (
    Monitor(
        id="record-number-reused",
        says="Two different records under one epoch and number.",
        fault=Fault.SENDER,
        requirements=("DTL-4", "DTL-7", "RFC 6347 §4.1", "RFC 5288 §3"),
        severity=Severity.HIGH,
        source="Nonce-Disrespecting Adversaries (Böck et al. 2016); CVE-2026-26014 (Pion DTLS)",
        key=(*PARTY_KEY, "epoch", "number"),
        rules=(
            rule(START, Kind.RECORD, "used", _STATEFUL, SURE_SESSION, keep=("mark",)),
            rule("used", Kind.RECORD, BUG, _STATEFUL, SURE_SESSION, differs("mark")),
        ),
    ),
    Monitor(
        id="nonce-reused",
        says="Two different records of a GCM suite with one explicit nonce.",
        fault=Fault.SENDER,
        requirements=("DTL-2", "RFC 5288 §3"),
        severity=Severity.HIGH,
        source="Nonce-Disrespecting Adversaries (Böck et al. 2016); CVE-2026-26014 (Pion DTLS)",
        key=(*PARTY_KEY, "epoch", "nonce"),
        rules=(
            rule(START, Kind.RECORD, "used", SURE_SESSION, keep=("mark",)),
            rule("used", Kind.RECORD, BUG, SURE_SESSION, differs("mark")),
        ),
    ),
    Monitor(
        id="record-sent-again-under-its-number",
        says="A record goes out a second time as it was; a retransmission needs a new record number.",
        fault=Fault.SENDER,
        requirements=("DTL-7", "RFC 6347 §4.2.4", "RFC 6347 §4.1"),
        severity=Severity.LOW,
        source="RFC 6347 §4.1: receivers drop it as a replay",
        key=(*PARTY_KEY, "epoch", "number"),
        rules=(
            rule(START, Kind.RECORD, "used", _STATEFUL, OWN, SURE_SESSION, keep=("mark",)),
            rule("used", Kind.RECORD, BUG, _STATEFUL, OWN, SURE_SESSION, same("mark")),
        ),
    ),
    Monitor(
        id="record-number-falls",
        says="A record with a lower number than one that was sent before it in the same epoch.",
        fault=Fault.SENDER,
        requirements=("DTL-7", "RFC 6347 §4.1"),
        severity=Severity.LOW,
        source="RFC 6347 §4.1",
        key=(*PARTY_KEY, "epoch"),
        rules=(
            rule(START, Kind.RECORD, "counting", _STATEFUL, OWN, SURE_SESSION, keep=("number",)),
            rule("counting", Kind.RECORD, BUG, _STATEFUL, OWN, SURE_SESSION, below("number")),
            rule("counting", Kind.RECORD, "counting", _STATEFUL, OWN, SURE_SESSION, keep=("number",)),
        ),
    ),
    Monitor(
        id="record-version",
        says="A record, not of a ClientHello or HelloVerifyRequest, of another version than the DTLS 1.2 agreed on.",
        fault=Fault.SENDER,
        requirements=("DTL-1", "RFC 6347 §4.1"),
        severity=Severity.LOW,
        source="RFC 6347 §4.1",
        key=("tap", "session"),
        rules=(
            rule(START, Kind.SERVER_HELLO, "agreed", has("hello_version", 0xFEFD)),
            rule("agreed", Kind.RECORD, BUG, SURE_SESSION, has("opening", False), has("version", 0xFEFF)),
        ),
    ),
    Monitor(
        id="message-seq-reused",
        says="Two different handshake messages under one message_seq.",
        fault=Fault.SENDER,
        requirements=("DTL-7", "RFC 6347 §4.2.2"),
        severity=Severity.MEDIUM,
        source="RFC 6347 §4.2.2; GnuTLS issue 1839 (fragments of two messages merged)",
        key=(*PARTY_KEY, "message_seq"),
        rules=(
            rule(START, _NUMBERED, "used", SURE_SESSION, keep=("kind", "mark")),
            rule("used", _NUMBERED, BUG, SURE_SESSION, differs("kind")),
            rule("used", _NUMBERED, BUG, SURE_SESSION, differs("mark")),
        ),
    ),
    Monitor(
        id="message-seq-leaps",
        says="A message_seq is left out although no record is missing.",
        fault=Fault.SENDER,
        requirements=("DTL-7", "RFC 6347 §4.2.2"),
        severity=Severity.LOW,
        source="RFC 6347 §4.2.2",
        key=PARTY_KEY,
        rules=(
            rule(START, _NUMBERED, "counting", OWN, SURE_SESSION, keep=("message_seq",)),
            rule("counting", _NUMBERED, BUG, OWN, SURE_SESSION, GAPLESS, _LEAPS),
            rule("counting", _NUMBERED, "counting", OWN, SURE_SESSION, keep=("message_seq",)),
        ),
    ),
    Monitor(
        id="fragment-contradicts",
        says="Fragments of one message overlap with other content, or give it another type or length.",
        fault=Fault.SENDER,
        requirements=("DTL-7", "RFC 6347 §4.2.3"),
        severity=Severity.MEDIUM,
        source="CVE-2014-0195 (OpenSSL: fragments with another message length)",
        key=PARTY_KEY,
        rules=(rule(START, Kind.RECORD, BUG, SURE_SESSION, has("contradicts", True)),),
    ),
    Monitor(
        id="datagram-over-mtu",
        says="A datagram above the SCEWL MTU of 1,000 bytes, which every controller drops.",
        fault=Fault.SENDER,
        requirements=("FRM-2", "DTL-5", "RFC 6347 §4.1.1"),
        severity=Severity.LOW,
        source="protocol page, FRM-2",
        key=("tap", "by"),
        rules=(rule(START, Kind.DATAGRAM, BUG, OWN, above("size", MTU)),),
    ),
    Monitor(
        id="data-over-record-limit",
        says="A record of application data with more than 963 bytes.",
        fault=Fault.SENDER,
        requirements=("DTL-5",),
        severity=Severity.LOW,
        source="protocol page, DTL-5",
        key=PARTY_KEY,
        rules=(rule(START, Kind.DATA, BUG, above("size", MAX_RECORD)),),
    ),
)
