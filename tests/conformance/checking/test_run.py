from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from conformance.checking.backend import ENGINES, Backend, NoTrace, Options, bounds_of, load
from conformance.checking.results import CheckReport, Standing
from conformance.checking.run import make_plan, requirement_of, run
from model.profile import HARDENED, Profile
from model.prove import Lemma
from model.system.base import System
from model.system.outcome import Answer, Finding, Outcome
from model.system.scope import Scope as ModelScope
from model.terms import Or
from model.walk import walk


def test_what_is_planned(backend: Backend) -> None:
    plan = make_plan(backend)
    assert [(s.name, e) for s, e in plan.tasks] == [("alone", "explore"), ("pair", "explore")]
    assert (plan.matrix, plan.controller, plan.properties) == (True, True, None)
    plan = make_plan(backend, scopes=["large", "large"], engines=["run", "spin", "explore"])
    assert [(s.name, e) for s, e in plan.tasks] == [("large", "run"), ("large", "explore")]
    assert not plan.matrix
    plan = make_plan(backend, properties=["at-most-once"], matrix=True)
    assert [s.name for s, _ in plan.tasks] == ["pair"]
    assert (plan.matrix, plan.controller, plan.properties) == (True, False, ("at-most-once",))
    assert not make_plan(backend, profile="historic").matrix


def test_what_is_found(report: CheckReport) -> None:
    standings = {p.name: report.standing(p.name) for p in report.properties}
    assert standings == {
        "back-to-idle": Standing.BOUNDED,
        "can-be-idle": Standing.BOUNDED,
        "sends": Standing.BOUNDED,
        "no-fatal": Standing.BOUNDED,
        "armed": Standing.BOUNDED,
        "sss-timer": Standing.VACUOUS,
        "at-most-once": Standing.BOUNDED,
        "registered": Standing.BOUNDED,
        "all-delivered": Standing.FALSE,
    }
    assert [(c.scope, c.engine, c.states, c.exhausted) for c in report.checks] == [
        ("alone", "run", 89, True),
        ("pair", "run", 18, True),
    ]
    assert (report.exit_code, report.missing) == (1, [])
    ((_, answer),) = report.answers("all-delivered")
    assert answer.path is not None and answer.path.loop is not None
    assert sum(1 for p in report.properties if p.name == "sends") == 1


def test_the_compiled_engine_finds_the_same(toys: SimpleNamespace, backend: Backend, report: CheckReport) -> None:
    other = toys.checked(backend, engines=["explore"], matrix=False)
    counts = [[(c.states, c.transitions, c.depth, c.exhausted) for c in r.checks] for r in (other, report)]
    assert counts[0] == counts[1]
    for p in report.properties:
        assert other.standing(p.name) is report.standing(p.name)
    assert [r.scopes for r in other.rules] == [r.scopes for r in report.rules]


def test_spin_finds_the_same_of_what_it_is_asked(toys: SimpleNamespace, report: CheckReport) -> None:
    scopes = {name: replace(toys.SCOPES[name], engines=("run", "spin")) for name in ("alone", "pair")}
    plan = make_plan(Backend(scopes), engines=["spin", "run"])
    other = run(replace(plan, controller=False), Backend(scopes), toys.Notes(), memory=1 << 30)
    spun = [c for c in other.checks if c.engine == "spin"]
    assert [(c.states, c.transitions, c.exhausted) for c in spun] == [(89, 266, True), (18, 54, True)]
    assert {a.property: a.finding for c in spun for a in c.answers} == {
        a.property: a.finding
        for c in report.checks
        for a in c.answers
        if a.property not in ("back-to-idle", "can-be-idle", "registered", "all-delivered")
    }
    assert other.states_looked_at == report.states_looked_at == 107


