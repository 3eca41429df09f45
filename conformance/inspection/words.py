"""What a frame is, who sent it to whom, and its numbers, in words.

The words for datagrams are those of `conformance.wire.describe`; here they are made from what the session tracker has
already taken apart, which costs a tenth of taking it apart again, and holds for every cipher suite that it opens.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from conformance.capture import Context
from conformance.sessions.seen import Protection, SeenFrame, SeenRecord
from conformance.wire.handshake import HEADER_SIZE, ClientHello, HandshakeType, Message, parse_message
from conformance.wire.records import FATAL, WARNING, AlertCode, ContentType, Malformed
from conformance.wire.secrets import OVERHEAD, SUITES
from model.alphabet import BROADCAST, FAA_ID, SSS_ID, Link

LINKS: Final = {Link.RADIO: "radio", Link.SSS: "sss", Link.CPU: "cpu"}
_PARTIES: Final = {BROADCAST: "all", SSS_ID: "SSS", FAA_ID: "FAA"}
_LEVELS: Final = {WARNING: "warning", FATAL: "fatal"}
_CODES: Final = {code.value: code.name.lower() for code in AlertCode}
_TITLES: Final = {kind: kind.title for kind in HandshakeType}
_HELLOS: Final = frozenset({HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO})
_MAX_SESSION_ID: Final = 32
_EXTENSION: Final = struct.Struct(">HH")
"""Type and length."""
_MOST: Final = 12
"""Records, fragments or notes of one frame that its line names."""


def label(seen: SeenFrame) -> str:
    """What a frame is, such as `ClientHello`, `CCS, Finished`, `data #3, 963 B`, `message, 16 B`.

    `(sealed)` marks what no known secret opens, `(does not authenticate)` what the session's own keys do not open.
    """
    frame = seen.frame
    if frame is None:
        return seen.problem
    if seen.records:
        records = seen.records
        if len(records) == 1 and type(records[0]) is SeenRecord:
            return _record(records[0], seen)
        if isinstance(records[0], Malformed):
            return f"not DTLS, {len(frame.payload)} B"
        return _listed(
            [
                f"malformed, {len(entry.data)} B" if isinstance(entry, Malformed) else _record(entry, seen)
                for entry in records[:_MOST]
            ],
            len(records),
        )
    size = len(frame.payload)
    if frame.source == FAA_ID or frame.target == FAA_ID:
        return f"FAA, {size} B"
    if seen.captured.link is not Link.CPU:
        return "empty" if not size else f"{size} B"
    return seen.notes[0] if seen.notes else f"message, {size} B"  # what a CPU asks and is told is a note in words


def _record(record: SeenRecord, seen: SeenFrame) -> str:
    protection, kind = record.protection, record.content_type
    if protection is Protection.SEALED:
        return _sealed(record, seen) + " (sealed)"
    if protection is Protection.REFUSED:
        return _sealed(record, seen) + " (does not authenticate)"
    if kind is ContentType.APPLICATION_DATA:
        plain = " in plaintext" if protection is Protection.PLAIN else ""
        return f"data #{record.seq}, {len(record.plaintext)} B{plain}"
    if kind is ContentType.HANDSHAKE:
        return _handshake(record)
    if kind is ContentType.ALERT:
        return alert(record.plaintext)
    return "CCS" if record.plaintext == b"\1" else f"malformed CCS, {len(record.plaintext)} B"


def _sealed(record: SeenRecord, seen: SeenFrame) -> str:
    """A protected record by its header alone: without renegotiation (DTL-4) a handshake message there is a Finished."""
    match record.content_type:
        case ContentType.HANDSHAKE:
            return "Finished"
        case ContentType.APPLICATION_DATA:
            if seen.session is not None and seen.session.suite and seen.session.suite not in SUITES:
                return f"data #{record.seq}"  # padded: how much it is does not show
            return f"data #{record.seq}, {max(0, record.length - OVERHEAD)} B"
        case ContentType.ALERT:
            return f"alert #{record.seq}"
        case ContentType.CHANGE_CIPHER_SPEC:
            return "CCS"


def _handshake(record: SeenRecord) -> str:
    parts: list[str] = []
    position = 0
    for fragment in record.fragments[:_MOST]:
        if isinstance(fragment, Malformed):
            parts.append(f"malformed handshake, {len(fragment.data)} B")
            break
        position += HEADER_SIZE
        end = position + fragment.size
        if fragment.size == fragment.length:
            parts.append(_message(fragment.type, record.plaintext[position:end]))
        else:
            first, last = fragment.offset, fragment.offset + fragment.size
            parts.append(f"{_TITLES[fragment.type]} (bytes {first} to {last} of {fragment.length})")
        position = end
    return _listed(parts, len(record.fragments)) if parts else "malformed handshake, 0 B"


def _message(kind: HandshakeType, body: bytes) -> str:
    """A whole message."""
    if kind in _HELLOS:
        cookie = hello_cookie(body, kind is HandshakeType.CLIENT_HELLO)
        if cookie is not None:
            return f"{_TITLES[kind]} with cookie" if cookie else _TITLES[kind]
    return _closely(kind, body)


@lru_cache(maxsize=256)
def _closely(kind: HandshakeType, body: bytes) -> str:
    """The same by the judge's parser. Devices send many again and again: certificates, requests for them."""
    parsed = parse_message(Message(kind, 0, body))
    if isinstance(parsed, Malformed):
        return f"malformed {_TITLES[kind]}, {len(body)} B"
    return f"{_TITLES[kind]} with cookie" if isinstance(parsed, ClientHello) and parsed.cookie else _TITLES[kind]


