"""From what is to be said to datagrams: fragments, records, their protection, and how they share datagrams."""

from __future__ import annotations

from collections.abc import Iterable
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
    """A record on its way into a datagram."""

    name: str
    data: bytes
    datagram: str
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
    found: list[_Piece] = []
    for _ in range(how.repeat):
        if item.content_type == DATAGRAM:
            records = [_datagram(state, item)]
            placing = "alone"
        else:
            records = _records(state, item, how, sending)
            placing = how.datagram or ("alone" if item.content_type in (_ALERT, _DATA) else "")
        found += [_Piece(item.name, _corrupted(r, how), placing, how.delay) for r in records]
        found += [_Piece(item.name, _corrupted(r, how), "alone", how.delay) for r in records * how.replay]
    return found


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


def _records(state: State, item: Prepared, how: How, sending: int) -> list[bytes]:
    body = item.body(sending)
    if item.msg_type < 0:
        return [_record(state, item, how, body, first=True)]
    records: list[bytes] = []
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
        records.append(_record(state, item, how, bytes(fragment), first=not records))
    return records


def _cuts(size: int, how: How) -> list[tuple[int, int]]:
    """Offset and size of each fragment; whole if it fits into a datagram."""
    if how.fragments:
        return list(how.fragments)
    most = how.fragment_size or MTU - _RECORD_HEADER - _HANDSHAKE_HEADER
    return [(at, most) for at in range(0, size, most)] or [(0, 0)]


def _record(state: State, item: Prepared, how: How, content: bytes, *, first: bool) -> bytes:
    epoch = item.epoch if how.epoch is None else how.epoch
    count = state.records.get(epoch, 0)
    seq = how.sequence if first and how.sequence is not None else count
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
    """Put records into datagrams, as many into each as the MTU allows and their placing asks for."""
    datagrams: list[tuple[int, list[_Piece]]] = []
    for piece in pieces:
        size = len(piece.data) + sum(len(p.data) for p in datagrams[-1][1]) if datagrams else 0
        alone = piece.datagram in ("new", "alone") or (datagrams and datagrams[-1][1][-1].datagram == "alone")
        late = datagrams and datagrams[-1][0] != piece.delay
        if not datagrams or (piece.datagram != "same" and (size > MTU or alone or late)):
            datagrams.append((piece.delay, []))
        datagrams[-1][1].append(piece)
    for delay, held in datagrams:
        _send(state, tuple(p.name for p in held), b"".join(p.data for p in held), now, delay)


def _send(state: State, names: tuple[str, ...], datagram: bytes, now: int, delay: int) -> None:
    if not datagram:
        state.note(now, f"there is no datagram of {', '.join(names)} to send")
        return
    if len(datagram) > MOST:
        state.note(now, f"no datagram has room for {len(datagram)} bytes of {', '.join(names)}")
        return
    state.keep(now + delay, "sent", names, datagram)
    if delay:
        state.lateness += 1
        state.late.append((now + delay, state.lateness, datagram))
    else:
        state.ready.append(datagram)


def due(state: State, now: int) -> None:
    """Send the datagrams whose delay is over."""
    for entry in sorted(e for e in state.late if e[0] <= now):
        state.late.remove(entry)
        state.ready.append(entry[2])
