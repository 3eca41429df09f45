"""The rules of the SSS, for one of its wires: `SSS_RULES` (REG, CRT-8).

The wires share nothing but the runtime CA (REG-7), so one wire with its device is all that a rule looks at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from model.alphabet import DEREGISTER, REFUSED, REGISTER, Ca
from model.profile import HARDENED, Profile
from model.rules.base import Effect, Emit, Rule, Variables, add_drops
from model.rules.base import rule as enter
from model.state import Step
from model.terms import And, If, Max, Min, Not, Or, Term

SSS_RULES: list[Rule] = []

SSS_EVENTS: dict[str, tuple[str, ...]] = {
    "hello": (),
    "hello-cookie": ("handshake",),
    "certificate": ("ca", "cn", "key"),
    "flight5": ("seq",),
    "repeat": ("flight", "seq"),
    "request": ("seq", "dev", "op"),
    "close": (),
    "alert": (),
    "time": ("ms",),
    "restart": (),
}
"""What reaches the SSS on a wire; the arguments are those of `model.alphabet.EVENTS`. `key` is the id of the device
whose provisioned key the certificate shows. `request` is an authenticated record with a whole request."""


rule = partial(enter, book=SSS_RULES, events=SSS_EVENTS)


class Wire(NamedTuple):
    """The SSS's side of one wire: the session with its device, and whether that counts as registered."""

    step: int = Step.NONE
    handshake: int = 0
    timer: int = 0
    timeout: int = 0
    expect: int = 0
    answered: int = 0
    registered: int = 0


@dataclass(frozen=True, slots=True)
class WireSetting:
    """What the rules take as given: the device at the other end, whether it was removed (CRT-8), and the timers."""

    device: int
    profile: Profile = HARDENED
    removed: bool = False
    first_timeout: int = 7_000
    last_timeout: int = 60_000
    idle_timeout: int = 60_000


GONE: dict[str, Term] = {"step": Step.NONE, "handshake": 0, "timer": 0, "timeout": 0, "expect": 0, "answered": 0}
"""The session is over."""


