"""The honest scenarios that generated purposes disturb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from conformance.purpose import Purpose, parse

IUT: Final = 10
PEER: Final = 11
SIZE: Final = 964
"""Bytes of a message that takes two records (SES-2)."""

MOMENT_MS: Final = 5
"""From a scenario's beginning to what happens during it."""

StepTable = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the devices do on links without a fault."""

    id: str
    title: str
    requirements: tuple[str, ...]
    act: tuple[StepTable, ...]
    """What is disturbed."""
    before: tuple[StepTable, ...] = ()
    """What comes before it, undisturbed, until all is at rest."""
    peers: tuple[int, ...] = (PEER,)

    def purpose(
        self,
        name: str,
        title: str,
        disturbance: tuple[StepTable, ...],
        *,
        during: tuple[StepTable, ...] = (),
        others: tuple[int, ...] = (),
        alone: bool = False,
    ) -> Purpose:
        """The scenario with steps that disturb it; then, unless `alone`, the links are mended and it has to work.

        `during` are steps a moment after it began, `others` further peers for them. Whatever becomes of the messages,
        no CPU gets what nobody sent, or twice, or a part (SES-8), and the IUT is alive afterwards.
        """
        steps = [*self.before, *disturbance, *self.act]
        if during:
            steps += [{"do": "wait", "ms": MOMENT_MS}, *during]
        steps += [_IDLE, {"do": "expect", "what": "rest"}]
        if not alone:
            steps += [{"do": "mend"}, *(_REGISTER if during or not self.peers else _HEAR)]
        document = {
            "title": title,
            "requirements": list(self.requirements),
            "iut": IUT,
            "peers": [{"id": peer} for peer in (*self.peers, *others)],
            "steps": steps,
        }
        return parse(name, document)


_IDLE: Final[StepTable] = {"do": "wait", "until": "idle"}
_REGISTER: Final = ({"do": "register"}, _IDLE, {"do": "expect", "what": "answer", "op": 0})
_HEAR: Final = (
    {"do": "send", "by": PEER, "to": IUT, "size": 16},
    _IDLE,
    {"do": "expect", "what": "message", "at": IUT, "from": PEER, "size": 16},
)

SCENARIOS: Final = (
    Scenario(
        "send",
        "The IUT sends",
        ("SES-2", "DTL-6", "DTL-7"),
        ({"do": "send", "to": PEER, "size": SIZE},),
    ),
    Scenario(
        "receive",
        "The IUT receives",
        ("SES-3", "SES-8", "DTL-6", "DTL-7"),
        ({"do": "send", "by": PEER, "to": IUT, "size": SIZE},),
    ),
    Scenario(
        "register",
        "The IUT registers",
        ("SES-4", "REG-4", "CRT-2", "DTL-6", "DTL-7"),
        ({"do": "register"},),
        peers=(),
    ),
    Scenario(
        "deregister",
        "The IUT deregisters",
        ("SES-4", "CRT-5", "DTL-6", "DTL-7"),
        ({"do": "deregister"},),
        before=_REGISTER,
        peers=(),
    ),
)
"""Those in which every fault, and every two faults, are tried."""
