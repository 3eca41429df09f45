"""Rules for the CPU bus, for FAA frames, and for what a controller does by itself when a session is over."""

from __future__ import annotations

from model.alphabet import REFUSED
from model.profile import Setting
from model.rules.base import Effect, Emit, Variables, rule
from model.rules.session import end, request, send
from model.state import Mode, State, Step, Waiting
from model.terms import And, Not, Or, Term, one_of

REQUEST_SIZE = 4
"""Bytes of a registration request (protocol page, section 6)."""


def busy(s: Variables) -> Term:
    """A session is running."""
    return one_of(s.mode, Mode.SENDING_MESSAGE, Mode.RECEIVING_MESSAGE, Mode.TALKING_TO_SSS)


def gives_way(s: Variables, c: Setting) -> Term:
    """The running session is an incoming handshake that made no progress for one retransmission period (ADV-1).

    A frame of the CPU that comes earlier waits for the end of that period (`given_up`): decision 0007.
    """
    late = s.timeout > c.first_timeout
    return And(c.profile.adv_1, s.mode == Mode.RECEIVING_MESSAGE, s.step == Step.ACCEPT, late)


def free(s: Variables) -> Term:
    """Nothing is under way and no message put aside goes first (section 5, pinned 6)."""
    return And(s.mode == Mode.IDLE, s.aside == 0)


# --- the CPU's frames while nothing is under way ---------------------------------------------------------------------


