"""Something else happens while a scenario is under way, at each point of it.

One transmission is held back for a moment, and within that moment a CPU, a peer or the power does something. So each
certificate switch meets each state of a session, and each CPU frame meets each state of the controller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from conformance.generation.faults import transmissions
from conformance.generation.scenarios import IUT, MOMENT_MS, PEER, Scenario, StepTable
from conformance.purpose import Purpose

OTHER: Final = 12
"""A device that the scenario does not need."""
INTRUSIONS: Final[dict[str, tuple[StepTable, ...]]] = {
    "send": ({"do": "send", "to": OTHER, "size": 16},),
    "hear": ({"do": "send", "by": OTHER, "to": IUT, "size": 16},),
    "register": ({"do": "register"},),
    "deregister": ({"do": "deregister"},),
    "malformed": ({"do": "request", "size": 3},),
    "broadcast": ({"do": "broadcast", "size": 16},),
    "faa-out": ({"do": "faa", "to": "radio", "size": 16},),
    "faa-in": ({"do": "faa", "to": "cpu", "size": 16},),
    "noise": ({"do": "inject", "link": "radio", "source": PEER, "target": IUT, "size": 40},),
    "boot": ({"do": "boot"},),
    "boot-peer": ({"do": "boot", "by": PEER},),
    "restart": ({"do": "restart"},),
}
"""What happens meanwhile, as steps of a purpose."""


def interleavings(scenario: Scenario) -> Iterator[Purpose]:
    """Each intrusion while each transmission is held back."""
    for on in transmissions(scenario):
        for name, steps in INTRUSIONS.items():
            if name == "boot-peer" and PEER not in scenario.peers:
                continue
            yield scenario.purpose(
                f"{scenario.id}-{name}-at-{on}",
                f"{scenario.title}: {name} while {on} is under way",
                (on.step("delay", ms=2 * MOMENT_MS),),
                during=steps,
                others=(OTHER,),
            )
