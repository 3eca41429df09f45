"""The target that a file describes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conformance.iut.profile import Iut
from conformance.targets.base import HarnessError, Target
from conformance.targets.commands import words
from conformance.targets.machine import LM3S6965, Board
from conformance.targets.native import NativeTarget
from conformance.targets.provisioned import Provisioned, by_program, nothing
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.targets.streams.target import StreamsTarget
from model.alphabet import Link
from reference.deployment import Deployment, DeploymentError


def make_target(iut: Iut) -> Target:
    """A new handle. Raises HarnessError if there is nothing to run."""
    convert = conversion(iut)
    if iut.kind == "streams":
        return StreamsTarget(iut.target, iut.folder, iut.own_id, convert)
    return plain_target(iut) if iut.provisioning == "image" else Provisioned(plain_target(iut), convert)


def conversion(iut: Iut) -> Callable[[bytes], bytes]:
    """What makes of a provisioning image that with which the firmware boots."""
    return {"program": by_program(iut.command, iut.folder), "given": nothing}.get(iut.provisioning, bytes)


def given_deployment(iut: Iut) -> Deployment | None:
    """The deployment that the device has its certificates from. Raises HarnessError if it does not fit the file."""
    if iut.deployment is None:
        return None
    try:
        deployment = Deployment.load(iut.deployment)
    except DeploymentError as error:
        raise HarnessError(f"{iut.path}: [provisioning] `deployment`: {error}") from error
    if iut.own_id not in deployment.seds:
        raise HarnessError(f"{iut.path}: [provisioning] `id`: {iut.deployment} has no SED {iut.own_id}")
    made, said = deployment.dialect, iut.dialect
    if made.of_deployment != said.of_deployment:
        raise HarnessError(f"{iut.path}: {iut.deployment} was made with {made.words()}; [protocol] says {said.words()}")
    return deployment


def firmware(iut: Iut) -> Path | None:
    """The file that is the firmware, if it is one."""
    return iut.folder / iut.target["elf"] if iut.kind == "qemu" else None


def plain_target(iut: Iut) -> Target:
    """A handle to what runs in virtual time, which boots with what `conversion` makes. Raises HarnessError."""
    keys = iut.target
    match iut.kind:
        case "qemu":
            uarts = {number: Link[link.upper()] for link, number in keys["uarts"].items()}
            board = Board(
                keys.get("machine", LM3S6965.machine),
                keys.get("image_address", LM3S6965.image_address),
                keys.get("image_size", LM3S6965.image_size),
                tuple(uarts[number] for number in range(len(uarts))),
            )
            busy = keys["busy_poll_ms"] or None
            return QemuTarget(iut.folder / keys["elf"], busy_poll_ms=busy, options=keys["options"], board=board)
        case "native":
            program, *arguments = words(keys["command"], iut.folder, {})
            return NativeTarget(Path(program), arguments=arguments)
    return ReferenceTarget(dialect=iut.dialect)
