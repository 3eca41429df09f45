"""What the adversary makes up: everything that needs no key, and what the keys of the device that it owns allow.

It hears the radio, so it can echo cookies under any id. Its hellos bear client randoms of its own: handshake 2 is the one
that a controller may be serving, 3 a fresh one (and from then on it is 2). A hello of an honest device that has
gone on since is as good as one of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model.alphabet import PLAINTEXT, Ca
from model.state import Mode, Step
from model.system.base import Action, Variables
from model.system.layout import Chosen, Draft, Layout, Proof
from model.system.parts import OF, Makers
from model.system.scope import STRANGER
from model.terms import And, Not, Term


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
            if scope.sends.get(i):
                yield from _as_server(m, i)
        elif scope.free:
            for x in m.layout.others[i]:
                yield from m.sed(
                    i, "replay", "hello-cookie", (x, 2), drops=False, origin=f"of a session that {x} has left"
                )
        if f"s{i}_rec" in m.layout.variables:
            yield from _recorded(m, i)


def _without_keys(m: Makers, i: int) -> Iterator[Action]:
    layout = m.layout
    for x in (*layout.others[i], STRANGER) if layout.scope.radio else ():
        spoofed = f"spoofed from {x}"
        yield from m.sed(i, "forge", "hello", (x,), drops=False, origin=spoofed, stimulus=("spoof", i, 1, x))
        for handshake in (2, 3):

            def settle(d: Draft) -> None:
                served = d[f"s{i}_handshake"]
                d.set(f"s{i}_handshake", 2, served == 3)

            yield from m.sed(
                i,
                "forge",
                "hello-cookie",
                (x, handshake),
                last=settle,
                drops=False,
                origin=spoofed,
                stimulus=("spoof", i, 3, x),
            )
        yield from m.sed(i, "forge", "noise", (x,), drops=False, origin=spoofed, stimulus=("junk", i, x))

    def in_session(v: Variables) -> Term:
        return layout.draft(v)[f"s{i}_peer"] != 0

    def peer(d: Draft) -> Term:
        return d[f"s{i}_peer"]

    for event, arguments in (
        ("verify-request", lambda d: (peer(d),)),
        ("alert", lambda d: (peer(d), PLAINTEXT)),
        ("forged", lambda d: (peer(d),)),
    ):
        yield from m.sed(
            i, "forge", event, arguments, when=in_session, drops=False, origin="spoofed from its peer",
            stimulus=("forge", event, i),
        )  # fmt: skip


def _on_the_wire(m: Makers, i: int) -> Iterator[Action]:
    """A device that claims to be SED `i` on SED `i`'s wire."""
    yield from m.wire(i, "forge", "hello-cookie", (2,), drops=False, origin=f"spoofed from {i}")
    yield from m.wire(i, "forge", "alert", drops=False, origin=f"spoofed from {i}")
    for ca in m.layout.scope.owns or (Ca.OTHER,):
        yield from m.wire(
            i,
            "forge",
            "certificate",
            (ca, STRANGER, STRANGER),
            when=lambda v: m.layout.draft(v)[f"w{i}_handshake"] == 2,
            drops=False,
            origin=f"of {STRANGER} ({ca.name.lower()}), claimed to be {i}",
        )


class _Shown:
    def __init__(self, source: Term, ca: Term) -> None:
        self.source, self.ca, self.cn = source, ca, STRANGER


def _accepted(layout: Layout, d: Draft, i: int, ca: Ca) -> Term:
    """SED `i` accepts the adversary's certificate."""
    reject = next(r for r in OF["certificate"] if r.id == "CRT-7.reject")
    return Not(reject.body(d.sed(i), _Shown(d[f"s{i}_peer"], int(ca)), layout.setting(i)).guard)


