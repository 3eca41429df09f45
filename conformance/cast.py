"""Who plays in a case: the deployment, the other SEDs and the SSS, all from one seed.

A player is the reference, or the scripted peer if the purpose has a script for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from conformance.abstraction import Identity
from conformance.forged import forge
from conformance.lab import Node
from conformance.peer.node import PeerSed, PeerSss, Registrar, sed_identity, sss_identity
from conformance.peer.script import parse
from conformance.purpose import Peer, Purpose
from conformance.voice import Voice
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame, FrameReader
from model.alphabet import DEREGISTER, LOWEST_SED_ID, REGISTER, SSS_ID, Link
from reference.controller import Controller
from reference.credentials import Credentials
from reference.deployment import Deployment
from reference.dialect import STANDARD, Dialect
from reference.image import SEED_SIZE
from reference.registration import Response
from reference.sss import Sss

RESPONSES: Final[dict[str, Callable[[Response, Credentials], Response]]] = {
    "honest": lambda r, _: r,
    "other-device": lambda r, _: replace(r, dev_id=r.dev_id + 1),
    "other-op": lambda r, _: Response(r.dev_id, DEREGISTER),
    "unknown-op": lambda r, _: Response(r.dev_id, 7),
    "bad-ca": lambda r, _: replace(r, ca=bytes(len(r.ca))),
    "foreign-ca": lambda r, other: replace(r, ca=other.ca),
    "bad-certificate": lambda r, _: replace(r, certificate=bytes(len(r.certificate))),
    "bad-key": lambda r, _: replace(r, key=bytes(len(r.key))),
    "foreign-key": lambda r, other: replace(r, key=bytes(other.key)),
    "wrong-name": lambda r, other: Response(r.dev_id, r.op, other.ca, other.certificate, bytes(other.key)),
    "empty": lambda r, _: Response(r.dev_id, r.op),
    "trailing": lambda r, _: r,
    "cut-off": lambda r, _: r,
    "header-only": lambda r, _: r,
    "too-long": lambda r, _: replace(r, ca=bytes(16_384)),
}
"""The answer to a registration that is granted, given also a good set in another name from the provisioning CA."""
_ENDS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "trailing": lambda data, _: data + b"\0",
    "cut-off": lambda data, _: data[:-1],
    "header-only": lambda data, header: data[:header],
    "too-long": lambda data, _: data[:900],
}
"""What becomes of its bytes, given also the size of the header."""


class Cast:
    """Makes the players of one purpose. The same purpose and seed give the same bytes from every player."""

    def __init__(
        self, purpose: Purpose, seed: int, dialect: Dialect = STANDARD, deployment: Deployment | None = None
    ) -> None:
        """`dialect` is what the deployment settles differently; `deployment` one that the IUT has already."""
        self._purpose, self._dialect = purpose, dialect
        self._seed = f"{seed}/{purpose.id}".encode()
        ids = [purpose.iut, *(p.id for p in purpose.peers)]
        self._given = deployment is not None
        self.voice = Voice(self._seed) if purpose.voice else None
        """Who says everything, if nobody plays."""
        if deployment is not None:
            self.deployment = replace(deployment, removed=set())
        elif self.voice is not None:
            self.deployment = self.voice.deployment
        else:
            self.deployment = self._create(ids, self._seed)
        for removed in purpose.removed:
            self.deployment.remove(removed)
        self.response = purpose.response
        """What the SSS answers from now on to a registration that it grants: one of `RESPONSES`."""
        self.sss = SssNode(self._start_sss, ids)
        self._registrar = Registrar(self._seed + b"/registrar")
        """Of a scripted SSS."""

    def image(self, boots: int = 0) -> bytes:
        """The IUT's provisioning image; after a power cycle with a new boot seed (ADV-3)."""
        return self._image(self._purpose.iut, boots)

    def authorities(self) -> dict[str, bytes]:
        """The two CA certificates by label, DER."""
        if self.voice:
            return self.voice.authorities()
        runtime = self.sss if self._purpose.sss is None else self._registrar
        return {"PROVISIONING": self.deployment.authority.certificate, "RUNTIME": runtime.runtime_ca}

    def identity(self) -> Identity:
        """What the judge knows of the IUT."""
        authorities = Authorities(self.authorities())
        own = authorities.classify(self.deployment.credentials(self._purpose.iut).certificate)
        return Identity(
            self._purpose.iut,
            authorities,
            own.public_key or b"",
            suite=self.deployment.suite,
            cn_pattern=self.deployment.cn_pattern,
            wide_response=self._dialect.wide_response,
        )

    def nodes(self) -> dict[int, Node]:
        """The players by id."""
        if self.voice:
            return {}
        sss = self.sss if self._purpose.sss is None else self.scripted_sss(self._purpose.sss)
        return {**{peer.id: self._player(peer) for peer in self._purpose.peers}, SSS_ID: sss}

    def _player(self, peer: Peer) -> Node:
        if peer.script is None:
            return self.sed(peer.id)
        scripted = parse(peer.script)
        identity = sed_identity(self.deployment, peer.id)
        shown = None if peer.credentials == "good" else forge(peer.credentials, identity)
        seed = self._seed + b"/scripted"
        return PeerSed(peer.id, identity, client=scripted, server=scripted, seed=seed, certificates=shown)

    def scripted_sss(self, document: dict[str, Any]) -> PeerSss:
        """An SSS with a script; `{}` is an honest one."""
        return PeerSss(
            sss_identity(self.deployment),
            self._registrar,
            script=parse(document),
            alter=self._respond,
            seed=self._seed + b"/scripted",
        )

    def sed(self, sed_id: int, boots: int = 0, *, honest: bool = False) -> Controller:
        """A peer after so many power cycles, each with a boot seed of its own (ADV-3)."""
        peer = next(p for p in self._purpose.peers if p.id == sed_id)
        if honest or peer.credentials == "good":
            return Controller(self._image(sed_id, boots), dialect=self._dialect)
        seed = self._seed + b"/%d" % sed_id + (b"/%d" % boots if boots else b"")
        suite, dialect = self.deployment.suite, self._dialect
        return Controller.from_credentials(sed_id, self._credentials(peer), seed, suite=suite, dialect=dialect)

    def _create(self, ids: list[int], seed: bytes) -> Deployment:
        return Deployment.create(ids, seed=seed, suite=self._dialect.suite, cn_pattern=self._dialect.cn_pattern)

    def _image(self, sed_id: int, boots: int) -> bytes:
        fresh = boots or self._given  # the same deployment in every case, but not the same randomness (ADV-3)
        seed = hashlib.shake_256(self._seed + b"/boot/%d/%d" % (sed_id, boots)).digest(SEED_SIZE) if fresh else None
        return self.deployment.image(sed_id, seed)

    def _start_sss(self, boots: int, state: bytes | None) -> Sss:
        seed = self._seed + b"/sss" + (b"/%d" % boots if boots else b"")
        return Sss(
            self.deployment,
            seed=seed,
            replace=self._purpose.replace,
            respond=self._respond,
            state=state,
            dialect=self._dialect,
        )

    def _respond(self, response: Response) -> bytes:
        """A response of the SSS in bytes."""
        wide, how = self._dialect.wide_response, self.response
        if response.op != REGISTER or how == "honest":
            return response.encode(wide=wide)
        other = self.deployment.issue(str(self._purpose.iut + 1), self._seed + b"/response")
        data = RESPONSES[how](response, other).encode(wide=wide)
        return _ENDS[how](data, len(Response(0, 0).encode(wide=wide))) if how in _ENDS else data

    def _credentials(self, peer: Peer) -> Credentials:
        """The provisioning set of a peer that is not what it should be."""
        if peer.credentials == "wrong-name":
            name = self.deployment.cn_pattern.format(id=peer.name)
            return self.deployment.issue(name, self._seed + b"/name", serial=peer.id)
        foreign = self._create([peer.id], self._seed + b"/foreign").credentials(peer.id)
        if peer.credentials == "foreign-certificate":
            foreign.ca = self.deployment.authority.certificate
        return foreign