@rule(
    "SES-2.open",
    on="cpu-send",
    needs="SES-2 CRT-3",
    says="A message for a SED while IDLE opens a client session.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(s.mode == Mode.IDLE, send(e.to, e.size, c), (Emit("hello", (e.to,)),))


@rule(
    "SES-4.open",
    on="cpu-request",
    needs="SES-4 CRT-4 CRT-2",
    says="A request for the SSS while IDLE discards the runtime set and opens a client session over the wire.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(s.mode == Mode.IDLE, e.size == REQUEST_SIZE),
        request(e.dev, e.op, c),
        (Emit("hello", (1,)),),
    )


@rule(
    "SES-4.malformed",
    on="cpu-request",
    needs="REG-4 CRT-4",
    says="A request that is not 4 bytes long discards the runtime set and is refused at once.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(s.mode == Mode.IDLE, e.size != REQUEST_SIZE),
        {"registered": 0},
        (Emit("answer", (c.me, REFUSED), c.profile.reg_4),),
    )


# --- the CPU's frames while a session runs ---------------------------------------------------------------------------


@rule(
    "ADV-1.preempt-to-send",
    on="cpu-send",
    needs="ADV-1 SES-5",
    says="A message of the CPU ends an incoming handshake that made no progress for one retransmission period.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    wait = {"waiting": Waiting.SEND, "waiting_to": e.to, "waiting_size": e.size}
    return Effect(gives_way(s, c), {**end(s), **wait})


@rule(
    "ADV-1.preempt-to-request",
    on="cpu-request",
    needs="ADV-1 SES-5",
    says="A request of the CPU ends an incoming handshake that made no progress for one retransmission period.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    wait = {"waiting": Waiting.REQUEST, "waiting_size": e.size, "waiting_dev": e.dev, "waiting_op": e.op}
    return Effect(gives_way(s, c), {**end(s), **wait})


@rule(
    "ADV-1.preempt-to-drop",
    on="cpu-other",
    needs="ADV-1 SES-5 FRM-6 FRM-2",
    says="A frame that will be dropped ends such a handshake too: others may stand behind it.",
    timer="ADV-1",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(gives_way(s, c), {**end(s), "waiting": Waiting.OTHER})


@rule(
    "SES-5.wait-to-send",
    on="cpu-send",
    needs="SES-5",
    says="While busy, the next CPU frame waits with its body unread.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(busy(s), Not(gives_way(s, c))),
        {"waiting": Waiting.SEND, "waiting_to": e.to, "waiting_size": e.size},
    )


@rule(
    "SES-5.wait-to-request",
    on="cpu-request",
    needs="SES-5",
    says="While busy, the next CPU frame waits with its body unread.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(busy(s), Not(gives_way(s, c))),
        {"waiting": Waiting.REQUEST, "waiting_size": e.size, "waiting_dev": e.dev, "waiting_op": e.op},
    )


@rule(
    "SES-5.wait-other", on="cpu-other", needs="SES-5 FRM-6 FRM-2", says="While busy, a frame to be dropped waits too."
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(busy(s), Not(gives_way(s, c))), {"waiting": Waiting.OTHER})


@rule(
    "FRM-2.cut",
    on="cpu-oversize",
    needs="FRM-2 SES-10",
    says="(historic) An oversize message is cut and sent as if it were whole.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(not c.profile.frm_2, s.mode == Mode.IDLE), send(e.to, e.size, c), (Emit("hello", (e.to,)),))


# --- own failures ----------------------------------------------------------------------------------------------------


@rule(
    "SES-11.start",
    on="start-failure",
    needs="SES-11",
    says="A session that cannot be started leaves the controller IDLE (historic: in SENDING_MESSAGE for ever).",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    stuck = {} if c.profile.ses_11 else {"mode": Mode.SENDING_MESSAGE, "peer": e.to}
    return Effect(s.mode == Mode.IDLE, stuck)


@rule("ADV-3.boot", on="boot", needs="ADV-3 CRT-1", says="A power cycle: the provisioning set, and nothing else.")
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(True, {name: int(value) for name, value in State()._asdict().items()})


# --- FAA -------------------------------------------------------------------------------------------------------------


@rule(
    "FRM-5.to-radio",
    on="cpu-faa",
    needs="FRM-5",
    says="A CPU frame for the FAA goes to the radio unchanged, whatever else runs.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    allowed = Or(s.mode == Mode.IDLE, And(c.profile.frm_5, s.mode != Mode.FATAL_ERROR))
    return Effect(allowed, emit=(Emit("faa-radio", (e.size, 1)),))


@rule("FRM-5.wait", on="cpu-faa", needs="FRM-5", says="(historic) A CPU frame for the FAA waits while a session runs.")
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(not c.profile.frm_5, busy(s)), {"waiting": Waiting.FAA, "waiting_size": e.size})


@rule(
    "FRM-5.to-cpu",
    on="radio-faa",
    needs="FRM-5",
    says="A radio frame from the FAA goes to the CPU unchanged, whatever else runs.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    allowed = Or(s.mode == Mode.IDLE, And(c.profile.frm_5, s.mode != Mode.FATAL_ERROR))
    return Effect(allowed, emit=(Emit("faa-cpu", (e.size, 1)),))


# --- urgent: what follows the end of a session -----------------------------------------------------------------------


@rule(
    "SES-9.resume",
    on=None,
    needs="SES-9",
    says="The message that was put aside goes first.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    back = {**send(s.aside_to, s.aside_size, c), "unyielding": s.unyielding}
    clear = {"aside": 0, "aside_to": 0, "aside_size": 0}
    return Effect(And(s.mode == Mode.IDLE, s.aside == 1), {**back, **clear}, (Emit("hello", (s.aside_to,)),))


CALLED = {"waiting": Waiting.NONE, "waiting_to": 0, "waiting_size": 0, "waiting_dev": 0, "waiting_op": 0}


@rule("SES-5.take-send", on=None, needs="SES-5 SES-2", says="The waiting message goes next.", timer="DTL-6")
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(free(s), s.waiting == Waiting.SEND),
        {**send(s.waiting_to, s.waiting_size, c), **CALLED},
        (Emit("hello", (s.waiting_to,)),),
    )


@rule("SES-5.take-request", on=None, needs="SES-5 SES-4 CRT-4", says="The waiting request goes next.", timer="DTL-6")
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(free(s), s.waiting == Waiting.REQUEST, s.waiting_size == REQUEST_SIZE),
        {**request(s.waiting_dev, s.waiting_op, c), **CALLED},
        (Emit("hello", (1,)),),
    )


@rule(
    "SES-5.take-malformed", on=None, needs="SES-5 REG-4 CRT-4", says="The waiting request is not 4 bytes long: refused."
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(free(s), s.waiting == Waiting.REQUEST, s.waiting_size != REQUEST_SIZE),
        {"registered": 0, **CALLED},
        (Emit("answer", (c.me, REFUSED), c.profile.reg_4),),
    )


@rule("SES-5.take-other", on=None, needs="SES-5 FRM-6", says="The waiting frame is consumed and dropped.")
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(free(s), s.waiting == Waiting.OTHER), CALLED)


@rule("FRM-5.take", on=None, needs="FRM-5", says="(historic) The waiting FAA frame goes to the radio.")
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(free(s), s.waiting == Waiting.FAA), CALLED, (Emit("faa-radio", (s.waiting_size, 1)),))
