"""What a run leaves behind: the case results in `report.json`, and the lines of a trace.

Everything a person reads (console, JUnit, HTML, ladders) is made from these, and from nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model.verdict import Verdict

REPORT_VERSION = 1
KNOWN, STALE = "KNOWN", "STALE"
"""A case with a known deviation: as it is known, or not any more."""


@dataclass(slots=True)
class LadderFrame:
    """One frame as a ladder shows it. Ids are SCEWL ids; the IUT's CPU is written as id 0."""

    time: int
    """Virtual milliseconds since boot."""
    step: int
    """Index of the step in which it moved."""
    link: str
    """`radio`, `sss` or `cpu`."""
    source: int
    target: int
    label: str
    """What it is, in the field's terms: `ClientHello`, `flight 4 (2 of 2)`, `data #3, 963 B`, `FAA, 16 B`."""
    size: int
    """Payload bytes."""
    fate: str = "delivered"
    """`delivered`, `lost`, `delayed`, `duplicate`, `cut`, `injected` or `altered`."""
    note: str = ""


_LADDER = tuple(LadderFrame.__dataclass_fields__)


@dataclass(slots=True)
class Divergence:
    """Where an IUT first did what no rule allows."""

    step: int
    time: int
    stimulus: str
    observed: list[str]
    """The outputs that came, in the order of their links."""
    allowed: list[list[str]]
    """The output lists that the rules allow, one per possibility."""
    observed_deadline: int | None
    allowed_deadlines: list[int | None]
    rules: list[str]
    """Ids of the model's rules that applied."""
    requirements: list[str]
    """Rule ids of the protocol page that were broken, the most specific first."""
    explanation: str
    """One or two sentences."""


@dataclass(slots=True)
class CaseResult:
    """One purpose run against one target."""

    case: str
    """Id of the purpose; unique in a run."""
    title: str
    about: str
    """The purpose in a few sentences; may be empty."""
    iut: int
    """SCEWL id of the SED under test."""
    target: str
    profile: str
    requirements: list[str]
    verdict: Verdict
    reason: str
    """One sentence; empty on PASS."""
    virtual_ms: int
    wall_s: float
    steps: int
    divergence: Divergence | None = None
    ladder: list[LadderFrame] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    """Last frames, debug channel, register dump: on FAIL and ERROR."""
    trace: str = ""
    """File name of the trace, relative to report.json."""
    capture: str = ""
    """File name of the pcapng, relative to report.json."""
    rules: dict[str, int] = field(default_factory=dict)
    """The model's rules that were taken, each with the number of the capture's first frame with which it was; 0 if no
    frame moved then."""
    met: list[str] = field(default_factory=list)
    """`IDLE hello-cookie`: events, each with a state of the model in which it came."""
    shown: int = 0
    """The frame of the capture that shows the peer's deviation from DTLS; 0 if the purpose has none."""
    reproduce: str = ""
    """A command line to copy and paste."""
    expected: str = ""
    """The verdict that a known deviation of the IUT names for this case; empty if none does."""
    known: str = ""
    """The comment of that known deviation."""

    @property
    def standing(self) -> str:
        """The verdict's name; KNOWN if it is the one that a known deviation names, STALE if it is PASS instead."""
        if self.expected and self.verdict.name == self.expected:
            return KNOWN
        return STALE if self.expected and self.verdict is Verdict.PASS else self.verdict.name

    @property
    def counted(self) -> Verdict:
        """What the case contributes to the run's verdict: a known deviation fails no run, a stale entry does."""
        return {KNOWN: Verdict.PASS, STALE: Verdict.FAIL}.get(self.standing, self.verdict)

    def to_data(self) -> dict[str, Any]:
        """As JSON has it."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {
            "verdict": self.verdict.name,
            "divergence": asdict(self.divergence) if self.divergence else None,
            "ladder": [{name: getattr(frame, name) for name in _LADDER} for frame in self.ladder],
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> CaseResult:
        """The other way round. Raises KeyError, TypeError or AttributeError if it is not one."""
        divergence = Divergence(**data["divergence"]) if data["divergence"] else None
        ladder = [LadderFrame(**frame) for frame in data["ladder"]]
        return cls(**{**data, "verdict": Verdict[data["verdict"]], "ladder": ladder, "divergence": divergence})


@dataclass(slots=True)
class Report:
    """A run of `scewl conform`."""

    command: str
    target: str
    profile: str
    seed: int
    firmware: dict[str, Any] = field(default_factory=dict)
    """For a firmware: `path`, `sha256`, and sizes where known."""
    cases: list[CaseResult] = field(default_factory=list)
    version: int = REPORT_VERSION

    @property
    def verdict(self) -> Verdict:
        """The worst that a case contributes; INCONCLUSIVE when there are none, SKIPPED when all were."""
        return max((c.counted for c in self.cases), default=Verdict.INCONCLUSIVE)

    def to_json(self) -> str:
        """The text of `report.json`: a line for each case, the same for the same results."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "cases"}
        data["verdict"] = self.verdict.name
        cases = ",\n".join(json.dumps(case.to_data(), sort_keys=True) for case in self.cases)
        head = json.dumps(data, sort_keys=True)
        return f'{head[:-1]}, "cases": [\n{cases}\n]}}\n'

    @classmethod
    def load(cls, path: Path) -> Report:
        """Read `report.json`. Raises ValueError with the reason if it is not one."""
        try:
            data = json.loads(path.read_text("utf-8"))
            if data.pop("version") != REPORT_VERSION:
                raise ValueError("another version")
            data.pop("verdict")
            return cls(cases=[CaseResult.from_data(case) for case in data.pop("cases")], **data)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is not a report of this version: {error}") from error
