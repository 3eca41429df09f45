"""Whether an output that came is one that a candidate has yet to show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from conformance.onlooker.candidate import Candidate, Due, Known
from conformance.onlooker.reading import Sent
from model.alphabet import REGISTER, Ca, Link, Output
from model.state import Mode

ANYONE = 0
"""Stands for the SED for which a message was put aside before the capture began."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known of a capture, for the comparison of outputs."""

    lossless: bool
    """Whether each frame on the links that the capture has is in it."""
    unseen: frozenset[Link]
    """Links that it does not have."""
    identified: bool
    """Whether the authorities and the own keys are known, so that an own certificate can be judged."""
    exact: bool
    """Whether times are exact."""


def fits(c: Candidate, sent: Sent, terms: Terms, now: int, number: int) -> Iterator[Candidate]:
    """The candidate after it has shown this output; nothing if it had not to. Earlier ones may be lost at a price."""
    output = sent.output
    skipped = 0
    for place, due in enumerate(c.due):
        if due.output.link is not output.link:
            continue
        after = _same(c, sent, due, terms)
        if after is not None:
            earlier = tuple(d for d in c.due[:place] if d.output.link is not output.link)
            after = replace(after, due=earlier + c.due[place + 1 :])
            if skipped:
                text = f"{_count(skipped)} sent before frame {number} and lost from the capture"
                after = after.assuming(text, output.link, losses=skipped)
            yield after if terms.exact else _in_time(after, due, now)
            return
        if terms.lossless:
            break
        skipped += 1
    if output.link is Link.CPU and now <= c.excused and output.kind in ("deliver", "answer"):
        in_force = int(output.args[1] == REGISTER) if output.kind == "answer" else c.state.registered
        yield replace(c, state=c.state._replace(registered=in_force), excused=-1)


def _count(frames: int) -> str:
    return f"{frames} frames were" if frames > 1 else "a frame was"


def _in_time(c: Candidate, due: Due, now: int) -> Candidate:
    """Its clock is set by what it shows: the timer was armed when the last output of the reaction went out."""
    if not c.state.timer or any(d.at >= due.at for d in c.due):
        return c
    return replace(c, clock=c.clock + now - due.at)


def _same(c: Candidate, sent: Sent, due: Due, terms: Terms) -> Candidate | None:
    """The candidate, a little wiser, if the two outputs are the same as far as can be told."""
    came, wanted = sent.output, due.output
    if came == wanted and due.known is not Known.PART:
        return replace(c, loose_message=c.loose_message and came.kind != "data") if c.loose_message else c
    if came.kind == "unknown":
        # Part of a flight: a datagram of it is missing.
        text = f"a frame of {wanted} was lost from the capture"
        return None if terms.lossless else c.assuming(text, came.link, losses=1)
    if came.kind != wanted.kind:
        return None
    if came.kind == "request":
        if sent.loose:
            return c
        if c.loose_request:
            dev, op = came.args
            return replace(c, loose_request=False, state=c.state._replace(dev=dev, op=op))
        return None
    if came.kind == "hello" and wanted.args[0] == ANYONE:
        return replace(c, state=c.state._replace(peer=came.args[0]))
    if came.args[0] != wanted.args[0]:
        return None
    if came.kind == "data":
        return replace(c, loose_message=False) if c.loose_message or sent.loose or not terms.lossless else None
    if came.kind == "deliver":
        return _delivered(c, sent, due, terms)
    if came.kind in ("flight4", "flight5"):
        return _certified(c, came, wanted, terms)
    if came.kind in ("faa-radio", "faa-cpu"):
        source = Link.CPU if came.kind == "faa-radio" else Link.RADIO
        return c if not terms.lossless or source in terms.unseen else None
    return None


def _delivered(c: Candidate, sent: Sent, due: Due, terms: Terms) -> Candidate | None:
    """A message of which not all records were seen. If it is longer than what was seen, it proves that they came."""
    came, seen = sent.output.args[1], due.output.args[1]
    match due.known:
        case Known.ALL:
            return c if sent.loose and (came == seen or not terms.lossless) else None
        case Known.PART:
            return replace(c, losses=c.losses - 1, hidden=c.hidden + 1) if came > seen else None
        case Known.NOTHING:
            return c


def _certified(c: Candidate, came: Output, wanted: Output, terms: Terms) -> Candidate | None:
    """A flight with another certificate than the state's."""
    shown, due = Ca(came.args[1]), Ca(wanted.args[1])
    if not terms.identified and shown is Ca.OTHER:
        return c
    told = terms.lossless and terms.identified and Link.SSS not in terms.unseen
    if shown is Ca.STALE and due is Ca.RUNTIME and not told:
        return c  # the response that replaced it may not have been seen, or not been opened
    if not {Link.SSS, Link.CPU} <= terms.unseen or c.state.mode == Mode.TALKING_TO_SSS:
        return None
    if shown not in (Ca.PROVISIONING, Ca.RUNTIME, Ca.STALE):
        return None
    registered = int(shown is not Ca.PROVISIONING)
    text = "the SSS registered it" if registered else "the SSS deregistered it"
    return replace(c, state=c.state._replace(registered=registered)).assuming(text + " unseen", Link.SSS, hidden=1)
