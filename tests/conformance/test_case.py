"""Purposes run on the reference: all pass, traces are the same each time, and wrong controllers are caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.campaign import load_purposes, replay, run_campaign
from conformance.case import Case, run_case
from conformance.cast import Cast, SssNode
from conformance.judge import Diverged
from conformance.purpose import Purpose, parse
from conformance.results import CaseResult, Report
from conformance.steps import Steps, Unreached
from conformance.targets.base import HarnessError, IutFault, Reaction
from conformance.targets.reference import ReferenceTarget
from conformance.wire.frames import Frame
from model.alphabet import Link
from model.verdict import Verdict
from reference.sss import Sss

PURPOSES = {p.id: p for p in load_purposes() if not p.scripted}


class Altered(ReferenceTarget):
    """A reference whose reactions are changed on the way out."""

    def __init__(self, alter: Callable[[Reaction], Reaction]) -> None:
        super().__init__()
        self._alter = alter

    def send(self, link: Link, data: bytes) -> Reaction:
        return self._alter(super().send(link, data))

    def advance(self, ms: int) -> Reaction:
        return self._alter(super().advance(ms))


def judged(name: str, alter: Callable[[Reaction], Reaction]) -> CaseResult:
    return run_case(PURPOSES[name], lambda: Altered(alter), profile="hardened", seed=0).result


@pytest.mark.parametrize("purpose", PURPOSES.values(), ids=PURPOSES)
def test_the_reference_passes(purpose: Purpose) -> None:
    outcome = run_case(purpose, ReferenceTarget, profile="hardened", seed=0)
    assert outcome.result.verdict is Verdict.PASS, outcome.result.reason
    assert run_case(purpose, ReferenceTarget, profile="hardened", seed=0).trace == outcome.trace


def test_a_capture_says_of_each_frame_what_the_model_made_of_it() -> None:
    outcome = run_case(PURPOSES["lost-flight-5"], ReferenceTarget, profile="hardened", seed=0)
    first, again = (f.comment for f in outcome.frames[5:7])
    assert first.startswith("step 3: Certificate, ClientKeyExchange, CertificateVerify, CCS, Finished")
    assert "; rules: CRT-7.accept, SES-2.keys; SENDING_MESSAGE/KEYS with 11 (" in first
    assert "retransmission" not in first and again.endswith("; retransmission of frame 6")
    assert [f.number for f in outcome.frames] == list(range(1, len(outcome.frames) + 1))


def test_a_frame_that_comes_in_halves_is_in_the_capture() -> None:
    outcome = run_case(PURPOSES["preempt-half-read"], ReferenceTarget, profile="hardened", seed=0)
    (request,) = (f for f in outcome.frames if f.link is Link.CPU and f.towards)
    assert len(request.frame) == 8 + 4


def test_another_seed_gives_another_trace_and_the_same_verdict() -> None:
    one, other = (run_case(PURPOSES["registered-16"], ReferenceTarget, profile="hardened", seed=s) for s in (0, 1))
    assert one.trace != other.trace
    assert one.result.verdict is other.result.verdict is Verdict.PASS


def test_the_historic_profile_judges_otherwise() -> None:
    result = run_case(PURPOSES["close-lost"], ReferenceTarget, profile="historic", seed=0).result
    assert result.verdict is Verdict.FAIL


class TestCaught:
    """What an IUT must not do, and what the report says then."""

    def test_a_frame_too_few(self) -> None:
        result = judged("unregistered-16", lambda r: replace(r, chunks=r.chunks[:-1]))
        assert result.verdict is Verdict.FAIL
        assert result.divergence is not None
        assert result.divergence.observed == []
        assert result.divergence.allowed == [["hello(to=11)"]]
        assert "SES-2" in result.divergence.requirements
        assert result.ladder[-1].label == "message, 16 B"

    def test_a_frame_twice(self) -> None:
        result = judged("deregister-unregistered", lambda r: replace(r, chunks=r.chunks + r.chunks[-1:]))
        assert result.verdict is Verdict.FAIL

    def test_a_changed_byte_of_a_delivered_message(self) -> None:
        def alter(reaction: Reaction) -> Reaction:
            changed = tuple(
                (link, data[:-1] + bytes([data[-1] ^ 1]) if link is Link.CPU else data)
                for link, data in reaction.chunks
            )
            return replace(reaction, chunks=changed)

        result = judged("unregistered-16", alter)
        assert result.divergence is not None
        assert "deliver(source=11, size=16, intact=0)" in result.divergence.observed
        assert "SES-8" in result.divergence.requirements

    def test_a_late_timer(self) -> None:
        result = judged("absent-peer", lambda r: replace(r, deadline=r.deadline + 1 if r.deadline else None))
        assert result.divergence is not None
        assert result.divergence.requirements == ["DTL-6"]
        assert result.divergence.observed_deadline == 7_001
        assert result.divergence.allowed_deadlines == [7_000]

    def test_a_timer_that_is_armed_for_nothing(self) -> None:
        result = judged("deregister-unregistered", lambda r: replace(r, deadline=r.deadline or r.now + 5))
        assert result.divergence is not None
        assert result.divergence.requirements == ["SES-1"]

    def test_bytes_that_are_no_frame(self) -> None:
        result = judged("register", lambda r: replace(r, chunks=((Link.CPU, b"hello"), *r.chunks)))
        assert result.divergence is not None
        assert "unknown(link=2)" in result.divergence.observed

    def test_half_a_frame(self) -> None:
        result = judged("register", lambda r: replace(r, chunks=(*r.chunks, (Link.CPU, b"SC\x0a"))))
        assert result.divergence is not None
        assert "unknown(link=2)" in result.divergence.observed

    def test_a_fatal_error_on_the_debug_channel(self) -> None:
        result = judged("register", lambda r: replace(r, debug=("scewl: fatal: rng",)))
        assert result.divergence is not None
        assert result.divergence.requirements == ["SES-12"]

    def test_a_fault_of_the_iut_with_its_evidence(self) -> None:
        def broken(_: Reaction) -> Reaction:
            raise IutFault("lockup", ["r0=0"])

        result = judged("register", broken)
        assert (result.verdict, result.reason) == (Verdict.FAIL, "The IUT broke: lockup")
        assert result.evidence[0] == "r0=0"

    def test_a_timer_in_the_past(self) -> None:
        result = judged("absent-peer", lambda r: replace(r, deadline=0))
        assert result.verdict is Verdict.FAIL


def test_a_fault_of_ours_is_an_error() -> None:
    def none() -> ReferenceTarget:
        raise HarnessError("no firmware at x", ["look there"])

    result = run_case(PURPOSES["register"], none, profile="hardened", seed=0).result
    assert (result.verdict, result.reason, result.evidence) == (Verdict.ERROR, "no firmware at x", ["look there"])


def test_a_purpose_that_is_not_reached_is_inconclusive() -> None:
    steps = [{"do": "send", "to": 12, "size": 1}, {"do": "expect", "what": "answer"}]
    purpose = parse("p", {"title": "t", "requirements": ["SES-2"], "steps": steps})
    result = run_case(purpose, ReferenceTarget, profile="hardened", seed=0).result
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.reason == "Step 2 (expect what=answer): the CPU of 10 (the IUT) got nothing."


def test_what_nobody_expected_is_inconclusive() -> None:
    purpose = parse("p", {"title": "t", "requirements": ["SES-4"], "steps": [{"do": "register"}]})
    result = run_case(purpose, ReferenceTarget, profile="hardened", seed=0).result
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "an answer (dev 10, op 0)" in result.reason


class TestWhatGoesWrongAround:
    """Power cycles, restarts, half frames: what the purposes about them would say of devices that do not stand it."""

    def result(self, name: str, make: Callable[[], ReferenceTarget] = ReferenceTarget) -> CaseResult:
        return run_case(PURPOSES[name], make, profile="hardened", seed=0).result

    def test_an_iut_that_keeps_its_session_over_a_power_cycle(self) -> None:
        class Buffered(ReferenceTarget):
            def boot(self, image: bytes) -> Reaction:
                if self._controller is None:
                    return super().boot(image)
                return Reaction(0, self.controller.deadline())

        result = self.result("power-cycle", Buffered)
        assert result.verdict is Verdict.FAIL
        assert result.divergence is not None
        assert (result.divergence.stimulus, result.divergence.observed_deadline) == ("boot", 8_000)

    def test_an_iut_that_draws_the_same_randomness_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        image = Cast._image
        monkeypatch.setattr(Cast, "_image", lambda cast, sed, boots: image(cast, sed, 0))
        result = self.result("power-cycle")
        assert result.verdict is Verdict.FAIL
        assert result.reason == "The IUT said to its CPU a message of 16 B from 11, again. Asked for: nothing."

    def test_a_deadline_after_a_power_cycle_counts_from_there(self) -> None:
        steps = [{"do": "wait", "ms": 500}, {"do": "boot"}, {"do": "send", "to": 12, "size": 1}]
        purpose = parse("p", {"title": "t", "requirements": ["ADV-3"], "steps": steps})
        outcome = run_case(purpose, ReferenceTarget, profile="hardened", seed=0)
        assert outcome.result.verdict is Verdict.PASS
        lines = [json.loads(line) for line in outcome.trace.splitlines()[1:-1]]
        assert [(line["t"], line["deadline"]) for line in lines[2:5]] == [(500, None), (500, 7_500), (7_500, 21_500)]

    def test_an_sss_that_forgets_its_ca(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def restart(node: SssNode, boots: int) -> None:
            node._sss = node._connected(node._start(boots, None))

        monkeypatch.setattr(SssNode, "restart", restart)
        assert self.result("sss-restart").verdict is not Verdict.PASS

    def test_an_sss_with_one_reader_for_all_wires(self, monkeypatch: pytest.MonkeyPatch) -> None:
        receive = Sss.receive
        monkeypatch.setattr(Sss, "receive", lambda sss, wire, data, now: receive(sss, 0, data, now))
        result = self.result("half-frame")
        assert result.verdict is Verdict.INCONCLUSIVE
        assert self.result("register").verdict is Verdict.PASS

    def test_a_response_that_changes_must_change(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Steps, "_do_respond", lambda case, response: None)
        assert self.result("response-changes").verdict is Verdict.INCONCLUSIVE


class TestTheRest:
    """`expect what="rest"`."""

    def case(self) -> Case:
        steps = [{"do": "send", "to": 11, "size": 5}, {"do": "register"}]
        document = {"title": "t", "requirements": ["SES-2"], "peers": [{"id": 11}], "steps": steps}
        return Case(parse("p", document), ReferenceTarget(), profile="hardened", seed=0)

    def test_messages_and_answers_may_have_come(self) -> None:
        case = self.case()
        with pytest.raises(Unreached, match="does not expect"):
            case._play()
        case.steps._do_expect("rest")
        assert not any(case.lab.inbox.values())

    @pytest.mark.parametrize("told", ["a message of 5 B from 10", "op 7"])
    def test_nothing_else_may(self, told: str) -> None:
        case = self.case()
        with pytest.raises(Unreached):
            case._play()
        twice = case.lab.inbox[11][0]
        case.lab.inbox[11] = [twice, Frame(11, 1, bytes([11, 0, 7, 0])) if told == "op 7" else twice]
        with pytest.raises(Unreached, match=f"the CPU of 11 got .*{told}.*, which nobody gave for it"):
            case.steps._do_expect("rest")

    def test_a_message_that_was_expected_before_is_one_too_many(self) -> None:
        steps = [
            {"do": "send", "by": 11, "to": 10, "size": 5},
            {"do": "expect", "what": "message", "at": 10, "from": 11, "size": 5},
        ]
        document = {"title": "t", "requirements": ["SES-2"], "peers": [{"id": 11}], "steps": steps}
        case = Case(parse("p", document), ReferenceTarget(), profile="hardened", seed=0)
        case._play()
        ((_, _, payload),) = case.steps._sent
        for what in ("nothing", "rest", "message"):
            case.lab.inbox[10] = [Frame(10, 11, payload)]
            with pytest.raises(Diverged, match="to its CPU a message of 5 B from 11, again"):
                case.steps._do_expect(what)


def run_some(out: Path, names: list[str], jobs: int) -> tuple[Report, list[str]]:
    heard: list[str] = []
    report = run_campaign(
        [PURPOSES[n] for n in names],
        target="reference",
        firmware=None,
        profile="hardened",
        seed=3,
        out=out,
        jobs=jobs,
        progress=lambda done, total, case: heard.append(f"{done}/{total} {case.case}"),
    )
    return report, heard


def test_a_campaign_leaves_traces_captures_and_the_same_report_whatever_the_jobs(tmp_path: Path) -> None:
    names = ["registered-16", "absent-peer", "register"]
    reports = []
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        out.mkdir()
        report, heard = run_some(out, names, jobs)
        assert sorted(h.split()[1] for h in heard) == sorted(names)
        assert [h.split()[0] for h in heard] == ["1/3", "2/3", "3/3"]
        assert [c.case for c in report.cases] == names
        assert report.verdict is Verdict.PASS
        for case in report.cases:
            assert (out / case.capture).stat().st_size > 100
            lines = [json.loads(line) for line in (out / case.trace).read_text().splitlines()]
            assert lines[0]["trace"] == 1
            assert lines[-1]["verdict"] == "PASS"
            assert [s["n"] for s in lines[1:-1]] == list(range(case.steps))
            case.wall_s = 0
        reports.append(report.to_json())
    assert reports[0] == reports[1]
    for name in names:
        for suffix in ("jsonl", "pcapng"):
            one, other = (tmp_path / d / f"{name}.{suffix}" for d in "12")
            assert one.read_bytes() == other.read_bytes()


def test_a_campaign_removes_what_its_predecessor_left_and_nothing_else(tmp_path: Path) -> None:
    report, _ = run_some(tmp_path, ["register", "absent-peer"], 1)
    (tmp_path / "report.json").write_text(report.to_json())
    (tmp_path / "mine.jsonl").write_text("keep")
    run_some(tmp_path, ["register"], 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "mine.jsonl",
        "register.jsonl",
        "register.pcapng",
        "report.json",
    ]


def test_a_bug_of_ours_costs_its_case_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: ReferenceTarget, image: bytes) -> Reaction:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(ReferenceTarget, "boot", broken)
    report, heard = run_some(tmp_path, ["register", "absent-peer"], 1)
    assert len(heard) == 2
    assert [c.verdict for c in report.cases] == [Verdict.ERROR] * 2
    assert report.cases[0].reason == "internal error: ZeroDivisionError: ours"
    assert any("in broken" in line for line in report.cases[0].evidence)


def test_a_trace_is_replayed_byte_for_byte(tmp_path: Path) -> None:
    run_some(tmp_path, ["glare-lower"], 1)
    again = tmp_path / "again"
    again.mkdir()
    result = replay(tmp_path / "glare-lower.jsonl", target=None, firmware=None, out=again)
    assert result.verdict is Verdict.PASS
    assert (again / "glare-lower.jsonl").read_bytes() == (tmp_path / "glare-lower.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not a trace"),
        ("{}\n", "not a trace of version 1"),
        ('{"trace": 2}\n', "not a trace of version 1"),
        ('{"trace": 1}\n', "does not describe a run"),
        (
            '{"trace":1,"case":"x","purpose":{},"target":"qemu","profile":"hardened","seed":0}\n',
            "does not describe a run",
        ),
        ("\x00\xff", "not a trace"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text, "latin-1")
    with pytest.raises(HarnessError, match=told):
        replay(path, target=None, firmware=None, out=tmp_path)
    with pytest.raises(HarnessError, match="No such file"):
        replay(tmp_path / "none", target=None, firmware=None, out=tmp_path)
