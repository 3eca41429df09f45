"""What the sign reader remembers, with bounds: sessions, what was offered, what was carried, what CPUs gave."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from conformance.monitors.signs import CLIENT, Sign
from conformance.wire.handshake import ClientHello, ServerHello
from model.alphabet import MAX_MESSAGE

MAX_SESSIONS: Final = 512
MAX_PAIRS: Final = 512
MAX_GIVEN: Final = 8
"""Messages of one CPU for one SED whose session may still come."""
MAX_NUMBERS: Final = 256
"""Record numbers of one sender: beyond, nothing is told of what is missing. 16,384 bytes take 18 records."""
MAX_CARRIED: Final = 2 * MAX_MESSAGE
"""Bytes of application data of one sender in one session, repeats included."""
_RENEGOTIATION_INFO, _SCSV = 0xFF01, 0x00FF

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Side:
    """One sender in one session."""

    def __init__(self) -> None:
        self.low = -1
        self._top = -1
        self._ahead: set[int] = set()
        self.numbers: set[int] = set()
        """Of the opened records of epoch 1."""
        self.data: dict[int, bytes] = {}
        self.arrived: list[tuple[int, bytes]] = []
        """Data in the order of its coming, repeats included."""
        self.carried = 0
        self.close = -1
        self.finished = False
        self.too_much = False

    def begin(self, number: int) -> None:
        """What it says in the session begins with this record."""
        self.low = self._top = number
        self._ahead.clear()

    def note(self, number: int) -> bool | None:
        """Take a record's number; whether all up to it were seen, None if the beginning was not."""
        if self.low < 0 or number < self.low:
            return None
        if number > self._top and len(self._ahead) < MAX_NUMBERS:
            self._ahead.add(number)
        while self._top + 1 in self._ahead:
            self._top += 1
            self._ahead.discard(self._top)
        return number <= self._top

    @property
    def message(self) -> bytes:
        """The data in the order of its records' numbers."""
        return b"".join(self.data[n] for n in sorted(self.data))

    @property
    def whole(self) -> bool:
        """Whether every record of epoch 1 was seen from the first to the close_notify."""
        return self.close >= 0 and self.finished and not self.too_much and not self.missing(min(self.numbers))

    def missing(self, first: int) -> bool:
        """Whether a number is missing between `first` and the close_notify, or else the last data."""
        last = self.close if self.close >= 0 else max(self.data, default=first)
        return any(n not in self.numbers for n in range(first, min(last, first + MAX_NUMBERS)))


class Ledger:
    """One session, at one tap."""

    def __init__(self) -> None:
        self.server_random = b""
        self.suite = 0
        self.since = 0
        """The frame with which the handshake under way began; an old hello can begin another in the same session."""
        self._sides: dict[int, Side] = {}
        self._suites: set[int] = set()
        self._extensions: set[int] = set()
        self._cookie: bytes | None = None
        self._session_id = b""
        self.cookie_in_pieces = False
        """A HelloVerifyRequest came in fragments: what it said is not looked at."""

    def side(self, by: int) -> Side:
        """A sender of the session: there are two; what others claim shares one place."""
        if by not in self._sides and len(self._sides) >= 2:
            by = -1
        return self._sides.setdefault(by, Side())

    def note(self, by: int, epoch: int, number: int, *, opens: bool) -> bool | None:
        """Take a record's number; None if nothing can be told of what came before it."""
        if epoch:
            return None
        side = self.side(by)
        if opens and side.low < 0:
            side.begin(number)
        return side.note(number)

    def begin(self, server_random: bytes, suite: int, by: int, number: int, frame: int) -> None:
        """A ServerHello with a new random came."""
        self.server_random, self.suite, self.since = server_random, suite, frame - 1
        kept = {who: side for who, side in self._sides.items() if who != by}
        for side in kept.values():
            side.numbers.clear()
            side.data.clear()
            side.arrived.clear()
            side.carried, side.close, side.finished, side.too_much = 0, -1, False, False
        self._sides = kept
        self.side(by).begin(number)

    def offered(self, hello: ClientHello) -> None:
        """A ClientHello came."""
        if len(self._suites) + len(self._extensions) <= MAX_NUMBERS:
            self._suites.update(hello.suites)
            self._extensions.update(hello.extensions)
            if _SCSV in hello.suites:  # stands for the extension (RFC 5746, section 3.3)
                self._extensions.add(_RENEGOTIATION_INFO)
        if hello.cookie or self._cookie is None:
            self._cookie = hello.cookie
        self._session_id = hello.session_id

    def answered(self, hello: ServerHello) -> dict[str, Any]:
        """How a ServerHello stands to the ClientHellos; nothing if none was seen."""
        if self._cookie is None:
            return {}
        return {
            "cookie": self._cookie,
            "suite_offered": hello.suite in self._suites,
            "extensions_offered": self._extensions.issuperset(hello.extensions),
            "resumes": bool(hello.session_id) and hello.session_id == self._session_id,
        }

    def opened(self, by: int, number: int) -> None:
        """A record of epoch 1 authenticated."""
        side = self.side(by)
        if len(side.numbers) < MAX_NUMBERS:
            side.numbers.add(number)
        else:
            side.too_much = True

    def data(self, by: int, number: int, plaintext: bytes) -> None:
        """It was application data. Where some came before the sender's Finished, nothing is told of the message: it may
        have been dropped, or the capture may lack the Finished."""
        side = self.side(by)
        side.too_much |= not side.finished
        side.carried += len(plaintext)
        if side.carried > MAX_CARRIED or len(side.arrived) >= MAX_NUMBERS:
            side.too_much = True
            return
        side.arrived.append((number, plaintext))
        side.data.setdefault(number, plaintext)

    def has_data(self, by: int) -> bool:
        """Whether application data of this sender was seen."""
        return bool(self.side(by).arrived)

    def closed(self, by: int, number: int) -> None:
        """It was a close_notify."""
        side = self.side(by)
        side.close = number if side.close < 0 else side.close


