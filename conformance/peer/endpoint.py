"""One end of one DTLS session, sans-I/O: what an honest client or server does, but for what its script says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Literal

from conformance.peer import messages
from conformance.peer.credentials import Identity, Shown, shown
from conformance.peer.keys import derive
from conformance.peer.listening import receive
from conformance.peer.outgoing import due
from conformance.peer.script import CLIENT_SAYS, HONEST, SERVER_SAYS, Await, BadScript, Edit, Script, Send, Wait
from conformance.peer.speaking import say_data, say_flight, say_step, time_out
from conformance.peer.state import Entry, State
from conformance.wire.secrets import SUITES

AES_256, AES_128 = 0xC02C, 0xC02B
"""The two suites (DTL-2)."""


class Endpoint:
    """A DTLS 1.2 client or server. All that it sends follows from its arguments and what it receives.

    Times are milliseconds and do not go back. Whatever it receives, nothing is raised.
    """

    def __init__(
        self,
        role: Literal["client", "server"],
        credentials: Identity,
        suite: int = AES_256,
        script: Script = HONEST,
        seed: bytes = b"",
        *,
        bound: bytes = b"",
        peer_name: str = "",
        certificates: Shown | None = None,
    ) -> None:
        """A server's cookie is bound to `bound`; the other side's certificate must have `peer_name`, if it is given.
        `certificates` are shown instead of what the script says.

        Raises BadScript if the script edits what this role never says, sets a field that does not exist, or needs a key
        that `credentials` lack; ValueError if there is no such role or suite.
        """
        if role not in ("client", "server") or suite not in SUITES:
            raise ValueError(f"no {role} with suite {suite:#06x}; there are client and server, 0xc02b and 0xc02c")
        self._state = State(
            client=role == "client",
            suite=SUITES[suite],
            script=script,
            identity=credentials,
            shown=certificates or shown(credentials, script),
            seed=derive(seed, "endpoint", role),
            bound=bound,
            peer_name=peer_name,
        )
        for edit in script.edits:
            _check(self._state, edit)
        for step in script.steps:
            if isinstance(step, Send):
                messages.check(self._state, step, step.how)

    def __repr__(self) -> str:
        state = self._state
        return (
            f"Endpoint({state.name}, {state.script.title!r}, {state.ended or ('open' if state.established else 'new')})"
        )

    # --- what drives it

    def start(self, now: int) -> None:
        """Begin: a client says hello, a script takes its first step."""
        self._state.now = now
        if self._state.script.steps:
            self._run(now)
        elif self._state.client:
            say_flight(self._state, ("client-hello",), now)

    def receive(self, datagram: bytes, now: int) -> None:
        """Take a datagram. Never raises."""
        self._state.now = now
        receive(self._state, datagram, now)
        self._run(now)

    def on_time(self, now: int) -> None:
        """Do what is due at `now`."""
        state = self._state
        state.now = now
        due(state, now)
        while state.timer is not None and state.timer <= now:
            time_out(state, now)
        self._run(now)

    def deadline(self) -> int | None:
        """When `on_time` is needed next; None if nothing is to come."""
        return min(self._deadlines(), default=None)

    def outgoing(self) -> list[bytes]:
        """The datagrams to send; drains."""
        out, self._state.ready = self._state.ready, []
        return out

    def send(self, data: bytes) -> None:
        """Send application data, once the handshake is complete. After `close`, nothing."""
        if not self._state.closing and not self._state.ended:
            self._state.to_send.append(data)
            self._flush()

    def close(self) -> None:
        """Send a close_notify, behind all data."""
        if not self._state.ended:
            self._state.closing = True
            self._flush()

    def fork(self) -> Endpoint:
        """An independent copy of the whole state."""
        other = object.__new__(Endpoint)
        other._state = copy.deepcopy(self._state)
        return other

    # --- what came of it

    @property
    def is_server(self) -> bool:
        """Its role."""
        return not self._state.client

    @property
    def established(self) -> bool:
        """Whether the handshake is complete; in a script of steps, whether the other side's Finished came."""
        return self._state.established or bool(self._state.script.steps and self._state.finished)

    @property
    def ended(self) -> str:
        """Why the session is over; empty if it is not. An own close_notify alone does not end it."""
        return self._state.ended

    @property
    def closed(self) -> bool:
        """Whether an own close_notify went out."""
        return self._state.closed

    @property
    def peer_closed(self) -> bool:
        """Whether an authenticated close_notify of the other side came."""
        return self._state.peer_closed

    @property
    def received(self) -> list[bytes]:
        """Application data, by record."""
        return list(self._state.received)

    @property
    def log(self) -> list[Entry]:
        """What came, what went, and what there was to say about it."""
        return list(self._state.log)

    @property
    def client_random(self) -> bytes:
        """Of the ClientHello, as it was sent or received."""
        return self._state.client_random

    def secrets(self) -> list[tuple[bytes, bytes]]:
        """New pairs of client random and master secret, for a key log; drains."""
        out, self._state.secrets = self._state.secrets, []
        return out

    # --- inside

    def _flush(self) -> None:
        if self._state.established:
            say_data(self._state, self._state.now)

    def _deadlines(self) -> Iterator[int]:
        state = self._state
        yield from (entry[0] for entry in state.late)
        yield from (at for at in (state.timer, state.step_due) if at is not None)

    def _run(self, now: int) -> None:
        """Take the steps that can be taken now."""
        state = self._state
        while state.step < len(state.script.steps) and not state.silent:
            step = state.script.steps[state.step]
            if isinstance(step, Send):
                say_step(state, step, now)
            elif not (self._waited(step, now) if isinstance(step, Wait) else self._awaited(step, now)):
                return
            state.step, state.step_due = state.step + 1, None
        state.step_due = None

    def _waited(self, step: Wait, now: int) -> bool:
        state = self._state
        if state.step_due is None:
            state.step_due = now + step.ms
        return state.step_due <= now

    def _awaited(self, step: Await, now: int) -> bool:
        state = self._state
        for number, name in enumerate(state.arrived):
            if name in step.message or "anything" in step.message:
                del state.arrived[: number + 1]
                return True
        if state.step_due is None:
            state.step_due = now + step.within
        elif state.step_due <= now:
            state.note(now, f"no {' or '.join(step.message)} within {step.within} ms: the script ends")
            state.ended = "what the script awaits has not come"
            state.step, state.step_due = len(state.script.steps), None
        return False


def _check(state: State, edit: Edit) -> None:
    """Whether an edit can be made: its messages are of this role, and the fields that it sets exist."""
    says = CLIENT_SAYS if state.client else SERVER_SAYS
    for name in edit.at:
        if name not in says:
            raise BadScript(f"edits: a {state.name} says no {name}; it says {', '.join(says)}")
        messages.check(state, Send(name), edit.how)
    for send in (*edit.insert_before, *edit.insert_after):
        messages.check(state, send, send.how)
