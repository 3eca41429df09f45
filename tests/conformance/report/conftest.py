"""A report with a case of each verdict, made by hand."""

from __future__ import annotations

from copy import deepcopy

import pytest

from conformance.results import CaseResult, Divergence, LadderFrame, Report
from model.verdict import Verdict

LADDER = [
    LadderFrame(0, 1, "cpu", 0, 10, "message for 11, 16 B", 16),
    LadderFrame(0, 1, "radio", 10, 11, "ClientHello", 142),
    LadderFrame(0, 2, "radio", 11, 10, "HelloVerifyRequest", 60),
    LadderFrame(0, 2, "radio", 10, 11, "ClientHello with cookie", 174, fate="lost"),
    LadderFrame(7_000, 3, "radio", 10, 11, "ClientHello with cookie", 174, note="retransmission"),
    LadderFrame(7_000, 4, "radio", 11, 10, "flight 4 (1 of 2)", 980),
    LadderFrame(7_000, 4, "radio", 11, 10, "flight 4 (2 of 2)", 310, fate="duplicate"),
    LadderFrame(7_000, 5, "radio", 10, 11, "flight 5 (1 of 2)", 990),
    LadderFrame(7_000, 5, "radio", 10, 11, "flight 5 (2 of 2)", 410),
    LadderFrame(7_200, 6, "radio", 12, 10, "alert", 15, fate="injected"),
    LadderFrame(7_300, 7, "sss", 1, 10, "ServerHello", 99),
    LadderFrame(7_300, 7, "radio", 2, 0, "FAA, 16 B", 16),
    LadderFrame(7_300, 7, "cpu", 10, 0, "FAA, 16 B", 16),
    LadderFrame(7_400, 8, "radio", 10, 11, "alert", 15),
]
DIVERGENCE = Divergence(
    step=8,
    time=7_400,
    stimulus="forged(source=11)",
    observed=["alert(to=11)"],
    allowed=[[], ["hello(to=11)", "faa-cpu(size=16, intact=1)"]],
    observed_deadline=None,
    allowed_deadlines=[7_000, 14_000, 7_000],
    rules=["ignore-forged"],
    requirements=["SES-12", "XYZ-1"],
    explanation="The controller ended the session although nothing authenticated.",
)
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def make_case(name: str, verdict: Verdict, requirements: list[str], reason: str = "", **more: object) -> CaseResult:
    """A case with a ladder, a trace and a capture; `more` replaces fields."""
    fields: dict[str, object] = {
        "case": name,
        "title": f"Title of {name}",
        "about": f"What {name} is for.",
        "iut": 10,
        "target": "reference",
        "profile": "hardened",
        "requirements": requirements,
        "verdict": verdict,
        "reason": reason,
        "virtual_ms": 28_000,
        "wall_s": 0.83,
        "steps": 12,
        "ladder": LADDER[:9],
        "trace": f"{name}.jsonl",
        "capture": f"{name}.pcapng",
        "reproduce": f"scewl conform {name} --target reference --seed 7",
    }
    return CaseResult(**(fields | more))  # type: ignore[arg-type]  # the fields are checked by the tests that read them


@pytest.fixture
def report() -> Report:
    cases = [
        make_case("register-then-send", Verdict.PASS, ["REG-4", "CRT-5", "SES-4"]),
        make_case(
            "glare-lower-yields",
            Verdict.FAIL,
            ["SES-9", "SES-12"],
            "At step 8 the IUT did what no rule allows.",
            divergence=deepcopy(DIVERGENCE),
            ladder=LADDER,
            evidence=["scewl: session 11 closed", HOSTILE, "r0 \x00\x1b[31m  r1   2"],
        ),
        make_case("loss-flight-5", Verdict.PASS, ["DTL-6"], virtual_ms=165_000, wall_s=2.1),
        make_case("faa-while-busy", Verdict.INCONCLUSIVE, ["FRM-5"], "No session was under way."),
        make_case("qemu-gone", Verdict.ERROR, ["SES-7"], "QEMU is not installed.", ladder=[], evidence=["exit 127"]),
    ]
    firmware = {"path": "controller.elf", "sha256": "ab" * 32, "text": 181_234}
    return Report("scewl conform --seed 7", "reference", "hardened", 7, firmware, cases)