def hello_cookie(body: bytes, client: bool) -> bool | None:
    """Whether a ClientHello or ServerHello has a cookie; None if it may be malformed. Quicker than parsing it."""
    try:
        at, cookie = 35 + body[34], 0  # behind version, random, session id
        if body[34] > _MAX_SESSION_ID:
            return None
        if client:
            cookie = body[at]
            at += 1 + cookie
            suites = body[at] << 8 | body[at + 1]
            at += 2 + suites
            if suites < 2 or suites % 2 or not body[at]:
                return None
            at += 1 + body[at]
        else:
            at += 3  # suite, compression method
        if at != len(body) and not _extensions_fit(body, at):
            return None
    except (IndexError, struct.error):
        return None
    return cookie > 0


def _extensions_fit(body: bytes, at: int) -> bool:
    """Whether extensions, none twice, are all the rest. Raises IndexError or struct.error if they are cut off."""
    if at + 2 + (body[at] << 8 | body[at + 1]) != len(body):
        return False
    at += 2
    kinds = set()
    while at < len(body):
        kind, size = _EXTENSION.unpack_from(body, at)
        if kind in kinds:
            return False
        kinds.add(kind)
        at += 4 + size
    return at == len(body)


def _listed(parts: Sequence[str], count: int, between: str = ", ") -> str:
    """The parts in a row, `_MOST` of `count` at most: a hostile datagram may hold thousands."""
    if count <= _MOST:
        return between.join(parts)
    return f"{between.join(parts[:_MOST])}{between}and {count - _MOST:,} more"


def notes(seen: SeenFrame) -> str:
    """What is worth saying of it beside its label, such as `retransmission of frame 12`; empty for nothing."""
    told = seen.notes if seen.captured.link is not Link.CPU else seen.notes[1:]
    return _listed(told, len(told), "; ") if told else ""


def alert(plaintext: bytes) -> str:
    """An alert's two bytes in words: `close_notify`, `alert fatal bad_certificate(42)`."""
    if len(plaintext) != 2:
        return f"malformed alert, {len(plaintext)} B"
    level, code = plaintext
    if code == AlertCode.CLOSE_NOTIFY:
        return "close_notify"
    return f"alert {_LEVELS.get(level) or f'level {level}'} {_CODES.get(code, 'unassigned')}({code})"


def party(scewl_id: int) -> str:
    """A SCEWL id as a table shows it: `10`, `SSS`, `FAA`, `all` for broadcast."""
    return _PARTIES.get(scewl_id) or str(scewl_id)


def ends(seen: SeenFrame) -> tuple[str, str]:
    """From whom to whom, as the frame claims; on the CPU bus one end is the CPU. Empty if there is no frame."""
    frame = seen.frame
    if frame is None:
        return "", ""
    if seen.captured.link is Link.CPU:
        return ("CPU", party(frame.target)) if seen.captured.towards else (party(frame.source), "CPU")
    return party(frame.source), party(frame.target)


def numbers(seen: SeenFrame) -> str:
    """Epoch and sequence numbers of its records: `1/7`; of several in a row `0/2-6, 1/0`. Empty without DTLS."""
    records = seen.records
    if len(records) == 1 and type(records[0]) is SeenRecord:
        return f"{records[0].epoch}/{records[0].seq}"
    runs: list[list[int]] = []
    for record in records:
        if isinstance(record, Malformed):
            continue
        if runs and runs[-1][0] == record.epoch and runs[-1][2] + 1 == record.seq:
            runs[-1][2] = record.seq
        else:
            runs.append([record.epoch, record.seq, record.seq])
    parts = [f"{epoch}/{first}" + (f"-{last}" if last > first else "") for epoch, first, last in runs[:_MOST]]
    return _listed(parts, len(runs))


class Clock:
    """Times as they are shown: relative to the first frame, or, if they are virtual, to the first boot."""

    def __init__(self) -> None:
        self.origin: int | None = None
        """Microseconds; None before the first frame."""

    def context(self, context: Context) -> None:
        """Take what the capture says of its times."""
        if context.virtual and self.origin is None:
            self.origin = 0

    def relative(self, time_us: int) -> int:
        """Microseconds; the first time asked about is the origin unless a context has set one."""
        if self.origin is None:
            self.origin = time_us
        return time_us - self.origin


def seconds(microseconds: int) -> str:
    """`12.345678`, exact."""
    sign = "-" if microseconds < 0 else ""
    whole, rest = divmod(abs(microseconds), 1_000_000)
    return f"{sign}{whole}.{rest:06}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 frame`, `1,204 frames`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