_STRANGER: Final = 0
"""The wire of a device that is nobody in the purpose."""


class SssNode:
    """The SSS as a device of the lab: its wires are told apart by the SED at their other end."""

    def __init__(self, start: Callable[[int, bytes | None], Sss], wires: list[int]) -> None:
        """`start` makes an SSS, given how often it started before and what it kept."""
        self._start, self._wires = start, wires
        self._sss = self._connected(start(0, None))

    @property
    def runtime_ca(self) -> bytes:
        """The runtime CA certificate, DER, which restarts do not change (REG-1)."""
        return self._sss.runtime_ca

    @property
    def registered(self) -> frozenset[int]:
        """The devices that count as registered."""
        return self._sss.registered

    def restart(self, boots: int) -> None:
        """It starts again with what it keeps; sessions and half frames are gone."""
        self._sss = self._connected(self._start(boots, self._sss.state()))

    def stall(self, now: int) -> None:
        """One more device is connected, and stops in the middle of a frame (REG-7)."""
        self._sss.receive(_STRANGER, Frame(SSS_ID, LOWEST_SED_ID, bytes(100)).encode()[:50], now)

    def _connected(self, sss: Sss) -> Sss:
        for wire in self._wires:
            sss.connect(wire)
        return sss

    def receive(self, link: Link, data: bytes, now: int) -> None:
        """Bytes of one or more frames of one SED."""
        assert link is Link.SSS
        for frame in FrameReader().feed(data):
            if isinstance(frame, Frame):
                self._sss.receive(frame.source, frame.encode(), now)

    def on_time(self, now: int) -> None:
        """A deadline has come."""
        self._sss.on_time(now)

    def deadline(self) -> int | None:
        """The next deadline in milliseconds."""
        return self._sss.deadline()

    def outgoing(self) -> list[tuple[Link, bytes]]:
        """Frames to send, over whichever wire."""
        return [(Link.SSS, data) for _, data in self._sss.outgoing()]

    def secrets(self) -> list[tuple[bytes, bytes]]:
        """New client randoms and master secrets."""
        return self._sss.secrets()