class Book:
    """All sessions, and what CPUs gave and got."""

    def __init__(self) -> None:
        self._ledgers: OrderedDict[tuple[int, int], Ledger] = OrderedDict()
        self._received: OrderedDict[tuple[int, int], Ledger] = OrderedDict()
        """By controller and client: the latest session in which that client proved itself to that controller."""
        self._given: OrderedDict[tuple[int, int], deque[bytes]] = OrderedDict()
        self._plain: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def ledger(self, tap: int, session: int) -> Ledger:
        """A session's; one that is lost to the bound begins anew."""
        return _place(self._ledgers, (tap, session), Ledger, MAX_SESSIONS)

    def forget(self, tap: int) -> None:
        """A controller lost its power, and what it was given with it."""
        for places in (self._received, self._given, self._plain):
            for key in [k for k in places if k[0] == tap]:
                del places[key]

    def give(self, tap: int, to: int, marked: bytes) -> None:
        """A CPU gave a message, or a request."""
        _place(self._given, (tap, to), lambda: deque(maxlen=MAX_GIVEN), MAX_PAIRS).append(marked)

    def uncover(self, tap: int, by: int, plaintext: bytes) -> None:
        """Application data came in the clear."""
        self._plain[tap, by] = plaintext[:MAX_MESSAGE]
        _place(self._plain, (tap, by), bytes, MAX_PAIRS)

    def cover(self, tap: int, by: int) -> None:
        """Protected data came."""
        self._plain.pop((tap, by), None)

    def proved(self, here: Sign, ledger: Ledger) -> None:
        """A client's record authenticated that was for the tap's controller."""
        if here.role == CLIENT and here.to == here.tap:
            self._received[here.tap, here.by] = ledger
            _place(self._received, (here.tap, here.by), Ledger, MAX_PAIRS)

    def over(self, here: Sign) -> None:
        """A datagram came: if its sender has closed its session, what is delivered from now on is of another."""
        ledger = self._received.get((here.tap, here.by))
        if ledger is not None and ledger.side(here.by).close >= 0:
            del self._received[here.tap, here.by]

    def as_given(self, here: Sign, ledger: Ledger) -> bool | None:
        """With a controller's own close_notify: whether its session carried a message that its CPU gave; None if that
        cannot be told."""
        side = ledger.side(here.by)
        given = self._given.get((here.tap, here.to))
        if not (here.own and given and side.data and side.whole):
            return None
        return hashlib.blake2b(side.message, digest_size=12).digest() in given

    def delivered(self, tap: int, source: int, payload: bytes, complete: bool) -> dict[str, bool]:
        """How a delivered message stands to what came from its source."""
        plain = self._plain.pop((tap, source), None)
        facts = {"lone_plaintext": bool(payload) and payload == plain}
        ledger = self._received.pop((tap, source), None)
        if ledger is None:
            return facts
        side = ledger.side(source)
        if side.too_much:
            return facts
        message = side.message
        unique = {number: None for number, _ in side.arrived}
        repeated = b"".join(data for _, data in side.arrived)
        as_come = b"".join(side.data[n] for n in unique)
        facts["twice"] = payload == repeated != as_come
        facts["disordered"] = payload == as_come != message
        lowest = min(side.numbers) if complete else min(side.data, default=0)
        facts["gap"] = payload == message and bool(side.data) and side.missing(lowest)
        if side.whole and not (facts["twice"] or facts["disordered"] or facts["gap"]):
            facts["intact"] = payload == message
        return facts


def _place(places: OrderedDict[_Key, _Value], key: _Key, make: Callable[[], _Value], limit: int) -> _Value:
    """What stands at a key, made if nothing does; the one that was longest unused gives way."""
    if key not in places:
        places[key] = make()
    places.move_to_end(key)
    if len(places) > limit:
        places.popitem(last=False)
    return places[key]
