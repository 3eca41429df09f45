"""What may have happened that the capture does not show, given an output that nothing in it explains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from model.alphabet import DEREGISTER, PLAINTEXT, REFUSED, REGISTER, SSS_ID, Ca, Event, Link, Output
from model.state import Mode, State, Step

FIRST_NUMBERS = range(3)
"""Numbers that the record of an unseen Finished may have had: 0, or more if it came again."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Events that were not seen, from a state that may have gone on unseen."""

    state: State
    events: tuple[Event, ...]
    link: Link
    says: str
    message: bool = False
    """Whether the size of a message of the own CPU is made up."""
    request: bool = False
    """Whether a request of the own CPU is made up."""
    content: bool = False
    """Whether data of the peer is made up."""


def explanations(s: State, o: Output, me: int, unseen: frozenset[Link]) -> Iterator[Hypothesis]:
    """What could make a controller in this state emit this output. `unseen` are the links that are not captured."""
    if o.kind == "deliver" and Link.RADIO in unseen:
        source, size = o.args[:2]
        read = s._replace(mode=Mode.RECEIVING_MESSAGE, step=Step.LISTEN, peer=source, size=size, expect=0)
        close = Event("close", (source, 0))
        yield Hypothesis(read, (close,), Link.RADIO, f"a message of {source} came", content=True)
    yield from _causes(s, o, me)
    for end in endings(s, unseen):
        yield end
        if o.kind in ("hello", "verify-request", "hello-cookie", "flight4"):
            for cause in _causes(State(registered=s.registered), o, me):
                yield Hypothesis(
                    end.state,
                    end.events + cause.events,
                    cause.link if end.link in unseen else end.link,
                    f"{end.says}, and {cause.says}",
                    message=cause.message,
                    request=cause.request,
                )


def _causes(s: State, o: Output, me: int) -> Iterator[Hypothesis]:
    peer = o.args[0] if o.args else 0
    link = Link.SSS if peer == SSS_ID else Link.RADIO
    match o.kind:
        case "hello" if peer == SSS_ID:
            event = Event("cpu-request", (4, me, REGISTER))
            yield Hypothesis(s, (event,), Link.CPU, "the CPU gave a request for the SSS", request=True)
        case "hello":
            event = Event("cpu-send", (peer, 0))
            says = f"the CPU gave a message for {peer}"
            yield Hypothesis(s, (event,), Link.CPU, says, message=True)
            if s.registered:
                malformed = Event("cpu-request", (0, 0, 0))
                yield Hypothesis(s, (malformed, event), Link.CPU, f"{says} after a malformed request", message=True)
        case "verify-request":
            yield Hypothesis(s, (Event("hello", (peer,)),), link, f"a ClientHello of {peer} came")
        case "hello-cookie":
            verify = Event("verify-request", (peer,))
            says = f"a HelloVerifyRequest of {peer} came"
            yield Hypothesis(s, (verify,), link, says)
            given = Event("cpu-request", (4, me, REGISTER)) if peer == SSS_ID else Event("cpu-send", (peer, 0))
            says = f"the CPU gave something for {peer}, whose answer to our ClientHello came"
            yield Hypothesis(s, (given, verify), link, says, message=True, request=True)
        case "flight4":
            event = Event("hello-cookie", (peer, 0))
            yield Hypothesis(s, (event,), link, f"a ClientHello of {peer} with a cookie came")
            again = Event("hello-cookie", (peer, s.handshake))
            yield Hypothesis(s, (again,), link, f"a ClientHello of {peer} with a cookie came again")
        case "flight5":
            yield Hypothesis(s, (Event("flight4", (peer,)),), link, f"flight 4 of {peer} came")
            yield Hypothesis(s, (Event("repeat", (peer, 4, PLAINTEXT)),), link, f"flight 4 of {peer} came again")
        case "flight6":
            for seq in FIRST_NUMBERS:
                yield Hypothesis(s, (Event("flight5", (peer, seq)),), link, f"flight 5 of {peer} came")
            yield Hypothesis(s, (Event("repeat", (peer, 5, 0)),), link, f"flight 5 of {peer} came again")
        case "request":
            for seq in FIRST_NUMBERS:
                yield Hypothesis(s, (Event("flight6", (SSS_ID, seq)),), Link.SSS, "flight 6 of the SSS came")
        case "alert":
            yield Hypothesis(s, (Event("certificate", (peer, Ca.OTHER, 0)),), link, f"a certificate of {peer} came")
            yield Hypothesis(s, (Event("forged", (peer,)),), link, f"a message of {peer} that does not belong came")
        case "data" | "close" | "deliver" | "answer":
            yield from _ends(s, o, link)
        case "faa-radio":
            yield Hypothesis(s, (Event("cpu-faa", o.args[:1]),), Link.CPU, "the CPU gave a frame for the FAA")
        case "faa-cpu":
            yield Hypothesis(s, (Event("radio-faa", o.args[:1]),), Link.RADIO, "a frame of the FAA came")


