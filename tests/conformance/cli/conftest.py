"""The program run in this process, with a campaign that runs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conformance.cli import main
from conformance.iut import Iut
from conformance.purpose import Purpose
from conformance.results import CaseResult, LadderFrame, Report
from model.verdict import Verdict

PURPOSES = [
    Purpose("glare-higher-waits", "Glare: the higher id waits", ("SES-9",), "", ()),
    Purpose("glare-lower-yields", "Glare: the lower id yields", ("SES-9", "ADV-1"), "", ()),
    Purpose("register", "Register", ("REG-4",), "", ()),
]


@dataclass
class Campaign:
    """Stands in for `conformance.campaign`: gives the verdicts that it was told, and keeps what it was asked."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    error: BaseException | None = None
    """Raised once `before` cases are done."""
    before: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)

    def load_purposes(self) -> list[Purpose]:
        return list(PURPOSES)

    def run_campaign(
        self,
        purposes: Sequence[Purpose],
        *,
        target: str,
        firmware: Path | None,
        profile: str,
        seed: int,
        out: Path,
        jobs: int,
        progress: Callable[[int, int, CaseResult], None],
        suite: Path | None = None,
        cold: bool = False,
        real_time: bool = False,
        engine: object = None,
        resumed: Callable[[Sequence[CaseResult]], None] | None = None,
        iut: Iut | None = None,
    ) -> Report:
        assert out.is_dir() and suite is None
        self.asked.append({"target": target, "firmware": firmware, "profile": profile, "seed": seed, "jobs": jobs})
        cases: list[CaseResult] = []
        if resumed is not None:
            cases.append(self.case(purposes[0].id))
            resumed(cases)
        for purpose in purposes[len(cases) :]:
            if self.error is not None and len(cases) == self.before:
                raise self.error
            cases.append(self.case(purpose.id))
            progress(len(cases), len(purposes), cases[-1])
        return Report("", target, profile, seed, cases=cases)

    def replay(
        self,
        trace: Path,
        *,
        target: str | None,
        firmware: Path | None,
        out: Path,
        iut: Iut | None = None,
        shorter: object = None,
    ) -> CaseResult:
        assert out.is_dir() and iut is None and shorter is None
        self.asked.append({"trace": trace, "target": target, "firmware": firmware})
        if self.error is not None:
            raise self.error
        return self.case(trace.stem)

    def case(self, name: str) -> CaseResult:
        verdict = self.verdicts.get(name, Verdict.PASS)
        return CaseResult(
            case=name,
            title=name.title(),
            about="",
            iut=10,
            target="reference",
            profile="hardened",
            requirements=["SES-9"],
            verdict=verdict,
            reason="" if verdict is Verdict.PASS else "It went wrong.",
            virtual_ms=12,
            wall_s=0.5,
            steps=3,
            ladder=[LadderFrame(0, 0, "cpu", 0, 10, "request: register", 4)],
            trace=f"{name}.jsonl",
            capture=f"{name}.pcapng",
            reproduce=f"scewl conform {name}",
        )


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch) -> Campaign:
    fake = Campaign()
    module = ModuleType("conformance.campaign")
    for name in ("load_purposes", "run_campaign", "replay"):
        setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(sys.modules, "conformance.campaign", module)
    return fake


@dataclass
class Ended:
    """How a call of the program ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def scewl(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def call(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.err or "--debug" in arguments
        return Ended(code, told.out, told.err)

    return call
