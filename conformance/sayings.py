"""What can be said to an IUT by name, whatever it has said before: the `say` steps of a purpose.

A saying is one thing of the model's alphabet, made of bytes by the voice from what the judge knows of the running
session. It fits where the rules give it a meaning of its own; elsewhere the same bytes are something else
(`conformance.transitions.reasons`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from model.alphabet import DEREGISTER, MAX_MESSAGE, PLAINTEXT, REFUSED, REGISTER, Event
from model.state import Mode, State, Step
from model.system.alone import WRONG_NAME

FORGERIES: Final = 7
"""Variants of a message that belongs to no handshake; a controller may ignore some of them."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What it is for the model, as events one after the other, and in which states that can be so."""

    events: Callable[[State], tuple[Event, ...]]
    fits: Callable[[State], bool]


def handshaking(s: State) -> bool:
    """Whether a handshake is under way in which the other side can have sent its half."""
    return s.step in (Step.KEYS, Step.ACCEPT)


def own_ca(s: State) -> int:
    """The authority of the certificate that the IUT's peer must show (CRT-2, CRT-3)."""
    return int(s.mode != Mode.TALKING_TO_SSS and s.registered == 1)


def _one(kind: str, *args: int) -> Callable[[State], tuple[Event, ...]]:
    """An event of the session's peer."""
    return lambda s: (Event(kind, (s.peer, *args)),)


def _numbered(kind: str, gap: int = 0, *args: int) -> Callable[[State], tuple[Event, ...]]:
    """The same in a record after so many missing ones."""
    return lambda s: (Event(kind, (s.peer, s.expect + gap, *args)),)


def _certificate(other: bool, cn: int = 0) -> Callable[[State], tuple[Event, ...]]:
    return lambda s: (Event("certificate", (s.peer, own_ca(s) ^ other, cn or s.peer)),)


def _proved(kind: str, *args: int) -> Callable[[State], tuple[Event, ...]]:
    return lambda s: (*_certificate(False)(s), *_one(kind, *args)(s))


def _response(op: Callable[[State], int], good: int, usable: int) -> Callable[[State], tuple[Event, ...]]:
    return lambda s: (Event("data", (s.peer, s.expect, 1)), Event("response", (op(s), good, usable)))


def _at(*steps: Step) -> Callable[[State], bool]:
    return lambda s: s.step in steps


def _session(s: State) -> bool:
    return s.peer != 0


_AFTERWARDS: Final = _at(Step.READ, Step.LISTEN)
_READING: Final = _at(Step.READ)

SAYINGS: Final[dict[str, Saying]] = {
    "verify-request": Saying(_one("verify-request"), _session),
    "flight4": Saying(
        lambda s: _proved("flight4")(s) if s.step == Step.COOKIE else _one("repeat", 4, PLAINTEXT)(s),
        _at(Step.COOKIE, Step.KEYS),
    ),
    "flight5": Saying(_proved("flight5", 0), _at(Step.ACCEPT)),
    "flight6": Saying(_one("flight6", 0), _at(Step.KEYS)),
    "flight5-again": Saying(
        lambda s: (Event("repeat", (s.peer, 5, s.expect)),), lambda s: s.step == Step.LISTEN and not s.began
    ),
    "flight6-again": Saying(
        lambda s: (Event("repeat", (s.peer, 6, s.expect)),), lambda s: s.step == Step.READ and not s.began
    ),
    "certificate-of-another-ca": Saying(_certificate(other=True), _at(Step.COOKIE, Step.ACCEPT)),
    "certificate-in-another-name": Saying(_certificate(False, WRONG_NAME), _at(Step.COOKIE, Step.ACCEPT)),
    "plaintext-alert": Saying(_one("alert", PLAINTEXT), lambda s: _session(s) and not _AFTERWARDS(s)),
    "alert": Saying(
        lambda s: (Event("alert", (s.peer, 0 if handshaking(s) else s.expect)),),
        lambda s: handshaking(s) or _AFTERWARDS(s),
    ),
    "forged": Saying(_one("forged"), _session),
    "data": Saying(_numbered("data", 0, 1), _AFTERWARDS),
    "data-after-a-gap": Saying(_numbered("data", 1, 1), _AFTERWARDS),
    "data-too-long": Saying(_numbered("data", 0, MAX_MESSAGE + 1), _at(Step.LISTEN)),
    "close": Saying(_numbered("close"), _AFTERWARDS),
    "close-after-a-gap": Saying(_numbered("close", 1), _AFTERWARDS),
    "response": Saying(_response(lambda s: s.op, 1, 1), _READING),
    "response-useless": Saying(_response(lambda s: s.op, 1, 0), lambda s: _READING(s) and s.op == REGISTER),
    "response-spoiled": Saying(_response(lambda s: s.op, 0, 0), _READING),
    "response-refused": Saying(_response(lambda _: REFUSED, 1, 0), _READING),
    "response-of-another-op": Saying(_response(lambda s: DEREGISTER if s.op == REGISTER else REGISTER, 1, 0), _READING),
}
"""What the peer of the running session says. A flight 4 may come again, and so may a Finished until data comes."""
HELLOS: Final = ("hello", "hello-cookie", "hello-anew")
"""What a client says that the IUT may not know: a hello without cookie; with one, that of the handshake under way if
there is one; the same of a new handshake."""
