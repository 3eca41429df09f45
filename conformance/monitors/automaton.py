"""What a monitor is: a small automaton over signs, as data.

An automaton runs once per value of its key (say: per session and sender). It begins in `start`; the first of its rules
that fits the state and the sign is taken; a rule into `BUG` raises the alarm. A rule `unless` time passes (`after`)
fires when the next sign of the same controller comes later than that, and only where the capture is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from conformance.monitors.signs import HANDSHAKE, Kind, Sign
from conformance.sessions.seen import Protection

START: Final = "start"
BUG: Final = "BUG"
Memory = Mapping[str, Any]
"""What a rule kept of an earlier sign, by name."""


class Fault(StrEnum):
    """Who is at fault in a monitor's pattern."""

    SENDER = "sender"
    """Who sent what may not be sent."""
    ACCEPTOR = "acceptor"
    """Who went on after what may not be accepted."""


class Severity(StrEnum):
    """What follows from the bug."""

    HIGH = "high"
    """Confidentiality, integrity or authentication is lost."""
    MEDIUM = "medium"
    """A protection is weakened, or a party can be stopped."""
    LOW = "low"
    """Peers may not understand each other."""


class Need(StrEnum):
    """What a monitor must see to tell anything."""

    PLAINTEXT = "plaintext"
    """Of protected records."""
    BOTH = "both directions"
    CPU = "CPU link"
    ALL = "all frames"
    """A capture that vouches for it (`Context.boots`): the pattern is in what did not come."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that a rule asks of a sign, given what was kept of earlier ones."""

    says: str
    test: Callable[[Sign, Memory], bool]
    reads: tuple[str, ...] = ()
    """The facts and fields without which it cannot hold."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One transition."""

    at: str
    on: frozenset[Kind]
    then: str
    when: tuple[Condition, ...] = ()
    keep: tuple[str, ...] = ()
    """Fields and facts of the sign to remember, under their own names."""
    after_us: int = 0
    """Not 0: taken without a sign, when so much time has passed in this state."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """One known bug and the automaton that finds it."""

    id: str
    says: str
    """The bug in one line."""
    fault: Fault
    requirements: tuple[str, ...]
    """Rules of the protocol page, and RFC sections."""
    severity: Severity
    source: str
    """Where the bug is known from."""
    key: tuple[str, ...]
    """Fields of a sign that tell instances apart."""
    rules: tuple[Rule, ...]
    needs: frozenset[Need] = frozenset()

    def kinds(self) -> frozenset[Kind]:
        """The signs that it listens to."""
        return frozenset().union(*(r.on for r in self.rules))

    def alarming(self) -> tuple[Rule, ...]:
        """The rules that raise the alarm."""
        return tuple(r for r in self.rules if r.then == BUG)


def rule(at: str, on: Kind | frozenset[Kind], then: str, *when: Condition, keep: tuple[str, ...] = ()) -> Rule:
    """A transition on signs."""
    return Rule(at, frozenset({on}) if isinstance(on, Kind) else on, then, when, keep)


def after(at: str, seconds: int, then: str) -> Rule:
    """A transition that time takes."""
    return Rule(at, frozenset(), then, after_us=seconds * 1_000_000)


# --- conditions


def _shown(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def has(name: str, value: Any) -> Condition:
    """A field or fact has this value."""
    return Condition(f"{name} = {_shown(value)}", lambda s, _: s.value(name) == value, (name,))


def above(name: str, least: int) -> Condition:
    """A number is known and larger."""

    def test(sign: Sign, _: Memory) -> bool:
        value = sign.value(name)
        return value is not None and value > least

    return Condition(f"{name} > {least}", test, (name,))


def among(name: str, values: frozenset[int], title: str) -> Condition:
    """A number is one of a named set."""
    return Condition(f"{name} {title}", lambda s, _: s.value(name) in values, (name,))


def same(name: str, kept: str = "") -> Condition:
    """Equal to what was kept (under another name, if given), both known."""
    kept = kept or name

    def test(sign: Sign, memory: Memory) -> bool:
        value = sign.value(name)
        return value is not None and value == memory.get(kept)

    return Condition(f"{name} = kept {kept}", test, (name,))


def differs(name: str, kept: str = "") -> Condition:
    """Unequal to what was kept, both known."""
    kept = kept or name

    def test(sign: Sign, memory: Memory) -> bool:
        value, old = sign.value(name), memory.get(kept)
        return value is not None and old is not None and value != old

    return Condition(f"{name} ≠ kept {kept}", test, (name,))


def exceeds(name: str, kept: str = "") -> Condition:
    """Larger than what was kept, both known."""
    kept = kept or name

    def test(sign: Sign, memory: Memory) -> bool:
        value, old = sign.value(name), memory.get(kept)
        return value is not None and old is not None and value > old

    return Condition(f"{name} > kept {kept}", test, (name,))


def below(name: str, kept: str = "") -> Condition:
    """Smaller than what was kept, both known."""
    kept = kept or name

    def test(sign: Sign, memory: Memory) -> bool:
        value, old = sign.value(name), memory.get(kept)
        return value is not None and old is not None and value < old

    return Condition(f"{name} < kept {kept}", test, (name,))


def within(milliseconds: int) -> Condition:
    """No later after the kept time than this."""
    return Condition(
        f"within {milliseconds:,} ms",
        lambda s, m: "time_us" in m and s.time_us - m["time_us"] <= milliseconds * 1000,
    )


def sooner(milliseconds: int) -> Condition:
    """Earlier after the kept time than this, by more than a tenth: clocks drift."""
    return Condition(
        f"sooner than {milliseconds:,} ms",
        lambda s, m: "time_us" in m and s.time_us - m["time_us"] < milliseconds * 900,
    )


def later(milliseconds: int) -> Condition:
    """Later after the kept time than this, by more than a twentieth: clocks drift."""
    return Condition(
        f"later than {milliseconds:,} ms",
        lambda s, m: "time_us" in m and s.time_us - m["time_us"] > milliseconds * 1050,
    )


OWN = Condition("own", lambda s, _: s.own)
FOREIGN = Condition("another's", lambda s, _: not s.own)
CLIENT_DID = has("role", "client")
SERVER_DID = has("role", "server")
PLAIN = Condition("epoch 0", lambda s, _: s.epoch == 0, ("epoch",))
PROTECTED = Condition("epoch ≥ 1", lambda s, _: s.epoch >= 1, ("epoch",))
OPENED = Condition("opened", lambda s, _: s.protection is Protection.OPENED, ("protection",))
GAPLESS = has("gapless", True)
ALL_SEEN = Condition("all frames captured", lambda s, _: s.complete)
SURE_SESSION = Condition(
    "certainly of this session", lambda s, _: s.complete or s.protection is Protection.OPENED, ("protection",)
)
"""Where a hello is missing in the capture, what follows it can pass for part of the session before."""
OTHER_PARTY = differs("by")
NEW = has("again", False)
FRESH = Condition("no replay", lambda s, _: s.own or s.facts.get("again") is False, ("again",))
"""The tap's own, or new bytes: what another repeats may be an attacker's replay."""

ANY_HELLO: Final = frozenset({Kind.HELLO, Kind.HELLO_WITH_COOKIE})
GOES_ON: Final = frozenset({Kind.CCS, Kind.FINISHED, Kind.DATA})
"""What only a party does that has accepted all that came before."""
SPEAKS: Final = HANDSHAKE | {Kind.CCS, Kind.ALERT, Kind.CLOSE, Kind.DATA}