def _as_client(m: Makers, i: int) -> Iterator[Action]:
    """It goes on with a handshake that it began towards SED `i`, with its own certificate and key."""
    layout = m.layout

    def ready(v: Variables) -> Term:
        d = layout.draft(v)
        return And(d[f"s{i}_step"] == Step.ACCEPT, d[f"s{i}_handshake"] == 2)

    for ca in layout.scope.owns or (Ca.OTHER,):
        origin = f"of {STRANGER} as client ({ca.name.lower()})"
        yield from m.sed(
            i,
            "forge",
            "certificate",
            lambda d, ca=ca: (d[f"s{i}_peer"], int(ca), STRANGER),
            when=ready,
            drops=False,
            origin=origin,
            stimulus=("certificate", i, int(ca)),
        )
        yield from m.sed(
            i,
            "forge",
            "flight5",
            lambda d: (d[f"s{i}_peer"], 0),
            when=lambda v, ca=ca: And(ready(v), _accepted(layout, layout.draft(v), i, ca)),
            last=lambda d: d.set(f"s{i}_f5", Proof.ADVERSARY),
            drops=False,
            origin=origin,
            stimulus=("finish", i, int(ca)),
        )

    def proved(v: Variables) -> Term:
        d = layout.draft(v)
        return And(d[f"s{i}_f5"] == Proof.ADVERSARY, d[f"s{i}_step"] == Step.LISTEN)

    def more(v: Variables) -> Term:
        return And(proved(v), layout.draft(v)[f"s{i}_size"] < layout.scope.records)

    for event, when, arguments in (
        ("data", more, lambda d: (d[f"s{i}_peer"], d[f"s{i}_expect"], 1)),
        ("close", proved, lambda d: (d[f"s{i}_peer"], d[f"s{i}_expect"])),
    ):
        yield from m.sed(
            i, "forge", event, arguments, when=when, drops=False, origin=f"of {STRANGER}", stimulus=(event, i)
        )


def _as_server(m: Makers, i: int) -> Iterator[Action]:
    """It answers SED `i`'s client session, with its own certificate and key."""
    layout = m.layout

    def asked(v: Variables) -> Term:
        return layout.draft(v)[f"s{i}_step"] == Step.COOKIE

    def choose(d: Draft) -> None:
        d.set(f"s{i}_chosen", Chosen.ADVERSARY)
        d.set(f"s{i}_f4p", 0)
        d.set(f"s{i}_f4r", 0)

    for ca in layout.scope.owns or (Ca.OTHER,):
        origin = f"of {STRANGER} as server ({ca.name.lower()})"
        yield from m.sed(
            i,
            "forge",
            "certificate",
            lambda d, ca=ca: (d[f"s{i}_peer"], int(ca), STRANGER),
            when=asked,
            drops=False,
            origin=origin,
        )
        yield from m.sed(
            i,
            "forge",
            "flight4",
            lambda d: (d[f"s{i}_peer"],),
            when=lambda v, ca=ca: And(asked(v), _accepted(layout, layout.draft(v), i, ca)),
            first=choose,
            drops=False,
            origin=origin,
        )
    yield from m.sed(
        i,
        "forge",
        "flight6",
        lambda d: (d[f"s{i}_peer"], 0),
        when=lambda v: layout.draft(v)[f"s{i}_chosen"] == Chosen.ADVERSARY,
        drops=False,
        origin=f"of {STRANGER}",
    )


def _recorded(m: Makers, i: int) -> Iterator[Action]:
    """ADV-3, historic: after a power cycle the first session draws what an earlier first session drew, so that its
    whole recorded conversation is good once more."""
    layout = m.layout

    def ready(v: Variables) -> Term:
        d = layout.draft(v)
        return And(d[f"s{i}_rec"] != 0, d[f"s{i}_first"] == 1, d[f"s{i}_mode"] == Mode.IDLE)

    def revive(d: Draft) -> None:
        slots: dict[str, Any] = {"f5": Proof.SENT, "fin": 1, "c": 1}
        slots |= {f"d{r}": 1 for r in range(layout.scope.records)}
        for slot, value in slots.items():
            d.set(f"s{i}_{slot}", value)

    yield from m.sed(
        i,
        "replay",
        "hello-cookie",
        lambda d: (d[f"s{i}_rec"], 2),
        when=ready,
        last=revive,
        only=("SES-3.open",),
        origin="recorded before the power cycle",
        stimulus=("recorded", i),
    )
