"""Random walks: honest devices that send, register and restart, on links that lose, delay and repeat, with an attacker.

Unlike the other covers they follow no plan, and so meet what nobody planned. The same seed makes the same walks. One
that fails is made shorter by `scewl replay --shrink`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from conformance.generation.scenarios import IUT, PEER
from conformance.purpose import RESPONSES, Purpose, parse

OTHER: Final = 9
"""A peer with a lower id than the IUT's; PEER has a higher one."""
PEERS: Final = (OTHER, PEER)
WALKS: Final = 120
STEPS: Final = 14
"""Steps of a walk, without its end."""
SIZES: Final = (0, 1, 16, 963, 964, 3_000)
WAITS: Final = (1, 5, 6_999, 7_000, 7_001, 21_000, 60_000)
"""Milliseconds: around the timers."""
DELAYS: Final = (1, 10, 7_000, 7_001, 20_000)

StepTable = dict[str, Any]


def walks(seed: int) -> Iterator[Purpose]:
    """The walks of a seed."""
    for number in range(1, WALKS + 1):
        yield _walk(number, Random(f"{seed}/{number}"))


def _walk(number: int, chance: Random) -> Purpose:
    steps: list[StepTable] = []
    for _ in range(STEPS):
        make = chance.choices([m for m, _ in _MOVES], [weight for _, weight in _MOVES])[0]
        steps += make(chance, steps)
    document = {
        "title": f"Random walk {number}",
        "requirements": ["SES-1", "SES-7", "SES-8", "REG-4", "DTL-6", "ADV-1"],
        "iut": IUT,
        "peers": [{"id": peer} for peer in PEERS],
        "steps": [*steps, *_END],
    }
    return parse(f"walk-{number:03}", document)


# --- what can happen next


def _send(chance: Random, _: list[StepTable]) -> list[StepTable]:
    by, to = chance.choice([(IUT, PEER), (IUT, OTHER), (PEER, IUT), (OTHER, IUT)])
    return [{"do": "send", "by": by, "to": to, "size": chance.choice(SIZES)}]


def _ask(chance: Random, _: list[StepTable]) -> list[StepTable]:
    return [{"do": chance.choice(("register", "register", "deregister")), "by": chance.choice((IUT, IUT, *PEERS))}]


def _time(chance: Random, _: list[StepTable]) -> list[StepTable]:
    if chance.random() < 0.3:
        return [{"do": "wait", "until": "idle"}]
    return [{"do": "wait", "ms": chance.choice(WAITS)}]


def _fault(chance: Random, _: list[StepTable]) -> list[StepTable]:
    kind = chance.choice(("lose", "lose", "duplicate", "delay", "cut"))
    what = {"flight": chance.randint(1, 6)} if chance.random() < 0.7 else {"record": chance.choice(("data", "close"))}
    more = {"ms": chance.choice(DELAYS)} if kind == "delay" else {}
    return [{"do": kind, **what, "nth": chance.choice((1, 1, 2)), **more}]


def _bus(chance: Random, _: list[StepTable]) -> list[StepTable]:
    return [
        chance.choice(
            (
                {"do": "faa", "to": "radio", "size": 16},
                {"do": "faa", "to": "cpu", "size": 16},
                {"do": "broadcast", "size": 16},
                {"do": "request", "size": chance.choice((0, 3, 5))},
            )
        )
    ]


def _power(chance: Random, _: list[StepTable]) -> list[StepTable]:
    return [chance.choice(({"do": "boot"}, {"do": "boot", "by": chance.choice(PEERS)}, {"do": "restart"}))]


def _silence(chance: Random, steps: list[StepTable]) -> list[StepTable]:
    who = chance.choice((1, *PEERS))
    silent = [s["do"] for s in steps if s.get("who") == who][-1:] == ["silence"]
    return [{"do": "restore" if silent else "silence", "who": who}]


def _attack(chance: Random, steps: list[StepTable]) -> list[StepTable]:
    noise = {
        "do": "inject",
        "link": chance.choice(("radio", "sss")),
        "source": chance.choice((1, *PEERS, 77)),
        "size": 40,
    }
    spoken = [peer for peer in PEERS if _has_spoken(steps, peer)]
    if not spoken or chance.random() < 0.4:
        return [noise]
    if chance.random() < 0.5:
        return [{"do": "replay", "of": chance.choice(spoken)}]
    return [{"do": "spoof", "flight": 1, "as": chance.choice((*PEERS, 77))}]


def _has_spoken(steps: list[StepTable], peer: int) -> bool:
    """Whether a message of it to the IUT has surely been on the radio: it was given, and all came to rest."""
    if any(s["do"] in ("silence", "boot") and peer in (s.get("who"), s.get("by")) for s in steps):
        return False
    given = [n for n, s in enumerate(steps) if s["do"] == "send" and s["by"] == peer]
    return any(s == _IDLE for s in steps[given[0] :]) if given else False


def _answer(chance: Random, _: list[StepTable]) -> list[StepTable]:
    return [{"do": "respond", "response": chance.choice(("honest", *RESPONSES))}]


_MOVES: Final[tuple[tuple[Callable[[Random, list[StepTable]], list[StepTable]], int], ...]] = (
    (_send, 6),
    (_ask, 3),
    (_time, 6),
    (_fault, 5),
    (_bus, 2),
    (_power, 1),
    (_silence, 1),
    (_attack, 3),
    (_answer, 1),
)
"""Each with how often it comes, relatively."""
_IDLE: Final[StepTable] = {"do": "wait", "until": "idle"}
_END: Final[tuple[StepTable, ...]] = (
    *({"do": "restore", "who": who} for who in (1, *PEERS)),
    {"do": "mend"},
    {"do": "respond", "response": "honest"},
    _IDLE,
    {"do": "expect", "what": "rest"},
    {"do": "register"},
    _IDLE,
    {"do": "expect", "what": "answer", "op": 0},
)
"""All is mended, and whatever came of it: no CPU got what nobody sent, and the IUT can be registered."""
