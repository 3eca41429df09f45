"""What the adversary makes up: all that needs no key, and what the keys of the device that it owns allow.

It hears the radio, so it can echo cookies under any id. Its hellos bear client randoms of its own: handshake 2 is the
one that a controller may be serving, 3 a fresh one (and from then on it is 2). A hello of an honest device that has
gone on since is as good as one of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from model.alphabet import PLAINTEXT, Ca
from model.state import Mode, Step
from model.system.at_client import take_flight4
from model.system.base import Action
from model.system.certificates import accepts, sss_accepts
from model.system.layout import Chosen, Draft, Proof, Then
from model.system.makers import Makers, Occurrence, nothing
from model.system.scope import STRANGER
from model.terms import And, Term


def forgeries(m: Makers) -> Iterator[Action]:
    """All that the scope lets it do."""
    scope = m.layout.scope
    for i in scope.seds:
        if scope.forging:
            yield from _without_keys(m, i)
            if scope.asks.get(i) and scope.wires:
                yield from _on_the_wire(m, i)
            if scope.radio:
                yield from _as_client(m, i)
            if scope.sends.get(i) or scope.asks.get(i):
                yield from _as_server(m, i)
        elif scope.free:
            for x in m.layout.others[i]:
                origin = f"of a session that {x} has left"
                yield from m.sed(i, Occurrence("replay", "hello-cookie", (x, 2), drops=False, origin=origin))
        if f"s{i}_rec" in m.layout.variables:
            yield from _recorded(m, i)


# --- without keys ----------------------------------------------------------------------------------------------------


def _without_keys(m: Makers, i: int) -> Iterator[Action]:
    """Whatever is not protected, towards SED `i`, from anybody; and from the peer of its session."""
    if m.layout.scope.radio:
        for x in (*m.layout.others[i], STRANGER):
            yield from _spoofed(m, i, x)

    def in_session(d: Draft) -> Term:
        return d[f"s{i}_peer"] != 0

    def by_peer(d: Draft) -> tuple[Term, ...]:
        return (d[f"s{i}_peer"],)

    def alert(d: Draft) -> tuple[Term, ...]:
        return (d[f"s{i}_peer"], PLAINTEXT)

    for event, arguments in (("verify-request", by_peer), ("alert", alert), ("forged", by_peer)):
        origin, stimulus = "spoofed from its peer", ("forge", event, i)
        yield from m.sed(
            i,
            Occurrence("forge", event, arguments, when=in_session, drops=False, origin=origin, stimulus=stimulus),
        )


def _spoofed(m: Makers, i: int, x: int) -> Iterator[Action]:
    """What opens a session, or tries to, in the name of `x`."""

    def settle(d: Draft) -> None:
        d.set(f"s{i}_handshake", 2, d[f"s{i}_handshake"] == 3)

    def spoof(event: str, arguments: tuple[int, ...], stimulus: tuple[str | int, ...], last: Then) -> Iterator[Action]:
        origin = f"spoofed from {x}"
        yield from m.sed(
            i, Occurrence("forge", event, arguments, last=last, drops=False, origin=origin, stimulus=stimulus)
        )

    yield from spoof("hello", (x,), ("spoof", i, 1, x), nothing)
    for handshake in (2, 3):
        yield from spoof("hello-cookie", (x, handshake), ("spoof", i, 3, x), settle)
    yield from spoof("noise", (x,), ("junk", i, x), nothing)


# --- with the keys of its device -------------------------------------------------------------------------------------


def _shown(m: Makers) -> tuple[Ca, ...]:
    """What it can show: certificates that it owns, else one of its own making."""
    return m.layout.scope.owns or (Ca.OTHER,)


def _on_the_wire(m: Makers, i: int) -> Iterator[Action]:
    """A device that claims to be SED `i` on SED `i`'s wire."""
    for event, arguments in (("hello-cookie", (2,)), ("alert", ())):
        yield from m.wire(i, Occurrence("forge", event, arguments, drops=False, origin=f"spoofed from {i}"))
    for ca in _shown(m):
        certificate = Occurrence(
            "forge",
            "certificate",
            (ca, STRANGER, STRANGER),
            when=lambda d: d[f"w{i}_handshake"] == 2,
            drops=False,
            origin=f"of {STRANGER} ({ca.name.lower()}), claimed to be {i}",
        )
        yield from m.wire(i, certificate)
        finish = Occurrence(
            "forge",
            "flight5",
            (0,),
            when=partial(_impostor_may_finish, i, ca),
            last=lambda d: d.set("impostor", 1),
            drops=False,
            origin=f"of {STRANGER} ({ca.name.lower()}), claimed to be {i}",
        )
        yield from m.wire(i, finish)


