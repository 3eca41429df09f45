"""Who plays in a case: the deployment, the other SEDs and the SSS, all from one seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from conformance.abstraction import Identity
from conformance.lab import Node
from conformance.purpose import Peer, Purpose
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame, FrameReader
from model.alphabet import DEREGISTER, REGISTER, SSS_ID, Link
from reference.controller import Controller
from reference.credentials import Credentials
from reference.deployment import Deployment
from reference.registration import Response
from reference.sss import Sss

RESPONSES: Final[dict[str, Callable[[Response, Credentials], bytes]]] = {
    "honest": lambda r, _: r.encode(),
    "other-device": lambda r, _: replace(r, dev_id=r.dev_id + 1).encode(),
    "other-op": lambda r, _: Response(r.dev_id, DEREGISTER).encode(),
    "unknown-op": lambda r, _: Response(r.dev_id, 7).encode(),
    "bad-ca": lambda r, _: replace(r, ca=bytes(len(r.ca))).encode(),
    "foreign-ca": lambda r, other: replace(r, ca=other.ca).encode(),
    "bad-certificate": lambda r, _: replace(r, certificate=bytes(len(r.certificate))).encode(),
    "bad-key": lambda r, _: replace(r, key=bytes(len(r.key))).encode(),
    "foreign-key": lambda r, other: replace(r, key=bytes(other.key)).encode(),
    "wrong-name": lambda r, other: Response(r.dev_id, r.op, other.ca, other.certificate, bytes(other.key)).encode(),
    "empty": lambda r, _: Response(r.dev_id, r.op).encode(),
    "trailing": lambda r, _: r.encode() + b"\0",
    "cut-off": lambda r, _: r.encode()[:-1],
    "header-only": lambda r, _: r.encode()[:10],
    "too-long": lambda r, _: replace(r, ca=bytes(16_384)).encode()[:900],
}
"""The answer to a registration that is granted, given also a good set in another name from the provisioning CA."""


class Cast:
    """Makes the players of one purpose. The same purpose and seed give the same bytes from every player."""

    def __init__(self, purpose: Purpose, seed: int) -> None:
        self._purpose = purpose
        self._seed = f"{seed}/{purpose.id}".encode()
        ids = [purpose.iut, *(p.id for p in purpose.peers)]
        self.deployment = Deployment.create(ids, seed=self._seed)
        for removed in purpose.removed:
            self.deployment.remove(removed)
        self._sss = Sss(
            self.deployment,
            seed=self._seed + b"/sss",
            replace=purpose.replace,
            respond=self._responder(purpose.response),
        )

    def image(self) -> bytes:
        """The IUT's provisioning image."""
        return self.deployment.image(self._purpose.iut)

    def identity(self) -> Identity:
        """What the judge knows of the IUT."""
        authorities = Authorities(
            {"PROVISIONING": self.deployment.authority.certificate, "RUNTIME": self._sss.runtime_ca}
        )
        own = authorities.classify(self.deployment.credentials(self._purpose.iut).certificate)
        return Identity(self._purpose.iut, authorities, own.public_key or b"")

    def nodes(self) -> dict[int, Node]:
        """The players by id."""
        players: dict[int, Node] = {peer.id: self._sed(peer) for peer in self._purpose.peers}
        players[SSS_ID] = SssNode(self._sss, [self._purpose.iut, *players])
        return players

    def _responder(self, kind: str) -> Callable[[Response], bytes]:
        """How the SSS puts a response into bytes."""
        iut, seed = self._purpose.iut, self._seed + b"/response"

        def respond(response: Response) -> bytes:
            if response.op != REGISTER:
                return response.encode()
            return RESPONSES[kind](response, self.deployment.issue(str(iut + 1), seed))

        return respond

    def _sed(self, peer: Peer) -> Controller:
        if peer.credentials == "good":
            return Controller(self.deployment.image(peer.id))
        return Controller.from_credentials(peer.id, self._credentials(peer), self._seed + b"/%d" % peer.id)

    def _credentials(self, peer: Peer) -> Credentials:
        """The provisioning set of a peer that is not what it should be."""
        if peer.credentials == "wrong-name":
            return self.deployment.issue(str(peer.name), self._seed + b"/name", serial=peer.id)
        foreign = Deployment.create([peer.id], seed=self._seed + b"/foreign").credentials(peer.id)
        if peer.credentials == "foreign-certificate":
            foreign.ca = self.deployment.authority.certificate
        return foreign


class SssNode:
    """The SSS as a device of the lab: its wires are told apart by the SED at their other end."""

    def __init__(self, sss: Sss, wires: list[int]) -> None:
        self._sss = sss
        for wire in wires:
            sss.connect(wire)

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