def test_what_is_proved(toys: SimpleNamespace) -> None:
    """`armed` needs the lemma that a listening receiver's timer runs, which is what is proved with it."""

    def lemmas(profile: Profile) -> tuple[Lemma, ...]:
        return (Lemma("timed", "It runs from the first.", lambda v: Or(v.mode == 0, v.timer > 0)),)

    scope = replace(toys.SCOPES["alone"], engines=("prove",), lemmas=lemmas)
    plan = make_plan(Backend({"alone": scope}), properties=["armed", "no-fatal", "sends"])
    report = run(plan, Backend({"alone": scope}), toys.Notes(), jobs=1)
    (check,) = report.checks
    assert (check.error, check.note, check.states) == ("", "1 of 1 lemmas proved", 0)
    assert [(a.property, a.finding) for a in check.answers] == [
        ("no-fatal", Finding.PROVED),
        ("armed", Finding.PROVED),
    ]
    assert report.rules == []  # nobody counted them
    assert report.standing("armed") is Standing.PROVED and report.standing("sends") is Standing.UNCHECKED


def test_what_hardening_buys(report: CheckReport) -> None:
    rows = {row.flag: row for row in report.matrix}
    assert {flag: row.property for flag, row in rows.items() if row.property} == {
        "ses_7": "armed",
        "ses_8": "at-most-once",
    }
    ses_8 = rows["ses_8"]
    assert (ses_8.requirement, ses_8.scope, ses_8.known) == ("SES-8", "pair", True)
    assert ses_8.path is not None
    assert [step.kind for step in ses_8.path.steps] == ["cpu", "deliver", "replay"]
    assert rows["reg_4"].reason == "Nothing in these scopes depends on it." and rows["reg_4"].known
    assert requirement_of("ses_11") == "SES-11"


def test_what_is_found_of_the_defects(report: CheckReport, historic: CheckReport) -> None:
    rows = [(row.number, row.finding, row.engine, row.steps) for row in historic.defects]
    assert rows == [
        (1, Finding.FALSE, "run", 3),
        (2, Finding.FALSE, "run", 6),
        (3, Finding.FALSE, "run", 2),
        (4, Finding.HOLDS, "run", 0),
        (5, Finding.VACUOUS, "run", 0),
        (6, None, "", 0),  # its scope is none of this run
        (7, None, "", 0),  # it has none
    ]
    assert [row.finding for row in report.defects][:3] == [Finding.HOLDS, Finding.FALSE, Finding.HOLDS]


def test_defects_are_no_matter_of_scopes_that_show_none(toys: SimpleNamespace) -> None:
    defects = [d for d in toys.DEFECTS if d.scope != "alone"]
    assert toys.checked(Backend(toys.SCOPES, defects=defects), scopes=["alone"]).defects == []
    assert len(toys.checked(Backend(toys.SCOPES, defects=defects), scopes=["pair"]).defects) == 4


def test_an_engine_that_settles_a_question_speaks_of_its_defect(toys: SimpleNamespace) -> None:
    """One engine ends early; what the other found counts, whichever of them came first."""

    def ends_early(system: System, options: Options) -> Outcome:
        return walk(system, limit=2, progress=lambda states, depth: None, properties=options.properties)

    for engines in (["run", "explore"], ["explore", "run"]):
        backend = Backend(toys.SCOPES, dict(ENGINES) | {"explore": ends_early}, defects=toys.DEFECTS)
        report = toys.checked(backend, engines=engines, profile="historic")
        assert [(row.finding, row.engine) for row in report.defects][:4:3] == [
            (Finding.FALSE, "run"),
            (Finding.HOLDS, "run"),
        ]


@pytest.mark.parametrize("profile", ["historic", "hardened"])
def test_real_defects_in_small_scopes(toys: SimpleNamespace, profile: str) -> None:
    backend = load()
    plan = make_plan(backend, profile=profile, scopes=["reader", "pair", "oversize"], engines=["explore"], matrix=False)
    report = run(replace(plan, controller=False), backend, toys.Notes())
    assert [row.number for row in report.defects] == list(range(1, 18))
    found = {row.number: row.finding for row in report.defects if row.finding is not None}
    assert found == dict.fromkeys((5, 9, 16), Finding.FALSE if profile == "historic" else Finding.HOLDS)
    assert {row.number for row in report.defects if row.why_not} == {8, 12, 13, 17}


