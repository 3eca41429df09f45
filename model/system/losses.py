"""What gets lost on prompt links. (On free links the adversary just never delivers it.)"""

from __future__ import annotations

from collections.abc import Iterator

from model.alphabet import SSS_ID
from model.system.base import Action
from model.system.layout import Draft
from model.system.makers import Makers
from model.terms import And, Term

FLIGHTS = {"h": 1, "v": 2, "hc": 3, "f4": 4, "f5": 5, "f6": 6}
AFTER = 7
"""What stands in `Scope.losable` for all that follows the handshake, and for flights of old sessions."""
SAID = {
    "c": "close",
    "rq": "request",
    "rsp": "response",
    "al": "alert",
    "cl": "its server's close",
    "f4p": "an old flight 4, provisioning",
    "f4r": "an old flight 4, runtime",
}


def losses(m: Makers) -> Iterator[Action]:
    """Whatever is on its way may be lost, as often as the scope says."""
    if "faults" in m.layout.variables:
        for name in m.layout.pending:
            slot = name.partition("_")[2]
            if slot != "old" and FLIGHTS.get(slot, AFTER) in m.layout.scope.losable:
                yield _loss(m, name, slot)


def _loss(m: Makers, name: str, slot: str) -> Action:
    def lose(d: Draft) -> None:
        d.set(name, 0)
        d.set("faults", d["faults"] - 1)

    def may(d: Draft) -> Term:
        return And(d[name] != 0, d["faults"] > 0)

    end, owner = name[0], int(name[1])
    actor = SSS_ID if end == "w" else owner
    what = f"flight {FLIGHTS[slot]}" if slot in FLIGHTS else SAID.get(slot, slot.replace("d", "record "))
    stimulus = ("lose", slot, owner, end)
    shown = f"{actor}.lost({what}{f' from {owner}' if end == 'w' else ''})"
    return m.other(shown, "lose", f"A frame is lost: {what}.", lose, when=may, stimulus=stimulus)
