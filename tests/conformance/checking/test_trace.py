"""What breaks the model without a hardening rule, run on our real implementations: they withstand it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from conformance.campaign import replay
from conformance.case import run_case
from conformance.cast import Cast
from conformance.checking.backend import NoTrace
from conformance.checking.trace import path_to_purpose, recorder
from conformance.purpose import Purpose
from conformance.targets.reference import ReferenceTarget
from model.explore import explore
from model.profile import HARDENED, PROFILES
from model.system.base import System
from model.system.build import build
from model.system.outcome import Answer, Finding, PathStep
from model.system.scopes import SCOPES
from model.verdict import Verdict
from model.walk import walk

ELF = Path(__file__).parents[3] / "build/firmware/controller.elf"
WALKED, EXPLORED = 1_000, None
"""How many states the plain engine looks at, which needs no compiler; what lies deeper is explored."""

ROWS = {
    "frm_1": ("reader", "magic-begins-a-frame", WALKED),
    "frm_2": ("oversize", "same-bytes-or-nothing", WALKED),
    "frm_5": ("failures", "faa-always-passes", 50),
    "crt_5": ("failures", "no-fatal-error", 800),
    "crt_7": ("unregistered-device", "authentic", 200),
    "crt_7 ": ("unregistered-pair", "all-delivered", WALKED),
    "ses_7": ("records", "timers-armed", 100),
    "ses_8": ("records", "same-bytes-or-nothing", 200),
    "ses_9": ("pair", "all-delivered", WALKED),
    "reg_1": ("fleet", "registered-is-known", 1_600),
    "reg_3": ("registration", "no-needless-timeout", EXPLORED),
    "reg_4": ("half-frame", "one-answer", 1_600),
    "reg_4 ": ("failures", "one-answer", 50),
    "reg_5": ("registration", "registration-is-granted", EXPLORED),
    "reg_7": ("half-frame", "no-needless-timeout", EXPLORED),
    "adv_1": ("unregistered-device", "cpu-first", 400),
    "adv_3": ("power-cycles", "delivered-at-most-once", EXPLORED),
}
"""Per hardening rule, a blank behind it for its second row: scope, property, states to look at."""


@cache
def found(row: str) -> tuple[System, Answer]:
    """The shortest counterexample without a rule."""
    scope, name, limit = ROWS[row]
    system = build(SCOPES[scope], HARDENED.without(row.strip()))
    outcome = walk(system, limit=limit, properties=(name,)) if limit else None
    if outcome is None or outcome.answer(name).finding is not Finding.FALSE:
        outcome = explore(system, jobs=1, properties=[name])
    answer = outcome.answer(name)
    assert answer.finding is Finding.FALSE and answer.path
    return system, answer


def followed(scope: str, name: str, actions: Sequence[str], flag: str = "") -> tuple[System, Answer]:
    """A path by the beginnings of its actions' names, each of which the system must allow there."""
    system = build(SCOPES[scope], HARDENED.without(flag) if flag else PROFILES["historic"])
    state, path = system.initial, []
    for wanted in actions:
        after = {system.actions[n].name: values for n, values in system.successors(state)}
        taken = next((a for a in after if a.startswith(wanted)), None)
        assert taken is not None, (wanted, list(after))
        state = after[taken]
        path.append(PathStep(taken, state))
    return system, Answer(name, Finding.FALSE, path=tuple(path))


def steps(purpose: Purpose) -> list[str]:
    return [str(step) for step in purpose.steps]


def passes(purpose: Purpose) -> bool:
    return run_case(purpose, ReferenceTarget, profile="hardened", seed=0).result.verdict is Verdict.PASS


