"""What a SED's CPU hears and what can go wrong, as data; no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from reference.endings import Doing, Ending, How


class SedError(Exception):
    """Something that a SED was asked for did not come about; the text says what happened."""


class Refused(SedError):
    """The other side refused, or was refused: an alert, a certificate that is no good, op -1 (REG-4)."""


class TimedOut(SedError):
    """Nothing came in time: the protocol's own time (165 s for a handshake, DTL-6), or the one that was asked for."""


class LinkGone(SedError):
    """The radio or the SSS is not there; the text has the address and the reason."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the CPU gets it: whole, from an authenticated peer (SES-8); from id 2, the FAA, in the clear."""

    source: int
    payload: bytes

    @property
    def text(self) -> str:
        """The payload as UTF-8; what is none is shown as `\\xNN`."""
        return self.payload.decode("utf-8", "backslashreplace")

    def __str__(self) -> str:
        return f"{self.source}: {self.text}"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a SED."""

    event: str
    """`link`, `message`, `answer`, `session`, `cpu`, `keylog`, `fatal`."""
    fields: dict[str, Any]

    def line(self) -> str:
        """As a JSON line."""
        return json.dumps({"event": self.event, **self.fields})

    def words(self) -> str:
        """As people read it; control characters of whoever wrote a message are made visible."""
        says = _WORDS.get(self.event)
        return says(self.fields) if says else f"{self.event} {self.fields}"


def message_event(message: Message) -> Event:
    """A message to the CPU."""
    fields = {"from": message.source, "size": len(message.payload), "text": message.text, "hex": message.payload.hex()}
    return Event("message", fields)


def session_event(ending: Ending) -> Event:
    """A session that ended."""
    return Event("session", asdict(ending))


def error_of(ending: Ending) -> SedError:
    """What whoever asked for this session is told. The session is not DONE."""
    peer = "the SSS" if ending.doing is Doing.ASKING else f"SED {ending.peer}"
    if ending.how is How.SILENCE:
        return TimedOut(f"{peer} did not answer: {ending.why}")
    if ending.how is How.REFUSED:
        return Refused(f"{peer}: {ending.why}")
    return SedError(f"{peer}: {ending.why}")


def visible(text: str) -> str:
    """Text without control characters: a message may hold what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _link(fields: dict[str, Any]) -> str:
    name = {"radio": "the radio", "sss": "the SSS"}[fields["link"]]
    if fields["up"]:
        return f"{name} is there ({fields['address']})"
    return f"{name} is not there ({fields['address']}): {fields['reason']}; trying again until it is"


def _session(fields: dict[str, Any]) -> str:
    doing = {Doing.SENDING: "sending to", Doing.RECEIVING: "receiving from", Doing.ASKING: "talking to"}[
        fields["doing"]
    ]
    peer = "the SSS" if fields["doing"] == Doing.ASKING else str(fields["peer"])
    return f"{doing} {peer}: {fields['how']}" + (f" ({fields['why']})" if fields["why"] else "")


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "link": _link,
    "message": lambda f: f"message from {f['from']}, {f['size']} B: {visible(f['text'])}",
    "answer": lambda f: {0: "registered", 1: "deregistered"}.get(f["op"], "the request was refused or failed"),
    "session": _session,
    "cpu": lambda f: f"the CPU at {f['address']} " + ("is connected" if f["up"] else "has left"),
    "keylog": lambda f: f"no secret is written any more: {f['reason']}",
    "fatal": lambda f: f"fatal: {f['reason']}",
}
