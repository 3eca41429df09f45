"""The way out: which messages make up a flight after the script's edits, what each holds, and when it is repeated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from conformance.layers import dissect_message
from conformance.peer import messages
from conformance.peer.outgoing import combined, transmit
from conformance.peer.script import BadScript, Edit, How, Send
from conformance.peer.state import Prepared, State
from conformance.wire.records import AlertCode

FIRST_TIMEOUT, LAST_TIMEOUT = 7_000, 60_000
"""Milliseconds (DTL-6)."""
SENDINGS: Final = 5
"""Transmissions of a flight, at 0, 7, 21, 49 and 105 s (DTL-6)."""
MAX_RECORD: Final = 963
"""Bytes of plaintext in a record of application data (DTL-5)."""
_SEALED: Final = ("finished", "data", "close-notify")


@dataclass(frozen=True, slots=True)
class _Planned:
    """Something to say and what the script has to say about it."""

    send: Send
    hows: tuple[tuple[int, How], ...]
    only: int = 0
    lost: tuple[int, ...] = ()
    stop: tuple[int, ...] = ()


def say_flight(state: State, names: Iterable[str], now: int, *, timed: bool = True) -> None:
    """Say a flight of the honest flow; `timed` if it is repeated until it is answered."""
    state.flight = [_prepare(state, p) for p in _plan(state, [Send(n) for n in names], now)]
    state.sendings, state.timeouts = 0, 0
    _send_flight(state, now)
    state.timer = now + FIRST_TIMEOUT if timed and not state.silent else None


def say(state: State, sends: Iterable[Send], now: int) -> None:
    """Say messages of the honest flow that are not repeated."""
    transmit(state, [_prepare(state, p) for p in _plan(state, list(sends), now)], 1, now)
    if state.silent:
        state.timer = None


def say_step(state: State, send: Send, now: int) -> None:
    """Say what a step says."""
    transmit(state, [_prepare(state, _Planned(send, ((0, send.how),)))], 1, now)


def repeat_flight(state: State, now: int) -> None:
    """Send the flight again because the other side repeated what it answers; the timer runs on (DTL-6)."""
    if state.flight and not state.silent:
        _send_flight(state, now)


def time_out(state: State, now: int) -> None:
    """The timer has fired: repeat the flight with the timeout doubled, or give up (DTL-6)."""
    state.timeouts += 1
    if state.timeouts == SENDINGS:
        state.timer = None
        state.ended = "the other side does not answer"
        return
    _send_flight(state, now)
    state.timer = None if state.silent else now + min(FIRST_TIMEOUT << state.timeouts, LAST_TIMEOUT)


def say_data(state: State, now: int) -> None:
    """Send what waits to be sent, and the close_notify behind it."""
    waiting, state.to_send = b"".join(state.to_send), []
    sends = [Send("data", hex=waiting[at : at + MAX_RECORD]) for at in range(0, len(waiting), MAX_RECORD)]
    if state.closing and not state.closed:
        state.closed = True
        sends.append(Send("close-notify"))
    say(state, sends, now)


def refuse(state: State, code: AlertCode, why: str, now: int) -> bool:
    """Refuse what the other side said: alert and end; only a note if the script takes anything. Whether it did."""
    state.note(now, why)
    if state.script.steps or not state.script.verify:
        return False
    state.timer, state.ended = None, why
    say(state, [Send("alert", level=2, code=code)], now)
    return True


def _send_flight(state: State, now: int) -> None:
    state.sendings += 1
    transmit(state, state.flight, state.sendings, now)


# --- what the edits make of it ----------------------------------------------------------------------------------------


def _plan(state: State, sends: list[Send], now: int) -> list[_Planned]:
    groups: list[tuple[str, list[_Planned]]] = []
    moves: list[tuple[str, str, bool]] = []
    for send in sends:
        state.said[send.what] = nth = state.said.get(send.what, 0) + 1
        edits = [e for e in state.script.edits if send.what in e.at and e.nth in (0, nth)]
        groups.append((send.what, _group(send, edits)))
        moves += [(send.what, e.move_before or e.move_after, bool(e.move_after)) for e in edits]
    for name, beside, after in moves:
        if beside:
            _move(state, groups, name, beside, after, now)
    return [planned for _, group in groups for planned in group]


def _group(send: Send, edits: list[Edit]) -> list[_Planned]:
    """A message, unless it is left out, and what is inserted beside it."""
    group = [_inserted(s, e) for e in edits for s in e.insert_before]
    if not any(e.omit and not e.sending for e in edits):
        lost = tuple(e.sending for e in edits if e.omit)
        stop = tuple(e.sending for e in edits if e.stop)
        group.append(_Planned(send, tuple((e.sending, e.how) for e in edits), lost=lost, stop=stop))
    elif any(e.stop for e in edits):
        group.append(_Planned(Send("raw"), (), lost=(0,), stop=(0,)))
    return group + [_inserted(s, e) for e in edits for s in e.insert_after]


def _inserted(send: Send, edit: Edit) -> _Planned:
    return _Planned(send, ((0, send.how),), only=edit.sending)


def _move(
    state: State, groups: list[tuple[str, list[_Planned]]], name: str, beside: str, after: bool, now: int
) -> None:
    names = [n for n, _ in groups]
    if beside not in names or beside == name:
        state.note(now, f"{name} cannot be moved beside {beside}, which is not in its flight")
        return
    moved = groups.pop(names.index(name))
    names.remove(name)
    groups.insert(names.index(beside) + after, moved)


# --- content ----------------------------------------------------------------------------------------------------------


def _prepare(state: State, planned: _Planned) -> Prepared:
    """Settle a message's content and number, and what follows from its being said."""
    send = planned.send
    kind = messages.content_type(send)
    always = combined(h for at, h in planned.hows if at == 0)
    bodies = {0: _content(state, send, always)}
    for sending in {at for at, _ in planned.hows if at}:
        bodies[sending] = _content(state, send, combined(h for at, h in planned.hows if at in (0, sending)))
    msg_type, message_seq = -1, 0
    if kind == messages.HANDSHAKE and send.what != "record":
        msg_type = messages.MESSAGE_TYPES.get(send.what, send.type)
        message_seq = _number(state, send, always, msg_type, bodies[0])
    return Prepared(
        name=send.what,
        content_type=kind,
        epoch=_epoch(state, send),
        msg_type=msg_type,
        message_seq=message_seq,
        bodies=tuple(sorted(bodies.items())),
        hows=planned.hows,
        only=planned.only,
        lost=planned.lost,
        stop=planned.stop,
        of=_reference(send),
    )


