"""Signs from elsewhere than captures: from recorded traces of a run, and from the model's own steps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from conformance.capture import CapturedFrame
from conformance.monitors.automaton import BUG, START, Monitor
from conformance.monitors.catalogue import CATALOGUE
from conformance.monitors.catalogue.order import ORDER
from conformance.monitors.signs import CLIENT, FIELDS, SERVER, Kind, Sign
from conformance.monitors.watch import Alarm, Monitors
from conformance.sessions.seen import Protection
from conformance.sessions.track import Tracker
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.secrets import KeyLog
from model.alphabet import PLAINTEXT, SSS_ID, Event, Link, Output
from model.profile import Setting
from model.state import Mode, State

# --- traces of runs


def watch_trace(lines: Iterable[str], keylog: KeyLog, selection: Iterable[str] = CATALOGUE) -> list[Alarm]:
    """The alarms of a trace that `scewl conform` wrote; its steps are the frames' numbers.

    A trace holds no secrets: `keylog` has those of the capture beside it. Raises ValueError, KeyError or TypeError for
    lines that are no trace.
    """
    steps = [json.loads(line) for line in lines]
    sed = int(steps[0]["purpose"].get("iut", 10))
    boots = tuple(int(s["t"]) * 1000 for s in steps[1:-1] if "boot" in s["stimulus"])
    monitors, tracker = Monitors(selection, boots={sed: boots}), Tracker(keylog)
    alarms = [a for frame in _frames(sed, steps[1:-1]) for a in monitors.feed(tracker.feed(frame))]
    return alarms + monitors.end()


def _frames(sed: int, steps: Iterable[Mapping[str, Any]]) -> Iterator[CapturedFrame]:
    """What each step gave to the controller, then what that sent."""
    readers = {(link, towards): FrameReader() for link in Link for towards in (True, False)}
    for step in steps:
        stimulus = step["stimulus"]
        if "boot" in stimulus:
            readers = {place: FrameReader() for place in readers}
        pieces = [(True, stimulus["link"], stimulus["hex"])] if "link" in stimulus else []
        pieces += [(False, link, data) for link, data in step["chunks"]]
        for towards, name, data in pieces:
            link = Link[name.upper()]
            for frame in readers[link, towards].feed(bytes.fromhex(data)):
                if isinstance(frame, Frame):
                    time_us, number = int(step["t"]) * 1000, int(step["n"])
                    yield CapturedFrame(time_us, link, towards, sed, frame.encode(), number=number)


# --- the model

_FLIGHTS: Final[Mapping[str, tuple[Kind, ...]]] = MappingProxyType(
    {
        "flight4": (
            Kind.SERVER_HELLO,
            Kind.CERTIFICATE,
            Kind.SERVER_KEY_EXCHANGE,
            Kind.CERTIFICATE_REQUEST,
            Kind.SERVER_HELLO_DONE,
        ),
        "flight5": (
            Kind.CERTIFICATE,
            Kind.CLIENT_KEY_EXCHANGE,
            Kind.CERTIFICATE_VERIFY,
            Kind.CCS,
            Kind.FINISHED,
        ),
        "flight6": (Kind.CCS, Kind.FINISHED),
    }
)
"""What a whole flight stands for: the model's abstraction has verified it."""
_REPEATED: Final = {4: Kind.SERVER_HELLO_DONE, 5: Kind.FINISHED, 6: Kind.FINISHED}
_KINDS: Final = {
    "hello": Kind.HELLO,
    "hello-cookie": Kind.HELLO_WITH_COOKIE,
    "verify-request": Kind.VERIFY_REQUEST,
    "data": Kind.DATA,
    "close": Kind.CLOSE,
    "alert": Kind.ALERT,
}
MODEL_KINDS: Final = frozenset({k for flight in _FLIGHTS.values() for k in flight}) | {
    *_KINDS.values(),
    Kind.HELLO_REQUEST,
    Kind.REQUEST,
    Kind.ANSWER,
    Kind.DELIVER,
    Kind.BOOT,
}
MODEL_VALUES: Final = (FIELDS | {"again", "empty", "fatal", "gap", "intact", "size"}) - {
    "mark",
    "message_seq",
    "server_random",
    "version",
}
"""What a model's step tells of what happened; monitors that ask for more are not applicable to it."""


