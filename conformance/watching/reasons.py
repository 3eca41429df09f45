"""What is wrong with a step of an SSS's wire, and where the wire stands, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from conformance.results import Divergence
from conformance.watching.ways import Said, Way
from model.rules.sss import Wire
from model.state import Step

Wrong = Literal["said", "timer", "registered"]
"""What no way explains: what the SSS said; its next timer; or whether the device counts as registered."""


def divergence(
    wrong: Wrong,
    ways: Sequence[Way],
    said: tuple[Said, ...],
    deadline: int | None,
    *,
    step: int,
    now: int,
    device: int,
    stimulus: str,
) -> Divergence:
    """What there is to tell of step number `step`. `ways` are those that are left when `wrong` is looked at."""
    allowed = list(dict.fromkeys(w.said for w in ways))
    rules = list({r.id: r for w in ways for r in w.rules}.values())
    dues = list(dict.fromkeys(now + w.state.timer if w.state.timer else None for w in ways))
    if wrong == "registered":
        needs = [i for r in rules for i in r.needs] or ["REG-3"]
        counts = " or ".join(dict.fromkeys("is" if w.state.registered else "is not" for w in ways))
        text = f"All that came is allowed, but the SSS has it otherwise: by the rules, {device} {counts} "
        text += "registered now."
    elif wrong == "timer":
        needs = [i for r in rules for i in r.timer] or ["DTL-6", "SES-7"]
        text = f"All that came is allowed, but the wire's next timer is {_at(deadline)} where the rules want "
        text += " or ".join(map(_at, dues)) + "."
    else:
        needs = [i for r in rules for i in r.needs] or ["REG-7"]
        wanted = " or ".join(", ".join(map(_text, outputs)) or "nothing" for outputs in allowed)
        text = f"Came: {', '.join(map(_text, said)) or 'nothing'}. Allowed: {wanted}. "
        text += f"Rules: {', '.join(f'{r.id} ({r.says})' for r in rules) or 'none apply'}"
    return Divergence(
        step=step,
        time=now,
        stimulus=stimulus,
        observed=[_text(s) for s in said],
        allowed=[[_text(s) for s in outputs] for outputs in allowed],
        observed_deadline=deadline,
        allowed_deadlines=dues,
        rules=[r.id for r in rules],
        requirements=list(dict.fromkeys(needs)),
        explanation=text,
    )


def describe_wire(state: Wire, device: int) -> str:
    """Where a wire stands."""
    step = Step(state.step)
    session = "no session" if step is Step.NONE else f"{step.name} with {device}"
    timer = f", timer {state.timer} ms" if state.timer else ""
    return f"{session} ({'registered' if state.registered else 'unregistered'}{timer})"


def _text(said: Said) -> str:
    kind, args = said
    return f"{kind}({', '.join(map(str, args))})"


def _at(deadline: int | None) -> str:
    return "not armed" if deadline is None else f"due at {deadline} ms"
