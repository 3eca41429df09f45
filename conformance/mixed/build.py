"""From a lab's file to its world: keys, devices, the model beside them, the SSS, the script."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from conformance.abstraction import Identity
from conformance.cast import SssNode
from conformance.iut.target import conversion, firmware, plain_target
from conformance.judge import Judge
from conformance.mixed.device import Device
from conformance.mixed.file import BadLab, DeviceEntry, LabFile
from conformance.mixed.steps import Acts
from conformance.mixed.world import Wire, World
from conformance.targets.base import Target
from conformance.targets.elf import Elf
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.wire.certificates import Authorities
from conformance.wire.secrets import KeyLog
from model.alphabet import Link
from model.profile import PROFILES, Setting
from reference.deployment import Deployment, DeploymentError
from reference.dialect import STANDARD
from reference.image import SEED_SIZE
from reference.sss import Sss

PROFILE = "hardened"
"""What the controllers of a lab are judged by."""


def build(lab: LabFile) -> tuple[World, Acts]:
    """The world that a file describes, not yet booted, with its script on the agenda, and who does steps in it.

    Raises BadLab, and HarnessError if there is no QEMU or an ELF is none.
    """
    deployment = _deployment(lab)
    for entry in lab.devices:
        _fits(lab, entry, deployment)
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
            identity = Identity(entry.id, own, key, None, *deployment.dialect.of_deployment)
            setting = entry.iut.setting(entry.id) if entry.iut else Setting(entry.id, PROFILES[PROFILE])
            judge = Judge(identity, keylog, setting)
        made = Device(entry.id, entry.kind, _target(entry, deployment), judge, _images(deployment, entry, seed))
        if elf := firmware(entry.iut) if entry.iut else entry.elf:
            made.know(Elf(elf))
        return made

    wires = {link: Wire(lab.latency.get(link, 0), lab.baud.get(link, 0)) for link in (Link.RADIO, Link.SSS)}
    world = World(map(device, lab.devices), sss, keylog, wires, authorities, overhear=lab.overhear)
    acts = Acts(world, lab.seed)
    world.agenda = [(entry.when, partial(acts.do, entry.step)) for entry in lab.script]
    return world, acts


def _target(entry: DeviceEntry, deployment: Deployment) -> Target:
    if entry.iut is not None:
        return plain_target(entry.iut)
    return QemuTarget(entry.elf) if entry.elf is not None else ReferenceTarget(dialect=deployment.dialect)


def _deployment(lab: LabFile) -> Deployment:
    ids = [device.id for device in lab.devices]
    if lab.deployment is None:
        suite, pattern, wide = lab.dialect.of_deployment
        seed = b"lab/%d" % lab.seed
        return Deployment.create(ids, seed=seed, suite=suite, cn_pattern=pattern, wide_response=wide)
    where = f"{lab.path}: [deployment]: `folder`"
    try:
        deployment = Deployment.load(lab.deployment)
    except DeploymentError as error:
        raise BadLab(f"{where}: {error}") from error
    if missing := [i for i in ids if i not in deployment.seds]:
        raise BadLab(f"{where}: {lab.deployment} has no SED {missing[0]}; it has {sorted(deployment.seds)}")
    return deployment


def _fits(lab: LabFile, entry: DeviceEntry, deployment: Deployment) -> None:
    """Raises BadLab if a firmware has settled with its SSS and its peers otherwise than the deployment has."""
    where, has = f"{lab.path}: device {entry.id}", deployment.dialect.words()
    if entry.elf is not None and (deployment.rsa or deployment.dialect.of_deployment[1:] != STANDARD.of_deployment[1:]):
        raise BadLab(
            f"{where}: `elf`: the deployment has {has}, and of a firmware without a file that says so, plain ids as "
            "names, 10-byte responses and a key exchange by ECDHE are expected, as ours has them. If yours has other "
            "ones, describe it (`scewl conform --init-profile FILE`) and name the file with `iut` in place of `elf`"
        )
    if entry.iut is None:
        return
    said = entry.iut.dialect
    if said.of_deployment != deployment.dialect.of_deployment:
        raise BadLab(
            f"{where}: `iut`: {entry.iut.path}: [protocol] says {said.words()}; the deployment has {has}: change either"
        )
    if entry.iut.provisioning == "given":
        own = entry.iut.deployment
        if own is None or lab.deployment is None or own.resolve() != lab.deployment.resolve():
            raise BadLab(f"{where}: `iut`: its certificates are of {own}; [deployment] `folder` has to name that")
        if entry.iut.own_id != entry.id:
            raise BadLab(f"{where}: `iut`: its certificates are those of SED {entry.iut.own_id}; give it that `id`")


def _images(deployment: Deployment, entry: DeviceEntry, seed: bytes) -> Callable[[int], bytes]:
    """Each power-up has a boot seed of its own (ADV-3), in the layout that the firmware reads."""
    number, converted = entry.id, conversion(entry.iut) if entry.iut else bytes

    def image(boots: int) -> bytes:
        fresh = hashlib.shake_256(seed + b"/boot/%d/%d" % (number, boots)).digest(SEED_SIZE)
        return converted(deployment.image(number, fresh))

    return image


def _start_sss(deployment: Deployment, seed: bytes, boots: int, state: bytes | None) -> Sss:
    return Sss(deployment, seed=seed + b"/sss/%d" % boots, state=state)
