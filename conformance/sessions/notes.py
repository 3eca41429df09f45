"""What is worth saying about a frame, in words."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from conformance.sessions.seen import SeenRecord
from conformance.wire.frames import Frame
from conformance.wire.records import Malformed
from model.alphabet import DEREGISTER, REFUSED, REGISTER, SSS_ID

_RESPONSE: Final = struct.Struct("<HhHHH")
"""dev_id, op, lengths of CA certificate, certificate and key (protocol page, section 6)."""
REQUEST_SIZE: Final = 4
"""Bytes of a registration request, and of the CPU's answer (protocol page, section 6)."""
_ASKED: Final = {REGISTER: "register", DEREGISTER: "deregister"}
_ANSWERED: Final = {REGISTER: "registered", DEREGISTER: "deregistered", REFUSED: "refused"}


def missing(epoch: int, first: int, last: int) -> str:
    """A gap in the record numbers of an epoch."""
    return f"{_range(epoch, first, last)} {'is' if first == last else 'are'} missing"


def late(numbers: Sequence[tuple[int, int]]) -> list[str]:
    """Records, by epoch and number, that came after larger numbers of their epoch; runs of them are told together."""
    runs: list[list[tuple[int, int]]] = []
    for epoch, seq in numbers:
        if runs and runs[-1][-1] == (epoch, seq - 1):
            runs[-1].append((epoch, seq))
        else:
            runs.append([(epoch, seq)])
    return [f"{_range(*run[0], run[-1][1])} came late" for run in runs]


def _range(epoch: int, first: int, last: int) -> str:
    return f"record {epoch}/{first}" if first == last else f"records {epoch}/{first} to {epoch}/{last}"


def repeats(records: Sequence[SeenRecord | Malformed], number: int) -> list[str]:
    """Records that have the number of earlier ones; runs of them are told together."""
    runs: list[tuple[SeenRecord, SeenRecord]] = []
    for record in records:
        if isinstance(record, Malformed) or not record.replay_of:
            continue
        if runs and _continues(runs[-1][1], record):
            runs[-1] = (runs[-1][0], record)
        else:
            runs.append((record, record))
    return [_repeat(first, last, number) for first, last in runs]


def _continues(last: SeenRecord, record: SeenRecord) -> bool:
    return (record.epoch, record.seq, record.replay_of, record.same) == (
        last.epoch,
        last.seq + 1,
        last.replay_of,
        last.same,
    )


def _repeat(first: SeenRecord, last: SeenRecord, number: int) -> str:
    several = first is not last
    who = _range(first.epoch, first.seq, last.seq)
    where = "this frame" if first.replay_of == number else f"frame {first.replay_of}"
    if first.same:
        return f"{who} {'replay' if several else 'replays'} {where}"
    return f"{who} {'have the numbers' if several else 'has the number'} of other content in {where}"


def request(frame: Frame) -> tuple[str, ...]:
    """A frame of `REQUEST_SIZE` bytes on the CPU bus: what the CPU asks of the SSS, or what it is told."""
    if frame.target == SSS_ID:
        return (f"request: {_op(frame.payload, _ASKED)}",)
    if frame.source == SSS_ID:
        return (f"answer: {_op(frame.payload, _ANSWERED)}",)
    return ()


def registration(plaintext: bytes, from_sss: bool) -> tuple[str, ...]:
    """The first application data of a session with the SSS: request, or the header of a response."""
    if not from_sss:
        return (f"request: {_op(plaintext, _ASKED)}",) if len(plaintext) == REQUEST_SIZE else ()
    if len(plaintext) < _RESPONSE.size:
        return ()
    _, _, ca, certificate, key = _RESPONSE.unpack_from(plaintext)
    sizes = f", CA certificate {ca} B, certificate {certificate} B, key {key} B" if ca or certificate or key else ""
    return (f"response: {_op(plaintext, _ANSWERED)}{sizes}",)


def _op(data: bytes, names: dict[int, str]) -> str:
    dev = int.from_bytes(data[:2], "little")
    op = int.from_bytes(data[2:4], "little", signed=True)
    return f"{names.get(op, f'op {op}')} {dev}"
