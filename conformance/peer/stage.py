"""A lab whose other devices are scripted peers: one IUT, judged by the model step by step."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.abstraction import Identity
from conformance.judge import Judge
from conformance.lab import Lab
from conformance.peer.keys import derive
from conformance.peer.node import PeerSed, PeerSss, Registrar, sed_identity, sss_identity
from conformance.targets.base import Target
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame
from conformance.wire.secrets import KeyLog
from model.alphabet import REGISTER, SSS_ID
from model.profile import PROFILES, Setting
from reference.deployment import Deployment
from reference.registration import Request


class Stage:
    """One IUT among scripted SEDs and a scripted SSS, all from one seed; every peer is honest until it is told."""

    def __init__(
        self,
        target: Target,
        *,
        iut: int = 10,
        seds: Iterable[int] = (11,),
        profile: str = "hardened",
        seed: bytes = b"",
    ) -> None:
        """The IUT is not started yet; the caller closes `target`."""
        ids = list(seds)
        self.deployment = Deployment.create([iut, *ids], seed=derive(seed, "deployment"))
        registrar = Registrar(derive(seed, "registrar"))
        self.seds = {i: PeerSed(i, sed_identity(self.deployment, i), seed=derive(seed, "sed")) for i in ids}
        self.sss = PeerSss(sss_identity(self.deployment), registrar, seed=derive(seed, "sss"))
        authorities = Authorities(
            {"PROVISIONING": self.deployment.authority.certificate, "RUNTIME": registrar.runtime_ca}
        )
        own = authorities.classify(self.deployment.credentials(iut).certificate)
        keylog = KeyLog()
        self.judge = Judge(Identity(iut, authorities, own.public_key or b""), keylog, Setting(iut, PROFILES[profile]))
        self.lab = Lab(iut, target, self.judge, {**self.seds, SSS_ID: self.sss}, keylog)

    def boot(self) -> None:
        """Power the IUT up. Raises Diverged, here and below, where the model does not allow what it does."""
        self.lab.boot(self.deployment.image(self.lab.iut))

    def send(self, by: int, to: int, payload: bytes) -> None:
        """A device's CPU gives a message for another SED."""
        self.lab.from_cpu(by, Frame(to, by, payload).encode())

    def register(self, op: int = REGISTER) -> None:
        """The IUT's CPU asks to be registered, or deregistered."""
        self.lab.from_cpu(self.lab.iut, Frame(SSS_ID, self.lab.iut, Request(self.lab.iut, op).encode()).encode())

    def run(self, until: int | None = None) -> None:
        """Let all happen, up to a time in ms, or until nobody waits for anything."""
        self.lab.run(until)

    def told(self, device: int) -> list[Frame]:
        """The frames that a device's CPU has got; drains."""
        return self.lab.inbox.pop(device, [])