def _ends(s: State, o: Output, link: Link) -> Iterator[Hypothesis]:
    """Outputs at the end of a session."""
    if o.kind == "answer":
        link = Link.SSS
        malformed = Event("cpu-request", (0, 0, 0))
        yield Hypothesis(s, (malformed,), Link.CPU, "the CPU gave a malformed request")
    if s.step == Step.KEYS and s.mode == Mode.SENDING_MESSAGE:
        yield Hypothesis(s, (Event("flight6", (s.peer, 0)),), link, f"flight 6 of {s.peer} came")
    if s.mode == Mode.RECEIVING_MESSAGE and s.step == Step.LISTEN:
        size = o.args[1] if o.kind == "deliver" else s.size
        whole = s._replace(size=size)
        end = Event("close", (s.peer, s.expect))
        yield Hypothesis(whole, (end,), link, f"the end of {s.peer}'s data came", content=True)
        gap = Event("data", (s.peer, s.expect + 1, 0))
        yield Hypothesis(s, (gap,), link, f"data of {s.peer} came that does not follow")
    if s.mode == Mode.TALKING_TO_SSS and s.step == Step.READ:
        for op, good in ((s.op, 1), (REFUSED, 0)):
            response = Event("response", (op, good, good))
            yield Hypothesis(s, (response,), Link.SSS, "the response of the SSS came", content=True)
        yield Hypothesis(s, (Event("close", (SSS_ID, s.expect)),), Link.SSS, "the SSS closed the session")
    if s.mode == Mode.TALKING_TO_SSS:
        yield Hypothesis(s, (Event("alert", (SSS_ID, 0)),), Link.SSS, "an alert of the SSS came")


def endings(s: State, unseen: frozenset[Link]) -> Iterator[Hypothesis]:
    """How the running session may have ended without a word on the links that are captured."""
    if s.mode == Mode.TALKING_TO_SSS:
        yield Hypothesis(s, (Event("alert", (SSS_ID, 0)),), Link.SSS, "the talk with the SSS ended")
        if Link.SSS in unseen:
            ops = (REGISTER, DEREGISTER) if Link.CPU in unseen else (s.op,)
            for op in ops:
                reading = s._replace(step=Step.READ, op=op)
                word = "registered" if op == REGISTER else "deregistered"
                response = Event("response", (op, 1, 1))
                yield Hypothesis(reading, (response,), Link.SSS, f"the SSS {word} the device")
    elif s.mode in (Mode.SENDING_MESSAGE, Mode.RECEIVING_MESSAGE):
        yield Hypothesis(s, (Event("alert", (s.peer, 0)),), Link.RADIO, f"the session with {s.peer} ended")


def busy(s: State, me: int, unseen: frozenset[Link], event: Event) -> Iterator[tuple[State, str]]:
    """What the controller may have been doing, on links that are not captured, when an event came while it seems IDLE.

    These states have no timer: how far the unseen session has come cannot be known. `me` stands for an unknown peer.
    """
    if s.mode != Mode.IDLE:
        return
    if event.kind in ("hello", "hello-cookie") and {Link.SSS, Link.CPU} <= unseen:
        talk = {"mode": Mode.TALKING_TO_SSS, "step": Step.HELLO, "peer": SSS_ID, "registered": 0, "op": REGISTER}
        yield s._replace(**talk), "it was talking to the SSS"
    if event.kind.startswith("cpu-") and event.kind != "cpu-faa" and Link.RADIO in unseen:
        hidden = {"mode": Mode.RECEIVING_MESSAGE, "step": Step.LISTEN, "peer": me}
        yield s._replace(**hidden), "it was receiving a message"
