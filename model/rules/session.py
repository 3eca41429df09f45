"""Pieces that several rules share: how sessions begin and end, and small questions about a state."""

from __future__ import annotations

from model.alphabet import REFUSED, SSS_ID, Ca
from model.profile import Setting
from model.rules.base import Emit, Variables
from model.state import Mode, Step
from model.terms import And, If, Term, one_of


def begin(mode: Term, step: Term, peer: Term, c: Setting) -> dict[str, Term]:
    """A session begins with a flight of ours: the first timeout is armed (DTL-6)."""
    return {
        "mode": mode,
        "step": step,
        "peer": peer,
        "handshake": 0,
        "timer": c.first_timeout,
        "timeout": c.first_timeout,
        "expect": 0,
        "began": 0,
    }


def send(to: Term, size: Term, c: Setting) -> dict[str, Term]:
    """A client session with a SED begins (SES-2)."""
    return {**begin(Mode.SENDING_MESSAGE, Step.HELLO, to, c), "size": size, "unyielding": 0}


def request(dev: Term, op: Term, c: Setting) -> dict[str, Term]:
    """A client session with the SSS begins; the runtime set is gone from here on (SES-4, CRT-4)."""
    begun = begin(Mode.TALKING_TO_SSS, Step.HELLO, SSS_ID, c)
    return {**begun, "size": 0, "dev": dev, "op": op, "registered": 0, "unyielding": 0}


def serve(source: Term, handshake: Term, c: Setting) -> dict[str, Term]:
    """A server session begins (SES-3)."""
    return {**begin(Mode.RECEIVING_MESSAGE, Step.ACCEPT, source, c), "handshake": handshake, "size": 0}


def end(s: Variables) -> dict[str, Term]:
    """The session is over. Serving an unproved peer once uses up the right to yield (section 5, pinned 5)."""
    return {
        "mode": Mode.IDLE,
        "step": Step.NONE,
        "peer": 0,
        "handshake": 0,
        "timer": 0,
        "timeout": 0,
        "expect": 0,
        "began": 0,
        "size": 0,
        "dev": 0,
        "op": 0,
        "unyielding": If(And(s.aside == 1, s.step == Step.ACCEPT), 1, 0),
    }


def flight(step: Term, c: Setting) -> dict[str, Term]:
    """A new flight of ours in a running handshake: the first timeout again (section 4, pinned under DTL-6)."""
    return {"step": step, "timer": c.first_timeout, "timeout": c.first_timeout}


def own_ca(s: Variables) -> Term:
    """The authority of the set in force for this session (CRT-2, CRT-3)."""
    return If(
        And(s.mode != Mode.TALKING_TO_SSS, s.registered == 1),
        Ca.RUNTIME,
        Ca.PROVISIONING,
    )


def peer_session(s: Variables, e: Variables) -> Term:
    """Whether the event comes from the running session's peer."""
    return And(s.peer == e.source, s.peer != 0)


def idle_timer(c: Setting) -> int:
    """The timer of a session after its handshake (SES-7); the historic controller had none."""
    return c.idle_timeout if c.profile.ses_7 else 0


def unanswered(s: Variables) -> Term:
    """SENDING_MESSAGE, and the peer's flight 4 has not come (section 5, pinned 3)."""
    return And(s.mode == Mode.SENDING_MESSAGE, one_of(s.step, Step.HELLO, Step.COOKIE))


def failure_answer(s: Variables, c: Setting) -> Emit:
    """The CPU's answer when a talk with the SSS fails (REG-4); the historic controller was silent."""
    return Emit("answer", (c.me, REFUSED), And(c.profile.reg_4, s.mode == Mode.TALKING_TO_SSS))