def test_frm_2_can_be_switched_off_in_the_real_scopes() -> None:
    """A message that is too long fits the variables of the scopes that have one; one of them shows what FRM-2 buys."""
    false = {}
    for name in ("controller", "oversize"):
        outcome = ENGINES["explore"](load().scopes[name].build(HARDENED.without("frm_2")), Options(lambda tick: None))
        assert outcome.exhausted
        false[name] = [a.property for a in outcome.answers if a.finding is Finding.FALSE]
    assert false == {"controller": [], "oversize": ["same-bytes-or-nothing"]}


def test_a_rule_that_no_property_needs_is_said_with_the_states(toys: SimpleNamespace, backend: Backend) -> None:
    """Without the properties that need SES-7 and SES-8, their absence is looked at, and nothing is found."""

    def fewer(build, names):  # type: ignore[no-untyped-def]
        return lambda profile: replace(
            build(profile), properties=tuple(p for p in build(profile).properties if p.name in names)
        )

    scopes = {
        "alone": replace(toys.SCOPES["alone"], build=fewer(toys.SCOPES["alone"].build, ("no-fatal",))),
        "pair": replace(toys.SCOPES["pair"], build=fewer(toys.SCOPES["pair"].build, ("registered",))),
    }
    report = toys.checked(Backend(scopes), matrix=True)
    assert report.exit_code == 0
    rows = {row.flag: row for row in report.matrix}
    assert rows["ses_7"].reason.startswith("Not needed by any property of alone (")
    assert rows["ses_8"].reason.startswith("Not needed by any property of pair (")


def test_what_is_false_anyway_is_not_what_a_rule_buys(toys: SimpleNamespace) -> None:
    def build(profile: Profile) -> System:
        system = toys.pair(profile)
        return replace(system, properties=(system.property("all-delivered"),))

    report = toys.checked(Backend({"pair": replace(toys.SCOPES["pair"], build=build)}), matrix=True)
    (row,) = [row for row in report.matrix if row.flag == "ses_8"]
    assert (row.property, row.known) == ("", True)


def test_a_property_about_the_rule_says_best_what_it_buys(toys: SimpleNamespace) -> None:
    def build(profile: Profile) -> System:
        system = toys.pair(profile)
        told = system.property("at-most-once")
        return replace(system, properties=(replace(told, name="first", needs=("SES-2",)), told))

    report = toys.checked(Backend({"pair": replace(toys.SCOPES["pair"], build=build)}), matrix=True)
    assert [row.property for row in report.matrix if row.flag == "ses_8"] == ["at-most-once"]


def test_a_property_of_several_scopes_is_one_property(toys: SimpleNamespace, backend: Backend) -> None:
    report = toys.checked(backend, scopes=["pair", "large"])
    assert [p.name for p in report.properties] == ["at-most-once", "registered", "all-delivered"]
    assert [check.scope for check, _ in report.answers("registered")] == ["pair", "large"]


def test_rules_and_the_scopes_that_take_them(report: CheckReport) -> None:
    rules = {(r.party, r.id): r.scopes for r in report.rules}
    assert rules["controller", "SES-3.deliver"] == ["alone", "pair"]
    assert rules["controller", "SES-2.open"] == ["alone"]
    assert rules["SSS", "REG-1.keys"] == ["pair"]
    assert rules["controller", "SES-4.open"] == []
    assert rules["controller", "SES-8.gap"] == []  # of an action that can never happen
    assert ("SSS", "REG-7.open") in rules  # a rule of the model that no scope has


