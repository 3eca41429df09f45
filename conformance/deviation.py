"""A purpose's deviation: that it took place, and how the IUT reacted to it, as its peers see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.evidence import Watch, shown, told, words
from conformance.judge import Diverged
from conformance.lab import Lab
from conformance.purpose import Purpose
from conformance.results import Divergence
from conformance.wire.certificates import Authorities
from conformance.wire.frames import HEADER
from conformance.wire.secrets import KeyLog
from model.alphabet import Link


class Deviation:
    """What the scripted peers and the IUT said to each other. `keylog` and the lab's frames grow meanwhile."""

    def __init__(self, purpose: Purpose, lab: Lab, keylog: KeyLog, authorities: Mapping[str, bytes]) -> None:
        self._purpose, self._lab, self._keylog, self._authorities = purpose, lab, keylog, authorities
        self._told: dict[int, int] = {}
        """How much of what the IUT said to a peer has been asked about."""
        self._end: int | None = None
        self.shown: int | None = None
        """Which sighting of the lab's first bears out the deviation, once the evidence was looked for."""

    @property
    def lasts(self) -> bool:
        """Whether there are scripted peers, and they are not honest yet."""
        return bool(self._purpose.scripted) and self._end is None

    def end(self) -> None:
        """From now on the peers are honest: what comes is no evidence."""
        self._end = len(self._lab.sightings) if self._end is None else self._end

    def expect(self, at: int, said: Sequence[str], step: int) -> None:
        """All that the IUT has said to a peer since it was last asked about is one of these reactions, or Diverged."""
        facts = [fact for _, to_iut, fact in self._facts(at, None) if not to_iut]
        new, self._told[at] = facts[self._told.get(at, 0) :], len(facts)
        heard = words(new)
        if not any(told(heard, reaction) for reaction in said):
            wanted = [reaction or "nothing" for reaction in said]
            raise self.wrong(f"to {at}: {', '.join(heard) or 'nothing'}", wanted, step)

    def missing_evidence(self, step: int) -> str:
        """What the purpose names of its peers' frames and was not there; empty if all was.

        Raises Diverged for what the IUT should have said.
        """
        seen = [
            (index, fact | {"iut": int(not to_iut)})
            for peer in self._purpose.scripted
            for index, to_iut, fact in self._facts(peer, self._end)
        ]
        facts = [fact for _, fact in seen]
        for evidence in self._purpose.evidence:
            once = {name: value for name, value in evidence.items() if name != "count"}
            if self.shown is None:
                self.shown = next((index for index, fact in seen if shown(once, [fact])), None)
            if shown(evidence, facts):
                continue
            if evidence.get("iut"):
                raise self.wrong("no frame that shows it", [f"a frame that shows {evidence}"], step)
            return f"No frame of the scripted peers shows {evidence}: the deviation has not taken place."
        return ""

    def wrong(self, observed: str, allowed: list[str], step: int) -> Diverged:
        """The reaction is not what the purpose's requirements ask for."""
        return Diverged(
            Divergence(
                step=step,
                time=self._lab.now,
                stimulus="a deviation",
                observed=[observed],
                allowed=[[a] for a in allowed],
                observed_deadline=None,
                allowed_deadlines=[],
                rules=[],
                requirements=list(self._purpose.requirements),
                explanation=f"The IUT said {observed}. Asked for: {' or '.join(allowed)}.",
            )
        )

    def _facts(self, peer: int, until: int | None) -> Iterator[tuple[int, bool, dict[str, Any]]]:
        """What there was between the IUT and a peer: in which sighting, whether it went to the IUT, and its facts."""
        watch = Watch(self._keylog, Authorities(self._authorities))
        for index, sighting in enumerate(self._lab.sightings[:until]):
            if sighting.peer == peer and sighting.link is not Link.CPU and sighting.fate != "lost":
                source = peer if sighting.towards else self._purpose.iut
                for fact in watch.datagram(source, sighting.data[HEADER.size :]):
                    yield index, sighting.towards, fact
