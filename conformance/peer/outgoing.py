"""From what is to be said to datagrams: fragments, records, their protection, and how they share datagrams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Final

from conformance.layers import DTLSHandshake, DTLSRecord, Opaque
from conformance.peer.keys import Direction, derive
from conformance.peer.messages import assign
from conformance.peer.script import How
from conformance.peer.state import Prepared, State

MTU: Final = 1_000
"""Bytes of a datagram (DTL-5)."""
MOST: Final = 65_507
"""Bytes of a datagram that UDP can carry; a SCEWL frame can carry a few more."""
DATAGRAM: Final = -1
"""The content type of what is a datagram already."""
_ALERT, _DATA = 21, 23
_RECORD_HEADER, _HANDSHAKE_HEADER = 13, 12
_FIELDS: Final = [(f.name, f.default) for f in fields(How)]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one record is to hold; or a datagram as it stands."""

    item: Prepared
    how: How
    content: bytes
    first: bool = True
    """Whether it is the first of its message."""
    others: tuple[str, ...] = ()
    """Messages that share the record."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A record on its way into a datagram."""

    names: tuple[str, ...]
    data: bytes
    placing: str
    """`datagram` of a How, or `alone`."""
    delay: int


def combined(hows: Iterable[How]) -> How:
    """One from several: what a later one says counts; fields are set in order."""
    result = How()
    for how in hows:
        said = {n: getattr(how, n) for n, default in _FIELDS if getattr(how, n) != default}
        result = replace(result, **{**said, "set": result.set + how.set})
    return result


def transmit(state: State, items: Iterable[Prepared], sending: int, now: int) -> None:
    """Send what is prepared, each time in new records; `sending` counts the transmissions of its flight from 1."""
    pieces: list[_Piece] = []
    for item in items:
        if state.silent:
            break
        if item.only in (0, sending) and sending not in item.lost:
            pieces += _pieces(state, item, sending)
        if 0 in item.stop or sending in item.stop:
            _flush(state, pieces, now)
            pieces = []
            state.silent = True
            state.note(now, "from here on silent")
    _flush(state, pieces, now)


def _pieces(state: State, item: Prepared, sending: int) -> list[_Piece]:
    how = combined(h for at, h in item.hows if at in (0, sending))
    if item.content_type == DATAGRAM:
        return [_Piece(item, how, _datagram(state, item))] * how.repeat
    contents = _contents(item, how, sending)
    return [_Piece(item, how, c, first=n == 0) for _ in range(how.repeat) for n, c in enumerate(contents)]


def _datagram(state: State, item: Prepared) -> bytes:
    way, name, nth = item.of
    kept = state.datagrams.get((way, name), [])
    if way:
        return kept[nth - 1] if 0 < nth <= len(kept) else b""
    return item.body(0)


def _corrupted(record: bytes, how: How) -> bytes:
    damaged = bytearray(record)
    for at in how.corrupt:
        if -len(damaged) <= at < len(damaged):
            damaged[at] ^= 0xFF
    return bytes(damaged)


# --- records ----------------------------------------------------------------------------------------------------------


def _contents(item: Prepared, how: How, sending: int) -> list[bytes]:
    """What its records hold, unsealed: the fragments of a handshake message, anything else as it is."""
    body = item.body(sending)
    if item.msg_type < 0:
        return [body]
    contents: list[bytes] = []
    for offset, size in _cuts(len(body), how):
        piece = body[offset:] if size < 0 else body[offset : offset + size]
        fragment = DTLSHandshake(
            msg_type=item.msg_type,
            length=len(body),
            message_seq=item.message_seq,
            fragment_offset=offset,
            fragment_length=len(piece),
        ) / Opaque(load=piece)
        for path, value in how.set:
            if path.startswith("handshake."):
                assign(fragment, path.removeprefix("handshake."), value)
        contents.append(bytes(fragment))
    return contents


def _cuts(size: int, how: How) -> list[tuple[int, int]]:
    """Offset and size of each fragment; whole if it fits into a datagram."""
    if how.fragments:
        return list(how.fragments)
    most = how.fragment_size or MTU - _RECORD_HEADER - _HANDSHAKE_HEADER
    return [(at, most) for at in range(0, size, most)] or [(0, 0)]