def _content(state: State, send: Send, how: How) -> bytes:
    try:
        return messages.content(state, send, how)
    except BadScript as error:  # a field that depends on what the other side said
        state.note(state.now, str(error))
        return messages.content(state, send, replace(how, set=()))


def _number(state: State, send: Send, how: How, msg_type: int, body: bytes) -> int:
    """The message's number; it goes into the transcript, and what it says takes effect."""
    honest = state.next_seq
    message_seq = honest if how.message_seq is None else how.message_seq
    state.next_seq = max(honest, message_seq + 1) & 0xFFFF
    if send.what == "hello-verify-request":
        state.transcript.clear()  # neither it nor the hello that it answers is hashed (RFC 6347, section 4.2.1)
        return message_seq
    if how.transcript == "sent":
        state.transcript += whole(msg_type, message_seq, body)
    elif how.transcript == "honest":
        state.transcript += whole(msg_type, honest, messages.content(state, send, How()))
    if msg_type in (1, 2):
        messages.follow_hello(state, dissect_message(msg_type, body))
    elif send.what == "client-key-exchange" and state.client:
        state.settle_keys()
    return message_seq


def whole(msg_type: int, message_seq: int, body: bytes) -> bytes:
    """A message as the transcript has it: as one fragment (RFC 6347, section 4.2.6)."""
    size = len(body).to_bytes(3, "big")
    return bytes([msg_type]) + size + message_seq.to_bytes(2, "big") + bytes(3) + size + body


def _epoch(state: State, send: Send) -> int:
    if send.what == "alert":
        return int(1 in state.records)
    return int(send.what in _SEALED)


def _reference(send: Send) -> tuple[str, str, int]:
    ways = {"replay": "sent", "reflect": "got"}
    return (ways[send.what], send.of, send.nth) if send.what in ways else ("", "", 0)
