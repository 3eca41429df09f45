"""The target that a file describes."""

from __future__ import annotations

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
from reference.dialect import Dialect, layout_name


def make_target(iut: Iut) -> Target:
    """A new handle. Raises HarnessError if there is nothing to run."""
    convert = {"program": by_program(iut.command, iut.folder), "given": nothing}.get(iut.provisioning)
    if iut.kind == "streams":
        return StreamsTarget(iut.target, iut.folder, iut.own_id, convert or bytes)
    target = _plain(iut)
    return Provisioned(target, convert) if convert else target


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
    if (made.suite, made.cn_pattern, made.wide_response) != (said.suite, said.cn_pattern, said.wide_response):
        raise HarnessError(f"{iut.path}: {iut.deployment} was made with {_words(made)}; [protocol] says {_words(said)}")
    return deployment


def _words(dialect: Dialect) -> str:
    layout = layout_name(dialect.wide_response)
    return f"the suite {dialect.suite:#06x}, the names {dialect.cn_pattern!r} and {layout} responses"


def firmware(iut: Iut) -> Path | None:
    """The file that is the firmware, if it is one."""
    return iut.folder / iut.target["elf"] if iut.kind == "qemu" else None


def _plain(iut: Iut) -> Target:
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
