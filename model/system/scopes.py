"""The standard scopes, by name: who takes part, and what may go wrong."""

from __future__ import annotations

from model.system.scope import ABSENT, Scope

_BOTH = {3: (4,), 4: (3,)}
_OPS = (0, 1)

_ALL = (
    Scope(
        "pair",
        "Two SEDs send two messages each to the other, at any time, glare included; the radio loses nothing.",
        sends=_BOTH,
        messages=2,
        properties=("all-delivered", "idle-again", "no-needless-timeout", "a-message-arrives"),
    ),
    Scope(
        "ring",
        "Three SEDs send in a ring; the radio loses nothing.",
        seds=(3, 4, 7),
        sends={3: (4,), 4: (7,), 7: (3,)},
        properties=("all-delivered", "idle-again"),
    ),
    Scope(
        "absent",
        "The higher SED calls somebody who is not there; the lower one sends to it meanwhile.",
        sends={3: (4,), 4: (ABSENT,)},
        properties=("all-delivered", "idle-again"),
    ),
    Scope(
        "lossy",
        "One SED sends two messages to the other; any three frames of the handshakes get lost.",
        sends={3: (4,)},
        messages=2,
        losses=3,
        lossy_records=False,
        finished=4,
        properties=("all-delivered", "idle-again"),
    ),
    Scope(
        "records",
        "Two SEDs send messages of two records; any two frames get lost, and a record may be overtaken.",
        sends=_BOTH,
        records=2,
        losses=2,
        swaps=1,
        properties=("idle-again",),
    ),
    Scope(
        "registration",
        "Two SEDs register and deregister, twice, and send a message; nothing gets lost.",
        sends=_BOTH,
        asks={3: _OPS, 4: _OPS},
        requests=2,
        properties=(
            "idle-again",
            "no-needless-timeout",
            "registration-is-granted",
            "a-device-registers",
            "can-register",
        ),
    ),
    Scope(
        "registration-lossy",
        "Two SEDs register and deregister; any two frames get lost.",
        asks={3: _OPS, 4: _OPS},
        requests=2,
        losses=2,
        properties=("idle-again", "registration-is-granted"),
    ),
)
SCOPES: dict[str, Scope] = {scope.name: scope for scope in _ALL}
