"""Candidates beside what was not seen: before an event, and where nothing seen explains an output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from conformance.onlooker.candidate import Candidate, Known, take
from conformance.onlooker.hypotheses import busy, explanations
from conformance.onlooker.matching import Terms, fits
from conformance.onlooker.passing import held
from conformance.onlooker.reading import Sent
from model.alphabet import DEREGISTER, REFUSED, REGISTER, SSS_ID, Event, Link
from model.profile import Setting
from model.state import Mode, Step, Waiting


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds at one frame."""

    terms: Terms
    setting: Setting
    number: int
    """The frame."""
    now: int
    sealed_sss: bool
    """Whether the secret of the session with the SSS is unknown."""
    synced: bool
    """Whether the controller's state has been known since the capture began."""


def taken(c: Candidate, event: Event, at: Circumstances) -> Iterator[Candidate]:
    """Every way to take an event, with what may have come before it unseen."""
    for start in (c, *_before(c, event, at)):
        guessed = start.content is not Known.ALL or at.sealed_sss
        if event.kind == "response" and guessed:
            yield c  # its bytes say nothing: below
            continue
        for after in take(start, event, at.setting, at.number):
            yield after
            if guessed and event.kind == "data" and event.args[0] == SSS_ID and after.state.step == Step.READ:
                yield from _responses(after, at)


def _responses(c: Candidate, at: Circumstances) -> Iterator[Candidate]:
    """A response of which not all is known may have become whole."""
    whole = c.assuming(f"the response of the SSS was whole at frame {at.number}", None, hidden=1)
    for op, good in ((REGISTER, 1), (DEREGISTER, 1), (REFUSED, 0)):
        yield from take(whole, Event("response", (op, good, good)), at.setting, at.number)


def _before(c: Candidate, event: Event, at: Circumstances) -> Iterator[Candidate]:
    s, kind, args, cpu = c.state, event.kind, event.args, Link.CPU in at.terms.unseen
    reads = s.step in (Step.READ, Step.LISTEN) and kind in ("data", "close") and s.peer == args[0]
    if reads and not at.terms.lossless and args[1] > s.expect:
        content = Known.PART if c.content is Known.ALL else Known.NOTHING
        skipped = replace(c, state=s._replace(expect=args[1], began=1), content=content)
        link = Link.SSS if s.peer == SSS_ID else Link.RADIO
        yield skipped.assuming(f"records before frame {at.number} were lost from the capture", link, losses=1)
    if cpu and kind == "hello-cookie" and s.mode == Mode.IDLE and s.registered:
        text = f"a request of the CPU discarded the runtime set before frame {at.number}"
        yield replace(c, state=s._replace(registered=0)).assuming(text, Link.CPU, hidden=1)
    for state, says in busy(s, at.setting.me, at.terms.unseen, event):
        yield replace(c, state=state).assuming(f"{says} at frame {at.number}", None, hidden=1)
    if cpu and kind == "hello-cookie" and s.step == Step.ACCEPT and s.waiting == Waiting.NONE:
        yield held(c, f"frame {at.number}")


def explained(candidates: Iterable[Candidate], sent: Sent, at: Circumstances) -> Iterator[Candidate]:
    """The candidates for which something unseen explains an output, at its price, after they have shown it."""
    terms = at.terms
    if sent.again or (terms.lossless and not terms.unseen):
        return  # only a timer makes a ClientHello come again
    for c in candidates:
        for h in explanations(c.state, sent.output, at.setting.me, terms.unseen):
            hidden = h.link in terms.unseen
            if terms.lossless and not hidden:
                continue
            free = hidden or not at.synced
            text = f"{h.says} before frame {at.number}" + ("" if hidden else " and was lost from the capture")
            start = c.assuming(text, h.link if at.synced else None, losses=int(not free), hidden=int(free))
            ways = [
                replace(
                    start,
                    state=h.state,
                    content=Known.NOTHING if h.content else c.content,
                    loose_message=c.loose_message or h.message,
                    loose_request=c.loose_request or h.request,
                )
            ]
            for event in h.events:
                ways = [a for w in ways for a in take(w, event, at.setting, at.number)]
            for way in ways:
                yield from fits(way, sent, terms, at.now, at.number)
