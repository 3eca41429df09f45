"""Which purposes an implementation is not run on, and why: what it does not claim, or what its target cannot show."""

from __future__ import annotations

from typing import Final

from conformance.iut.profile import RULES, Iut
from conformance.purpose import Purpose
from model.profile import Setting
from reference.deployment import Deployment
from reference.dialect import STANDARD

LONG: Final = 100
"""Milliseconds: a purpose that waits for longer has a timer of the protocol page in mind."""
MOMENTS: Final = (7_000, 14_000, 21_000, 28_000, 49_000, 56_000, 60_000, 105_000, 165_000)
"""Milliseconds after a flight or the last progress at which a timer is due, or one that was armed by one."""


def reason_to_skip(iut: Iut, purpose: Purpose, deployment: Deployment | None = None) -> str:
    """Why a purpose cannot say anything of this implementation; empty if it is to be run.

    `deployment` is the one that the device was given its certificates from.
    """
    unclaimed = [rule for rule in purpose.requirements if rule in RULES and rule not in iut.claimed]
    if unclaimed:
        return f"The firmware does not claim {' and '.join(unclaimed)}."
    if iut.dialect.rsa and purpose.scripted:
        return "The scripted peer exchanges keys by ECDHE-ECDSA only, the firmware by RSA."
    if iut.dialect.wide_response and purpose.sss is not None:
        return "The scripted SSS knows the 10-byte registration layout only."
    return _voice(iut, purpose, deployment) or _timers(iut, purpose) or _device(iut, purpose, deployment)


def _voice(iut: Iut, purpose: Purpose, deployment: Deployment | None) -> str:
    """A purpose that is a walk over the controller machine: that of all rules, with the page's timers and layouts."""
    if not purpose.voice:
        return ""
    if iut.setting(purpose.iut) != Setting(purpose.iut):
        return "It walks over the machine of all rules and of the protocol page's timers; the firmware's is another."
    if deployment is not None or iut.dialect != STANDARD or not iut.exact:
        return "Whoever speaks in it shows certificates of its own, in the protocol page's formats and in virtual time."
    return ""


def _timers(iut: Iut, purpose: Purpose) -> str:
    """A purpose whose waits are made for the timers of DTL-6 and SES-7."""
    waits = [s.arguments["ms"] for s in purpose.steps if s.arguments.get("ms", 0) > LONG]
    setting, standard = iut.setting(purpose.iut), Setting(purpose.iut)
    own = (setting.first_timeout, setting.last_timeout, setting.idle_timeout)
    protocol = (standard.first_timeout, standard.last_timeout, standard.idle_timeout)
    if waits and own != protocol:
        return (
            f"It waits for {max(waits):,} ms, made for timers of {_ms(protocol)}; the firmware's are {_ms(own)} "
            "(first and last timeout, idle timeout)."
        )
    return ""


def _device(iut: Iut, purpose: Purpose, deployment: Deployment | None) -> str:
    """What a device on streams cannot be made to do, or was not given."""
    if deployment is not None:
        if purpose.iut != iut.own_id:
            return f"It is about the device {purpose.iut}; this one has the id {iut.own_id}."
        missing = [str(p.id) for p in purpose.peers if p.id not in deployment.seds]
        if missing:
            return f"It needs peers with the ids {', '.join(missing)}, which the deployment does not have."
    if iut.exact:
        return ""
    steps = purpose.steps
    if not iut.target["reset"] and any(
        s.kind == "boot" and s.arguments.get("by", 0) in (0, purpose.iut) for s in steps
    ):
        return "It power-cycles the device, for which there is no `reset` command."
    window = iut.target["tolerance_ms"] + iut.target["quiet_ms"]
    times = [s.arguments["ms"] for s in steps if s.arguments.get("ms", 0) > LONG]
    if any(0 < abs(ms - moment) <= window for ms in times for moment in MOMENTS):
        return f"It tells moments apart that are nearer to each other than {window:,} ms of real time."
    return ""


def _ms(timers: tuple[int, ...]) -> str:
    return ", ".join(f"{ms:,}" for ms in timers) + " ms"