@rule(
    "SES-6.verify",
    on="hello",
    needs="SES-6 DTL-3",
    says="A ClientHello without a valid cookie is answered with a HelloVerifyRequest and leaves nothing behind.",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(True, emit=(Emit("verify-request", (c.device,)),))


@rule(
    "REG-7.open",
    on="hello-cookie",
    needs="REG-7 SES-3 CRT-6",
    says="A valid cookie and a new handshake replace the wire's session in any state: the device started over.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    opened = {"step": Step.ACCEPT, "handshake": e.handshake, "timer": c.first_timeout, "timeout": c.first_timeout}
    return Effect(
        Or(s.step == Step.NONE, s.handshake != e.handshake),
        {**GONE, **opened},
        (Emit("flight4", (c.device, Ca.PROVISIONING)),),
    )


@rule(
    "DTL-6.repeat-4",
    on="hello-cookie",
    needs="DTL-6 DTL-7",
    says="The hello of the handshake being served came again: flight 4 goes out again, and the timer runs on.",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(
        And(s.step == Step.ACCEPT, s.handshake == e.handshake),
        emit=(Emit("flight4", (c.device, Ca.PROVISIONING)),),
    )


@rule(
    "CRT-8.reject",
    on="certificate",
    needs="CRT-8 CRT-7 CRT-2",
    says="A certificate of another CA, in another name, with another key, or of a removed device ends the session.",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    misnamed = And(c.profile.crt_7, e.cn != c.device)
    bad = Or(c.removed, e.ca != Ca.PROVISIONING, misnamed, e.key != c.device)
    return Effect(And(s.step == Step.ACCEPT, bad), GONE, (Emit("alert", (c.device,)),))


@rule(
    "SES-3.finish",
    on="flight5",
    needs="SES-3 DTL-1",
    says="The device's flight is whole and verifies: the SSS's Finished, then the request is awaited.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    listen = {"step": Step.LISTEN, "timer": c.idle_timeout, "timeout": 0, "expect": e.seq + 1}
    return Effect(s.step == Step.ACCEPT, listen, (Emit("flight6", (c.device,)),))


@rule(
    "DTL-6.repeat-6",
    on="repeat",
    needs="DTL-6 SES-7",
    says="The device's Finished came again: flight 6 goes out again unless its request came, and the device is alive.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(
        And(s.step == Step.LISTEN, e.flight == 5),
        {"timer": c.idle_timeout, "expect": If(s.answered == 1, s.expect, Max(s.expect, e.seq + 1))},
        (Emit("flight6", (c.device,), s.answered == 0),),
    )


def asked(s: Variables, e: Variables) -> Term:
    """The one request of a session, contiguous (SES-8)."""
    return And(s.step == Step.LISTEN, s.answered == 0, s.expect == e.seq)


def registers(s: Variables, e: Variables, c: WireSetting) -> Term:
    """A registration that is granted (REG-2, REG-3, REG-5)."""
    return And(e.op == REGISTER, e.dev == c.device, Or(s.registered == 0, c.profile.reg_5))


def deregisters(s: Variables, e: Variables, c: WireSetting) -> Term:
    """A deregistration that is granted (REG-2, REG-3)."""
    return And(e.op == DEREGISTER, e.dev == c.device, s.registered == 1)


@rule(
    "REG-1.register",
    on="request",
    needs="REG-1 REG-5 REG-2",
    says="A device of the deployment gets a new key pair and certificate of the runtime CA.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(
        And(asked(s, e), registers(s, e, c)),
        {"registered": 1, "answered": 1, "expect": e.seq + 1, "timer": c.idle_timeout},
        (Emit("response", (REGISTER, 1)),),
    )


@rule(
    "REG-3.deregister",
    on="request",
    needs="REG-3 REG-6 REG-2",
    says="A registered device is registered no more.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(
        And(asked(s, e), deregisters(s, e, c)),
        {"registered": 0, "answered": 1, "expect": e.seq + 1, "timer": c.idle_timeout},
        (Emit("response", (DEREGISTER, 1)),),
    )


@rule(
    "REG-3.refuse",
    on="request",
    needs="REG-3 REG-2 REG-5",
    says="Any other request is refused by a complete response (historic: one too short to be read).",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    granted = Or(registers(s, e, c), deregisters(s, e, c))
    return Effect(
        And(asked(s, e), Not(granted)),
        {"answered": 1, "expect": e.seq + 1, "timer": c.idle_timeout},
        (Emit("response", (REFUSED, int(c.profile.reg_3))),),
    )


@rule(
    "SES-8.gap",
    on="request",
    needs="SES-8",
    says="A record that breaks contiguity closes the session.",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    gap = And(s.step == Step.LISTEN, s.answered == 0, s.expect != e.seq)
    return Effect(gap, GONE, (Emit("close", (c.device,)),))


@rule(
    "SES-4.closed",
    on="close",
    needs="SES-4",
    says="The device's close_notify ends the session.",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(s.step == Step.LISTEN, GONE)


@rule(
    "DTL-7.alert",
    on="alert",
    needs="DTL-7",
    says="A plaintext fatal alert ends a handshake.",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(s.step == Step.ACCEPT, GONE)


@rule(
    "DTL-6.wait",
    on="time",
    needs="DTL-6",
    says="Time passes, and no timer fires.",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(Or(s.timer == 0, e.ms < s.timer), {"timer": If(s.timer == 0, 0, s.timer - e.ms)})


@rule(
    "DTL-6.resend",
    on="time",
    needs="DTL-6",
    says="The retransmission timer fires: flight 4 goes out again, and the timeout doubles up to its cap.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    doubled = Min(2 * s.timeout, c.last_timeout)
    return Effect(
        And(s.step == Step.ACCEPT, s.timer == e.ms, s.timeout < c.last_timeout),
        {"timer": doubled, "timeout": doubled},
        (Emit("flight4", (c.device, Ca.PROVISIONING)),),
    )


@rule(
    "DTL-6.give-up",
    on="time",
    needs="DTL-6",
    says="The last timeout: the handshake has failed.",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(And(s.step == Step.ACCEPT, s.timer == e.ms, s.timeout >= c.last_timeout), GONE)


@rule(
    "SES-7.idle",
    on="time",
    needs="SES-7",
    says="No authenticated progress for idle_timeout: the session is closed.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(And(s.step == Step.LISTEN, s.timer == e.ms), GONE, (Emit("close", (c.device,)),))


@rule(
    "REG-1.restart",
    on="restart",
    needs="REG-1",
    says="A restart ends all sessions; the list of devices is kept (historic: forgotten, with the CA).",
)
def _(s: Variables, e: Variables, c: WireSetting) -> Effect:
    return Effect(True, {**GONE, "registered": s.registered if c.profile.reg_1 else 0})


add_drops(
    {
        "hello-cookie": ("SES-5.hello-cookie", "SES-5", "The hello of a handshake that is over changes nothing."),
        "certificate": ("CRT-7.accept", "CRT-7 CRT-8", "A good certificate changes nothing by itself."),
        "flight5": ("SES-5.flight5", "SES-5", "A flight of no running handshake is dropped."),
        "repeat": ("DTL-7.repeat", "DTL-7", "A repeated flight that needs no answer is dropped."),
        "request": ("SES-5.request", "SES-5", "A record of no running session, or after the request, is dropped."),
        "close": ("SES-5.close", "SES-5", "A close_notify of no running session is dropped."),
        "alert": ("SES-5.alert", "SES-5 DTL-7", "A plaintext alert outside a handshake is dropped."),
    },
    SSS_RULES,
    SSS_EVENTS,
)