# --- every hardening rule --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS)
def test_reference_and_firmware_withstand_what_breaks_the_model_without_a_rule(row: str, tmp_path: Path) -> None:
    system, answer = found(row)
    name = recorder(tmp_path)(system, answer, row.strip())
    assert name == f"{row.strip()}-{system.name}-{answer.property}.jsonl"
    header = json.loads((tmp_path / name).read_text("utf-8").splitlines()[0])
    assert (header["profile"], header["seed"], header["target"]) == ("hardened", 0, "reference")
    for target, firmware in (("reference", None), ("qemu", ELF)):
        again = tmp_path / target
        again.mkdir()
        result = replay(tmp_path / name, target=target, firmware=firmware, out=again)
        assert result.verdict is Verdict.PASS, (target, result.reason)


def test_a_failure_inside_a_controller_has_no_trace(tmp_path: Path) -> None:
    system, answer = followed("failures", "one-session", ["3.SES-11.start"], "ses_11")
    with pytest.raises(NoTrace, match=r"^An own failure inside the controller cannot be caused from outside\.$"):
        recorder(tmp_path)(system, answer, "ses_11")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("row", ["controller", "another"])
def test_what_is_no_system_of_devices_has_no_trace(row: str) -> None:
    system = build(SCOPES["controller"], HARDENED.without("ses_7"))
    answer = walk(system, limit=100, properties=("timers-armed",)).answer("timers-armed")
    other = System("another", system.variables, system.actions, system.properties)
    with pytest.raises(NoTrace, match=row):
        path_to_purpose(system if row == "controller" else other, answer)


# --- what becomes of the environment's actions -----------------------------------------------------------------------


def test_bytes_reach_the_radio_and_a_frame_after_them_must_be_found() -> None:
    actions = ["reader.FRM-1.look('S')", "reader.FRM-1.look('C')", "reader.FRM-1.header", "reader.FRM-1.end('C')"]
    system, answer = followed("reader", "magic-is-found", [*actions, "reader.FRM-1.look(another"], "frm_1")
    purpose = path_to_purpose(system, answer)
    assert steps(purpose)[0] == "inject link=radio raw=5343" + "020005000100" + "43" + "00"
    assert passes(purpose)
    without_payload = followed("reader", "magic-is-found", [*actions[:2], "reader.FRM-1.end"], "frm_1")
    assert steps(path_to_purpose(*without_payload))[0] == "inject link=radio raw=5343" + "020005000000"


def test_frames_that_cross_are_delayed_and_those_that_get_lost_are_lost() -> None:
    actions = [
        "3.SES-2.open",
        "3.lost(flight 1)",
        "time.",
        "3.DTL-6.resend",
        "4.SES-2.open",
        "3.SES-5.hello",
        "4.SES-6.verify",
    ]
    system, answer = followed("records", "idle-again", actions, "ses_7")
    purpose = path_to_purpose(system, answer)
    assert purpose.iut == 4 and [p.id for p in purpose.peers] == [3]
    assert steps(purpose)[4:] == [
        "lose flight=1 by=3 nth=1",
        "send by=3 to=4 size=979",
        "delay flight=1 by=3 nth=1 ms=1",
        "wait ms=7000",
        "send by=4 to=3 size=979",
        "wait ms=1",
        "wait until=idle",
        "expect what=rest",
    ]
    assert passes(purpose)


def test_a_close_notify_overtakes_the_records() -> None:
    assert "\n".join(steps(path_to_purpose(*found("ses_8")))).count("delay record=data by=3 nth=1 ms=1") == 2


SESSION = ["4.SES-2.open", "3.SES-6.verify", "4.DTL-3.cookie", "3.SES-3.open", "4.SES-2.keys", "3.SES-3.finish"]
SESSION += ["4.SES-2.write", "3.SES-3.collect", "3.SES-3.deliver"]


def after_a_power_cycle() -> Purpose:
    actions = [*SESSION, "3.ADV-3.boot", "3.SES-3.open(hello-cookie recorded"]
    return path_to_purpose(*followed("power-cycles", "delivered-at-most-once", actions, "adv_3"), "adv_3")


def test_a_recorded_session_comes_again_after_a_power_cycle() -> None:
    purpose = after_a_power_cycle()
    assert steps(purpose)[:3] == ["send by=4 to=3 size=16", "boot by=3", "replay of=4"]
    assert passes(purpose)


