"""The judge of one run: abstraction and oracle together, and the trace of every step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from conformance.abstraction import Abstraction, Identity
from conformance.results import Divergence
from conformance.targets.base import Reaction
from conformance.wire.secrets import KeyLog
from model.alphabet import Event, Link, Output
from model.oracle import Disagreement, Oracle
from model.profile import Setting
from model.state import State, Waiting


@dataclass
class Diverged(Exception):
    """The IUT did what no rule allows; the run ends here."""

    divergence: Divergence

    def __str__(self) -> str:
        return self.divergence.explanation


class Judge:
    """Judges a run step by step and writes down each step."""

    def __init__(self, identity: Identity, keylog: KeyLog, setting: Setting, state: State | None = None) -> None:
        """`state` is where the controller stands; None: it has just booted."""
        self._identity, self._keylog = identity, keylog
        self.abstraction = Abstraction(identity, keylog)
        self.oracle = Oracle(setting, state)
        self.steps: list[dict[str, Any]] = []

    def forget(self) -> None:
        """The IUT loses power: nothing that it was told counts any more."""
        self.abstraction = Abstraction(self._identity, self._keylog)

    @property
    def holds_cpu_frame(self) -> bool:
        """Whether the IUT may be holding a CPU frame whose body it has not read: no other can reach it (SES-5)."""
        return any(p.state.waiting != Waiting.NONE for p in self.oracle.possible)

    def weigh(
        self, events: tuple[Event, ...], reaction: Reaction, *, framed: bool
    ) -> tuple[tuple[Output, ...], Disagreement | None]:
        """Judge one step without writing it down: its outputs, and what is wrong with them. `framed`: bytes came."""
        outputs = self.abstraction.observe(reaction.chunks)
        disagreement = self.oracle.step(events, outputs, reaction.deadline, told=reaction.told)
        if disagreement is not None and not events and framed:  # no frame for this controller was in it
            disagreement = replace(disagreement, requirements=("FRM-1", "FRM-3", *disagreement.requirements))
        self.abstraction.memory.forget_sessions({p.state.peer for p in self.oracle.possible})
        return outputs, disagreement

    def step(self, stimulus: dict[str, Any], events: tuple[Event, ...], reaction: Reaction) -> None:
        """Judge one step. Raises Diverged, after the step was written down."""
        outputs, disagreement = self.weigh(events, reaction, framed="link" in stimulus)
        number = len(self.steps)
        self.steps.append(
            {
                "n": number,
                "t": reaction.now,
                "stimulus": stimulus,
                "events": [[e.kind, *e.args] for e in events],
                "chunks": [[link.name.lower(), data.hex()] for link, data in reaction.chunks],
                "debug": list(reaction.debug),
                "outputs": [[o.kind, *o.args] for o in outputs],
                "deadline": reaction.deadline,
                "rules": list(dict.fromkeys(r.id for p in self.oracle.possible for r in p.rules)),
                "state": [s.describe() for s in self.oracle.states],
                "verdict": "FAIL" if disagreement else "PASS",
            }
        )
        failed = next((line for line in reaction.debug if "fatal:" in line or "fault:" in line), None)
        if disagreement is None and failed is None:
            return
        if failed is not None:  # the cause, whatever else is missing for it
            said = f"The debug channel says {failed!r}: no input may lead there."
            if disagreement is None:
                disagreement = Disagreement(self.oracle.possible, ("SES-12",), said)
            else:
                requirements = tuple(dict.fromkeys(("SES-12", *disagreement.requirements)))
                explanation = f"{said} {disagreement.explanation}"
                disagreement = replace(disagreement, requirements=requirements, explanation=explanation)
        assert disagreement is not None
        raise Diverged(
            Divergence(
                step=number,
                time=reaction.now,
                stimulus=", ".join(map(str, events)) or describe_stimulus(stimulus),
                observed=[str(o) for o in outputs],
                allowed=[[str(o) for o in p.outputs] for p in disagreement.allowed],
                observed_deadline=reaction.deadline,
                allowed_deadlines=[p.deadline(self.oracle.now) for p in disagreement.allowed],
                rules=list(dict.fromkeys(r.id for p in disagreement.allowed for r in p.rules)),
                requirements=list(disagreement.requirements),
                explanation=disagreement.explanation,
            )
        )

    def events(self, link: Link, data: bytes) -> tuple[Event, ...]:
        """The events in bytes that are about to be given to the IUT."""
        return self.abstraction.stimulus(link, data)


def describe_stimulus(stimulus: dict[str, Any]) -> str:
    """A stimulus of the trace in words."""
    if "link" in stimulus:
        return f"{len(stimulus['hex']) // 2} bytes on the {stimulus['link']} link"
    return f"{stimulus['ms']} ms pass" if "ms" in stimulus else "boot"