def _impostor_may_finish(i: int, ca: Ca, d: Draft) -> Term:
    return And(d[f"w{i}_handshake"] == 2, sss_accepts(d, i, int(ca), STRANGER))


def _as_client(m: Makers, i: int) -> Iterator[Action]:
    """It goes on with a handshake that it began towards SED `i`, with its own certificate and key."""
    for ca in _shown(m):
        yield from _proof(m, i, ca)

    def proved(d: Draft) -> Term:
        return And(d[f"s{i}_f5"] == Proof.ADVERSARY, d[f"s{i}_step"] == Step.LISTEN)

    def more(d: Draft) -> Term:
        return And(proved(d), d[f"s{i}_size"] < m.layout.scope.records)

    def data(d: Draft) -> tuple[Term, ...]:
        return (d[f"s{i}_peer"], d[f"s{i}_expect"], 1)

    def close(d: Draft) -> tuple[Term, ...]:
        return (d[f"s{i}_peer"], d[f"s{i}_expect"])

    for event, when, arguments in (("data", more, data), ("close", proved, close)):
        origin, stimulus = f"of {STRANGER}", (event, i)
        yield from m.sed(
            i, Occurrence("forge", event, arguments, when=when, drops=False, origin=origin, stimulus=stimulus)
        )


def _proof(m: Makers, i: int, ca: Ca) -> Iterator[Action]:
    """Flight 5 with one certificate, and that it is rejected."""
    origin = f"of {STRANGER} as client ({ca.name.lower()})"

    def ready(d: Draft) -> Term:
        return And(d[f"s{i}_step"] == Step.ACCEPT, d[f"s{i}_handshake"] == 2)

    certificate = Occurrence(
        "forge",
        "certificate",
        lambda d: (d[f"s{i}_peer"], int(ca), STRANGER),
        when=ready,
        drops=False,
        origin=origin,
        stimulus=("certificate", i, int(ca)),
    )
    yield from m.sed(i, certificate)
    finish = Occurrence(
        "forge",
        "flight5",
        lambda d: (d[f"s{i}_peer"], 0),
        when=lambda d: And(ready(d), accepts(d, i, int(ca), STRANGER)),
        last=lambda d: d.set(f"s{i}_f5", Proof.ADVERSARY),
        drops=False,
        origin=origin,
        stimulus=("finish", i, int(ca)),
    )
    yield from m.sed(i, finish)


def _as_server(m: Makers, i: int) -> Iterator[Action]:
    """It answers SED `i`'s client session, with its own certificate and key."""
    for ca in _shown(m):
        yield from _answer(m, i, ca)
    finished = Occurrence(
        "forge",
        "flight6",
        lambda d: (d[f"s{i}_peer"], 0),
        when=lambda d: d[f"s{i}_chosen"] == Chosen.ADVERSARY,
        drops=False,
        origin=f"of {STRANGER}",
    )
    yield from m.sed(i, finished)


def _answer(m: Makers, i: int, ca: Ca) -> Iterator[Action]:
    """Flight 4 with one certificate, and that it is rejected."""
    origin = f"of {STRANGER} as server ({ca.name.lower()})"

    def asked(d: Draft) -> Term:
        return d[f"s{i}_step"] == Step.COOKIE

    certificate = Occurrence(
        "forge",
        "certificate",
        lambda d: (d[f"s{i}_peer"], int(ca), STRANGER),
        when=asked,
        drops=False,
        origin=origin,
    )
    yield from m.sed(i, certificate)
    answer = Occurrence(
        "forge",
        "flight4",
        lambda d: (d[f"s{i}_peer"],),
        when=lambda d: And(asked(d), accepts(d, i, int(ca), STRANGER)),
        first=lambda d: take_flight4(d, i, Chosen.ADVERSARY),
        drops=False,
        origin=origin,
    )
    yield from m.sed(i, answer)


# --- recorded --------------------------------------------------------------------------------------------------------


def _recorded(m: Makers, i: int) -> Iterator[Action]:
    """ADV-3, historic: after a power cycle the first session draws what an earlier first session drew, so that its
    whole recorded conversation is good once more."""

    def ready(d: Draft) -> Term:
        return And(d[f"s{i}_rec"] != 0, d[f"s{i}_first"] == 1, d[f"s{i}_mode"] == Mode.IDLE)

    def revive(d: Draft) -> None:
        d.set(f"s{i}_f5", Proof.SENT)
        for slot in ("fin", "c", *(f"d{r}" for r in range(m.layout.scope.records))):
            d.set(f"s{i}_{slot}", 1)

    again = Occurrence(
        "replay",
        "hello-cookie",
        lambda d: (d[f"s{i}_rec"], 2),
        when=ready,
        last=revive,
        only=("SES-3.open",),
        origin="recorded before the power cycle",
        stimulus=("recorded", i),
    )
    yield from m.sed(i, again)