class ModelSigns:
    """The signs of one controller's run in the model, from its point of view."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._me = setting.me
        self._now = 0
        self._step = 0
        self._state = State()
        self._sessions = 0
        self._client: dict[int, int] = {}
        """By peer: number of the latest session as its client."""
        self._server: dict[int, int] = {}
        """The same as its server."""
        self._counts: dict[int, int] = {}
        """By session: the controller's records of epoch 1 so far."""
        self._numbers: dict[int, list[int]] = {}
        """By session: numbers of the peer's records from its latest Finished on."""

    def step(self, events: Iterable[Event], outputs: Iterable[Output], after: State) -> Iterator[Sign]:
        """The signs of one step: its events, what it put out, and the state after it.

        A flight that arms the first timeout begins a session; a repeat has doubled it.
        """
        self._step += 1
        for event in events:
            if event.kind == "time":
                self._now += event.args[0] * 1000
            yield from self._event(event.kind, event.named())
        for output in outputs:
            yield from self._output(output.kind, output.named(), after)
        self._state = after

    def _sign(self, kind: Kind, peer: int, *, own: bool, session: int = 0, role: str = "", **more: Any) -> Sign:
        link = Link.SSS if peer == SSS_ID else Link.RADIO
        by, to = (self._me, peer) if own else (peer, self._me)
        random = session.to_bytes(32, "big") if session else b""
        base = Sign(kind, by, to, self._me, own, self._now, self._step, link, session, role, random, complete=True)
        return base._replace(**more)

    def _protected(self, kind: Kind, peer: int, seq: int, **more: Any) -> Sign:
        """Another's record, which came as plaintext or authenticated."""
        session, role = self._running(peer)
        sign = self._sign(kind, peer, own=False, session=session, role=role, **more)
        if seq == PLAINTEXT:
            return sign
        if kind is Kind.FINISHED:
            self._numbers[session] = []
        self._numbers.setdefault(session, []).append(seq)
        return sign._replace(epoch=1, number=seq, protection=Protection.OPENED)

    def _running(self, peer: int) -> tuple[int, str]:
        """The session under way with a peer, 0 if there is none, and the peer's role in it."""
        if self._state.peer != peer or self._state.mode == Mode.IDLE:
            return 0, ""
        if self._state.mode == Mode.RECEIVING_MESSAGE:
            return self._server.get(peer, 0), CLIENT
        return self._client.get(peer, 0), SERVER

    def _begin(self) -> int:
        self._sessions += 1
        self._counts[self._sessions] = 0
        return self._sessions

    def _event(self, kind: str, named: Mapping[str, int]) -> Iterator[Sign]:
        source = named.get("source", 0)
        match kind:
            case "boot":
                self._client.clear()
                self._server.clear()
                yield self._sign(Kind.BOOT, self._me, own=False)
            case "cpu-request":
                sign = self._sign(Kind.REQUEST, SSS_ID, own=False)
                yield sign._replace(by=self._me, to=SSS_ID, link=Link.CPU)
            case "hello":
                yield self._sign(Kind.HELLO, source, own=False)
            case "hello-cookie":
                yield self._protected(Kind.HELLO_WITH_COOKIE, source, PLAINTEXT)
            case "verify-request":
                yield self._protected(Kind.VERIFY_REQUEST, source, PLAINTEXT)
            case "flight4" | "flight5" | "flight6":
                yield from self._flight(kind, source, named.get("seq", PLAINTEXT), again=False)
            case "repeat":
                seq = named["seq"] if named["flight"] > 4 else PLAINTEXT
                facts = {"again": True}
                yield self._protected(_REPEATED.get(named["flight"], Kind.HELLO_REQUEST), source, seq, facts=facts)
            case "forged":
                yield self._protected(Kind.HELLO_REQUEST, source, PLAINTEXT, facts={"again": False})
            case "data":
                yield self._protected(Kind.DATA, source, named["seq"], facts={"size": named["size"]})
            case "close":
                yield self._protected(Kind.CLOSE, source, named["seq"], facts={"fatal": False})
            case "alert":
                yield self._protected(Kind.ALERT, source, named["seq"], facts={"fatal": True})

    def _flight(self, kind: str, source: int, seq: int, *, again: bool) -> Iterator[Sign]:
        for content in _FLIGHTS[kind]:
            facts = {"again": again} | ({"empty": False} if content is Kind.CERTIFICATE else {})
            yield self._protected(content, source, seq if content is Kind.FINISHED else PLAINTEXT, facts=facts)

    def _output(self, kind: str, named: Mapping[str, int], after: State) -> Iterator[Sign]:
        to = named.get("to", 0)
        client = self._client.get(to, 0)
        server = self._server.get(to, 0)
        match kind:
            case "hello":
                if not client or after.timer == self._setting.first_timeout:
                    client = self._client[to] = self._begin()
                yield self._sign(Kind.HELLO, to, own=True, session=client, role=CLIENT)
            case "hello-cookie":
                yield self._sign(Kind.HELLO_WITH_COOKIE, to, own=True, session=client, role=CLIENT)
            case "verify-request":
                yield self._sign(Kind.VERIFY_REQUEST, to, own=True)
            case "flight4" | "flight5" | "flight6":
                if kind == "flight4" and (not server or after.timer == self._setting.first_timeout):
                    server = self._server[to] = self._begin()
                session, role = (client, CLIENT) if kind == "flight5" else (server, SERVER)
                for content in _FLIGHTS[kind]:
                    sign = self._sign(content, to, own=True, session=session, role=role)
                    yield self._sealed(sign) if content is Kind.FINISHED else sign
            case "data" | "close" | "alert":
                session, peers = self._running(to)
                role = {SERVER: CLIENT, CLIENT: SERVER}.get(peers, "")
                facts = {"fatal": kind == "alert"} if kind != "data" else {"size": named["size"]}
                sign = self._sign(_KINDS[kind], to, own=True, session=session, role=role, facts=facts)
                yield self._sealed(sign) if self._counts.get(session) else sign
            case "request":
                session = self._client.get(SSS_ID, 0)
                yield self._sealed(self._sign(Kind.DATA, SSS_ID, own=True, session=session, role=CLIENT))
            case "answer":
                yield self._sign(Kind.ANSWER, SSS_ID, own=True)._replace(link=Link.CPU)
            case "deliver":
                numbers = self._numbers.get(self._server.get(named["source"], 0), [])
                gap = any(n + 1 not in numbers for n in numbers[:-1])
                facts = {"gap": gap, "intact": bool(named["intact"]), "size": named["size"]}
                yield self._sign(Kind.DELIVER, named["source"], own=True, facts=facts)._replace(link=Link.CPU)

    def _sealed(self, sign: Sign) -> Sign:
        """With the next number of the controller's records in epoch 1."""
        number = self._counts.get(sign.session, 0)
        self._counts[sign.session] = number + 1
        return sign._replace(epoch=1, number=number, protection=Protection.OPENED)


def applicable(monitor: Monitor) -> bool:
    """Whether a run of the model can show a monitor's bug: a way to the alarm asks for no more than it tells.

    The order of a flight's messages is none of them: a flight of the model is whole and in order.
    """
    if monitor in ORDER:
        return False
    reached = {START}
    grown = set(monitor.key) <= MODEL_VALUES | {"server_random"}
    while grown:
        usable = [
            r
            for r in monitor.rules
            if r.at in reached
            and (r.after_us or r.on & MODEL_KINDS)
            and all(set(c.reads) <= MODEL_VALUES for c in r.when)
        ]
        grown = not {r.then for r in usable} <= reached
        reached |= {r.then for r in usable}
    return BUG in reached