def test_an_interruption_keeps_what_was_finished(toys: SimpleNamespace, backend: Backend) -> None:
    engines = dict(backend.engines) | {"explore": toys.interrupted}
    notes = toys.Notes()
    plan = make_plan(Backend(toys.SCOPES, engines), engines=["run", "explore"], matrix=True)
    report = run(plan, Backend(toys.SCOPES, engines), notes)
    assert [(c.scope, c.engine) for c in report.checks] == [("alone", "run")]
    assert report.missing[:2] == ["explore: alone", "run: pair"]
    assert report.missing[-1] == "without ADV-3" and len(report.missing) == len(notes.begun) - 1 + 17 + 2
    assert report.exit_code == 3 and report.standing("no-fatal") is Standing.BOUNDED
    assert [tick.states for tick in notes.ticks if tick.memory] == [1_000]


def test_an_engine_that_breaks_costs_its_check_only(toys: SimpleNamespace) -> None:
    backend = Backend(toys.SCOPES, dict(ENGINES) | {"explore": toys.broken})
    notes = toys.Notes()
    report = run(make_plan(backend, engines=["explore", "run"]), backend, notes)
    assert [(c.engine, c.error) for c in report.checks][:2] == [
        ("explore", "RuntimeError: gcc is not installed: <apt-get install gcc>"),
        ("run", ""),
    ]
    assert notes.errors and report.standing("no-fatal") is Standing.BOUNDED


def test_a_scope_that_cannot_be_built_costs_its_checks_only(toys: SimpleNamespace, backend: Backend) -> None:
    def unbuildable(profile: object) -> System:
        raise ValueError("a name occurs twice\n" + "x " * 1_000)

    scopes = {"alone": toys.SCOPES["alone"], "bad": replace(toys.SCOPES["pair"], name="bad", build=unbuildable)}
    report = toys.checked(Backend(scopes), matrix=True)
    assert (
        report.checks[1].error.startswith("ValueError: a name occurs twice x x") and len(report.checks[1].error) <= 300
    )
    assert report.states and report.exit_code == 3
    assert [row.flag for row in report.matrix if row.property] == ["ses_7"]


def test_traces_are_recorded_for_what_is_false(toys: SimpleNamespace, backend: Backend) -> None:
    def record(system: System, answer: Answer, without: str) -> str:
        if system.name == "alone":
            raise NoTrace("one controller has no peers")
        if without == "ses_8":
            raise RuntimeError("the reference does not pass it")
        return f"{system.name}-{answer.property}.jsonl"

    report = toys.checked(Backend(toys.SCOPES, record=record), matrix=True)
    ((_, answer),) = report.answers("all-delivered")
    assert answer.path is not None and answer.path.trace == "pair-all-delivered.jsonl"
    (row,) = [row for row in report.matrix if row.flag == "ses_7"]
    assert row.path is not None and (row.path.trace, row.path.no_trace) == ("", "one controller has no peers")
    (row,) = [row for row in report.matrix if row.flag == "ses_8"]
    assert row.path is not None and row.path.no_trace == "RuntimeError: the reference does not pass it"
    ((_, example),) = report.answers("sends")
    assert (
        example.finding is Finding.HOLDS
        and example.path is not None
        and example.path.trace == example.path.no_trace == ""
    )


def test_the_real_scopes_are_known_and_say_how_they_are_bounded() -> None:
    backend = load()
    assert backend.scopes and all(s.says and s.engines for s in backend.scopes.values())
    unbounded = ModelScope("x", "", sends={3: (4,)}, messages=None, free=True, forging=True)
    assert bounds_of(unbounded) == {
        "SEDs": "3, 4",
        "at first": "not registered",
        "messages": "any number",
        "links": "the adversary's",
        "adversary": "forges",
    }


@pytest.mark.parametrize("name", ["pair", "absent"])
def test_a_real_scope_by_two_engines(toys: SimpleNamespace, name: str) -> None:
    backend = load()
    plan = make_plan(backend, scopes=[name], engines=["explore", "run"], matrix=False)
    report = run(replace(plan, controller=False), backend, toys.Notes())
    explored, walked = report.checks
    assert (explored.error, walked.error) == ("", "")
    assert (explored.states, explored.transitions) == (walked.states, walked.transitions)
    assert {a.property: a.finding for a in explored.answers} == {a.property: a.finding for a in walked.answers}
