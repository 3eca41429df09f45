"""From a lab's file to its world: keys, devices, the model beside them, the SSS, the script."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from conformance.abstraction import Identity
from conformance.cast import SssNode
from conformance.judge import Judge
from conformance.mixed.device import Device
from conformance.mixed.file import FIRMWARE, BadLab, DeviceEntry, LabFile
from conformance.mixed.steps import Acts
from conformance.mixed.world import Wire, World
from conformance.targets.base import Target
from conformance.targets.elf import Elf
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.wire.certificates import Authorities
from conformance.wire.secrets import SUITES, KeyLog
from model.alphabet import Link
from model.profile import PROFILES, Setting
from reference.deployment import Deployment, DeploymentError
from reference.image import SEED_SIZE
from reference.sss import Sss

PROFILE = "hardened"
"""What the controllers of a lab are judged by."""


def build(lab: LabFile) -> tuple[World, Acts]:
    """The world that a file describes, not yet booted, with its script on the agenda, and who does steps in it.

    Raises BadLab, and HarnessError if there is no QEMU or an ELF is none.
    """
    deployment = _deployment(lab)
    seed = b"lab/%d" % lab.seed
    sss = SssNode(partial(_start_sss, deployment, seed), [device.id for device in lab.devices]) if lab.sss else None
    authorities = {"PROVISIONING": deployment.authority.certificate}
    if sss is not None:
        authorities["RUNTIME"] = sss.runtime_ca
    keylog = KeyLog()
    watch = lab.watch or lab.record is not None

    def device(entry: DeviceEntry) -> Device:
        judge = None
        if watch:
            own = Authorities(authorities)
            key = own.classify(deployment.credentials(entry.id).certificate).public_key or b""
            identity = Identity(entry.id, own, key, suite=deployment.suite, cn_pattern=deployment.cn_pattern)
            judge = Judge(identity, keylog, Setting(entry.id, PROFILES[PROFILE]))
        made = Device(entry.id, entry.kind, _target(entry), judge, _images(deployment, entry.id, seed))
        if entry.elf is not None:
            made.know(Elf(entry.elf))
        return made

    wires = {link: Wire(lab.latency.get(link, 0), lab.baud.get(link, 0)) for link in (Link.RADIO, Link.SSS)}
    world = World(map(device, lab.devices), sss, keylog, wires, authorities, overhear=lab.overhear)
    acts = Acts(world, lab.seed)
    world.agenda = [(entry.when, partial(acts.do, entry.step)) for entry in lab.script]
    return world, acts


def _target(entry: DeviceEntry) -> Target:
    if entry.kind == FIRMWARE:
        assert entry.elf is not None
        return QemuTarget(entry.elf)
    return ReferenceTarget()


def _deployment(lab: LabFile) -> Deployment:
    ids = [device.id for device in lab.devices]
    if lab.deployment is None:
        return Deployment.create(ids, seed=b"lab/%d" % lab.seed)
    where = f"{lab.path}: [deployment]: `folder`"
    try:
        deployment = Deployment.load(lab.deployment)
    except DeploymentError as error:
        raise BadLab(f"{where}: {error}") from error
    if missing := [i for i in ids if i not in deployment.seds]:
        raise BadLab(f"{where}: {lab.deployment} has no SED {missing[0]}; it has {sorted(deployment.seds)}")
    if deployment.suite not in SUITES or deployment.cn_pattern != "{id}":
        raise BadLab(f"{where}: a lab's SEDs speak the suites of DTL-2 and have plain ids as names; make another one")
    return deployment


def _images(deployment: Deployment, number: int, seed: bytes) -> Callable[[int], bytes]:
    """Each power-up has a boot seed of its own (ADV-3)."""

    def image(boots: int) -> bytes:
        return deployment.image(number, hashlib.shake_256(seed + b"/boot/%d/%d" % (number, boots)).digest(SEED_SIZE))

    return image


def _start_sss(deployment: Deployment, seed: bytes, boots: int, state: bytes | None) -> Sss:
    return Sss(deployment, seed=seed + b"/sss/%d" % boots, state=state)