def _record(state: State, piece: _Piece) -> bytes:
    item, how, content = piece.item, piece.how, piece.content
    epoch = item.epoch if how.epoch is None else how.epoch
    count = state.records.get(epoch, 0)
    seq = how.sequence if piece.first and how.sequence is not None else count
    state.records[epoch] = max(count, seq + 1)
    record = DTLSRecord(type=item.content_type, version=0xFEFD, epoch=epoch, sequence_number=seq % 2**48)
    sets = [(path.removeprefix("record."), value) for path, value in how.set if path.startswith("record.")]
    for path, value in sets:
        if path != "length":
            assign(record, path, value)
    direction = _protection(state, how, epoch)
    if direction is not None:
        content = direction.seal(record.epoch, record.sequence_number, record.type, record.version, content)
    record.content = [Opaque(load=content)]
    record.length = len(content) & 0xFFFF
    for path, value in sets:
        if path == "length":
            assign(record, path, value)
    return bytes(record)


def _protection(state: State, how: How, epoch: int) -> Direction | None:
    seal = how.seal or ("right" if epoch else "none")
    if seal == "none":
        return None
    if seal == "wrong":
        return Direction(derive(state.seed, "wrong key", size=state.suite.key_size), bytes(4))
    keys = state.keys or state.make_keys()
    return keys.client if (seal == "right") == state.client else keys.server


# --- datagrams --------------------------------------------------------------------------------------------------------


def _flush(state: State, pieces: list[_Piece], now: int) -> None:
    """Put pieces into records, and records into datagrams, as many as the MTU allows and their placing asks for."""
    datagrams: list[list[_Placed]] = []
    for record in _placed(state, _joined(pieces)):
        last = datagrams[-1] if datagrams else []
        full = len(record.data) + sum(len(r.data) for r in last) > MTU
        alone = record.placing in ("new", "alone") or (last and last[-1].placing == "alone")
        late = last and last[-1].delay != record.delay
        if not datagrams or (record.placing != "same" and (full or alone or late)):
            datagrams.append([])
        datagrams[-1].append(record)
    for held in datagrams:
        names = tuple(n for r in held for n in r.names)
        _send(state, names, b"".join(r.data for r in held), now, held[0].delay)


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """Those that go into the record before them are put there."""
    found: list[_Piece] = []
    for piece in pieces:
        if piece.how.datagram == "record" and found and found[-1].item.content_type != DATAGRAM:
            before = found.pop()
            others = (*before.others, piece.item.name)
            piece = replace(before, content=before.content + piece.content, others=others)
        found.append(piece)
    return found


def _placed(state: State, pieces: list[_Piece]) -> Iterator[_Placed]:
    for piece in pieces:
        item, how, names = piece.item, piece.how, (piece.item.name, *piece.others)
        if item.content_type == DATAGRAM:
            record, placing = piece.content, "alone"
        else:
            record, placing = _record(state, piece), how.datagram
            placing = placing or ("alone" if item.content_type in (_ALERT, _DATA) else "")
        record = _corrupted(record, how)
        yield _Placed(names, record, placing, how.delay)
        for _ in range(how.replay):
            yield _Placed(names, record, "alone", how.delay)


def _send(state: State, names: tuple[str, ...], datagram: bytes, now: int, delay: int) -> None:
    if not datagram:
        state.note(now, f"there is no datagram of {', '.join(names)} to send")
        return
    if len(datagram) > MOST:
        state.note(now, f"no datagram has room for {len(datagram)} bytes of {', '.join(names)}")
        return
    if delay:
        state.lateness += 1
        state.late.append((now + delay, state.lateness, names, datagram))
    else:
        state.keep(now, "sent", names, datagram)
        state.ready.append(datagram)


def due(state: State, now: int) -> None:
    """Send the datagrams whose delay is over."""
    for entry in sorted(e for e in state.late if e[0] <= now):
        state.late.remove(entry)
        state.keep(now, "sent", entry[2], entry[3])
        state.ready.append(entry[3])