def test_without_a_new_boot_seed_the_recorded_message_is_delivered_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Cast._image
    monkeypatch.setattr(Cast, "_image", lambda cast, sed, boots: image(cast, sed, 0))
    result = run_case(after_a_power_cycle(), ReferenceTarget, profile="hardened", seed=0).result
    assert result.verdict is Verdict.FAIL
    assert result.reason == "The IUT said to its CPU a message of 16 B from 4, again. Asked for: nothing."


def test_the_adversary_speaks_for_a_sed_with_its_own_certificate_as_far_as_the_path_goes() -> None:
    system, answer = found("crt_7")
    purpose = path_to_purpose(system, answer, "crt_7")
    assert [(p.id, p.credentials, p.name) for p in purpose.peers] == [(4, "wrong-name", 5)]
    assert steps(purpose)[0] == "send by=4 to=3 size=0"
    assert steps(path_to_purpose(*found("adv_1"), "adv_1"))[:3] == [
        "lose flight=5 by=4 nth=1 times=1000",
        "send by=4 to=3 size=0",
        "send by=3 to=4 size=16",
    ]


def test_the_adversary_begins_anew_after_a_power_cycle_of_its_own() -> None:
    hello = "3.SES-3.open(hello-cookie spoofed from 4"
    actions = [hello, "3.CRT-7.reject(certificate of 5 as client", hello, "time.", "3.DTL-6.resend"]
    purpose = path_to_purpose(*followed("unregistered-device", "authentic", actions, "frm_1"))
    assert [s for s in steps(purpose) if not s.startswith("lose")][:3] == [
        "send by=4 to=3 size=0",
        "boot by=4",
        "send by=4 to=3 size=0",
    ]
    assert passes(purpose)


def test_the_sss_answers_as_the_path_says_when_the_request_reaches_it() -> None:
    system, answer = found("crt_5")
    assert steps(path_to_purpose(system, answer))[:3] == [
        "delay record=data by=3 nth=1 ms=1",
        "register by=3",
        "respond response=bad-key",
    ]


@pytest.mark.parametrize(
    ("scope", "name", "actions", "reason"),
    [
        ("wire", "authentic", ["3.SES-4.open", "1.REG-7.open(hello-cookie spoofed"], "speaks to the SSS on another"),
        ("deregistered-device", "cpu-first", ["3.SES-3.open(hello-cookie spoofed from 4", "time."], "coarser"),
        (
            "unregistered-device",
            "authentic",
            ["4.SES-2.open", "3.SES-3.open(hello-cookie spoofed from 4"],
            "SED 4 and the adversary in its name",
        ),
        (
            "deregistered-device",
            "authentic",
            [
                "3.SES-3.open(hello-cookie spoofed from 4",
                "3.CRT-7.reject(certificate of 5 as client (runtime)",
            ],
            "runtime set of an earlier registration",
        ),
        ("radio", "authentic", ["3.SES-7.junk", "4.SES-7.junk"], "several SEDs"),
    ],
)
def test_what_nobody_in_a_purpose_can_do_is_said(scope: str, name: str, actions: list[str], reason: str) -> None:
    system = build(SCOPES[scope], PROFILES["historic"])
    properties = [p.name for p in system.properties]
    system, answer = followed(scope, name if name in properties else properties[0], actions)
    with pytest.raises(NoTrace, match=reason):
        path_to_purpose(system, answer)


def test_a_reference_that_fails_is_an_error_and_not_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image: Callable[..., bytes] = Cast._image
    monkeypatch.setattr(Cast, "_image", lambda cast, sed, boots: image(cast, sed, 0))
    actions = [*SESSION, "3.ADV-3.boot", "3.SES-3.open(hello-cookie recorded"]
    system, answer = followed("power-cycles", "delivered-at-most-once", actions, "adv_3")
    with pytest.raises(RuntimeError, match="the reference does not pass adv_3-power-cycles-delivered-at-most-once"):
        recorder(tmp_path)(system, answer, "adv_3")
