"""SPIN, run for real: it counts and answers as the run reading does, and the text that it reads is right."""

import random
import re
from dataclasses import replace

import pytest
import z3
from toys import links, replay, session, shuffle, table

from model.spin import SpinError, TermError, check, compiled, promela, run
from model.spin.check import replayed
from model.system.base import Action, Kind, Property, Step, System, Variable
from model.system.outcome import Finding
from model.terms import And, If, Max, Min, Not, Or
from model.walk import walk


def random_system(seed):
    """Actions and properties of random terms, in which every operator occurs below every other."""
    choose = random.Random(seed)
    variables = tuple(Variable(f"x{n}", -2, 3, choose.randint(-2, 3)) for n in range(4))

    def number(depth):
        kind = choose.randrange(8) if depth else choose.randrange(2)
        if kind == 0:
            name = choose.choice(variables).name
            return lambda v: getattr(v, name)
        if kind == 1:
            constant = choose.randint(-3, 3)
            return lambda v: constant
        a, b, c = number(depth - 1), number(depth - 1), truth(depth - 1)
        return (
            lambda v: a(v) + b(v),
            lambda v: a(v) - b(v),
            lambda v: -a(v),
            lambda v: Min(a(v), b(v)),
            lambda v: If(c(v), a(v), b(v)),
            lambda v: 2 * a(v) - (b(v) - a(v)) * 3,
        )[kind - 2]

    def truth(depth):
        a, b = number(depth - 1 if depth else 0), number(depth - 1 if depth else 0)
        kind = choose.randrange(9)
        if kind < 6 or not depth:
            return (
                lambda v: a(v) == b(v),
                lambda v: a(v) != b(v),
                lambda v: a(v) < b(v),
                lambda v: a(v) <= b(v),
                lambda v: a(v) > b(v),
                lambda v: a(v) >= b(v),
            )[kind % 6]
        c, d = truth(depth - 1), truth(depth - 1)
        return (
            lambda v: And(c(v), d(v), True),
            lambda v: Or(c(v), d(v), c(v) == d(v)),
            lambda v: Not(c(v)),
        )[kind - 6]

    def action(number_):
        guard = truth(3)
        updates = {v.name: number(3) for v in choose.sample(variables, choose.randint(1, 4))}
        return Action(
            f"act{number_}",
            "cpu",
            (),
            "s",
            lambda v: Step(guard(v), {name: Max(-2, Min(term(v), 3)) for name, term in updates.items()}),
        )

    actions = tuple(action(n) for n in range(12))
    kinds = (Kind.ALWAYS, Kind.REACHABLE)
    tests = [truth(3) for _ in range(8)]
    properties = tuple(Property(f"p{n}", kinds[n % 2], (), "s", test, test) for n, test in enumerate(tests))
    return System(f"random-{seed}", variables, actions, properties)


SYSTEMS = [links(), links(2), links(alternating=False), shuffle(), *(random_system(seed) for seed in range(4))]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: s.name)
def test_spin_counts_and_answers_as_the_run_reading_does(system):
    found, expected = check(system), walk(system)
    assert found.exhausted
    for figure in ("states", "transitions", "depth"):
        assert getattr(found, figure) == getattr(expected, figure), figure
    asked = [p for p in system.properties if p.kind in (Kind.ALWAYS, Kind.REACHABLE)]
    assert [a.property for a in found.answers] == [p.name for p in asked]
    for p, answer in zip(asked, found.answers, strict=True):
        other = expected.answer(p.name)
        assert (answer.finding, answer.how, len(answer.path)) == (other.finding, other.how, len(other.path)), p.name
        last = system.bind(replay(system, answer.path)[-1])
        if answer.path:
            assert bool(p.holds(last)) == (p.kind is Kind.REACHABLE)


def test_the_random_systems_are_worth_a_comparison():
    """Else a defect in the text would go unnoticed."""
    for seed in range(4):
        outcome = walk(random_system(seed))
        assert outcome.states > 100
        assert sum(n > 0 for n in outcome.taken.values()) >= 6
    assert {a.finding for s in SYSTEMS for a in walk(s).answers} >= {Finding.HOLDS, Finding.FALSE, Finding.VACUOUS}


def test_the_first_state_is_looked_at_too():
    answers = check(table([(0, 1)], 2, inside={1})).answers
    assert (answers[0].property, answers[0].finding, answers[0].path) == ("always", Finding.FALSE, ())


def test_variables_that_nobody_reads_make_a_difference_too():
    ways = [Action(f"go-{n}", "cpu", (), "s", lambda v, n=n: Step(v.at == 0, {"at": 1, "seen": n})) for n in range(3)]
    system = System("ghost", (Variable("at", 0, 1), Variable("seen", 0, 2)), tuple(ways), ())
    assert check(system).states == walk(system).states == 4


def test_only_what_is_named_is_asked():
    outcome = check(links(), properties=["done", "can-finish"])
    assert [a.property for a in outcome.answers] == ["done"]
    with pytest.raises(KeyError):
        check(links(), properties=["no such"])


def test_a_deep_system_and_its_progress():
    """SPIN's default bound on a depth-first search is 10,000 steps; a breadth-first one has none."""
    deep = System("deep", (Variable("n", 0, 20_000),), (Action("up", "cpu", (), "s", up),), ())
    told = []
    outcome = check(deep, progress=lambda states, depth: told.append((states, depth)))
    assert (outcome.states, outcome.depth, outcome.exhausted) == (20_001, 20_000, True)
    assert told[-1] == (20_000, 20_000)  # SPIN rounds the first to three digits


def test_a_depth_first_search_that_is_cut_off_is_not_whole(tmp_path):
    pan = compiled(tmp_path, promela(session(), ()), ("-O0", "-DSAFETY"))
    assert (run(pan, []).whole, run(pan, []).states) == (True, 245)
    assert not run(pan, ["-m20"]).whole


def up(v):
    return Step(v.n < 20_000, {"n": v.n + 1})


def test_too_little_memory_leaves_open_what_was_not_seen():
    outcome = check(links(3), memory_mb=130, properties=["no-excess", "too-much", "idle", "done"])
    assert not outcome.exhausted
    assert {a.finding for a in outcome.answers} == {Finding.OPEN}
    assert {a.how for a in outcome.answers} == {f"the first {outcome.states:,} states"}
    assert 1 < outcome.states < 35**3  # one link has 35 states, and nothing couples the three


@pytest.mark.parametrize(("low", "high", "term"), [(0, 1, lambda v: v.n + 1), (0, 255, lambda v: v.n - 1)])
def test_a_value_out_of_its_range_is_an_error(low, high, term):
    """Also where SPIN's type for the range would wrap round."""
    system = System(
        "wrong",
        (Variable("n", low, high, low),),
        (Action("step", "cpu", (), "s", lambda v: Step(True, {"n": term(v)})),),
        (),
    )
    with pytest.raises(SpinError, match=r"wrong: step gives n the value (2|-1) out of its range, after (1|0) steps"):
        check(system)


@pytest.mark.parametrize(
    ("term", "checked"),
    [
        (lambda v: v.n, False),
        (lambda v: v.n == 3, False),
        (lambda v: If(v.n > 0, v.n, -v.n), True),
        (lambda v: If(v.n > 0, -1, 3), False),
        (lambda v: If(v.n > 0, 3, 4), True),
        (lambda v: If(v.n > 0, -3, 3), True),
        (lambda v: -1 - v.n, True),
        (lambda v: v.b - v.b - v.b, False),
        (lambda v: v.b - 1 - v.b - v.b, True),
        (lambda v: v.b + 2 + v.b, True),
        (lambda v: v.b + 1 + v.b, False),
        (lambda v: 2 * v.b, False),
        (lambda v: -2 * v.b, False),
        (lambda v: 4 * v.b, True),
        (lambda v: v.n * v.n, True),
        (lambda v: v.b * v.n, False),
        (lambda v: v.b * (v.n - 1), True),
        (lambda v: 3 * -v.b, True),
        (lambda v: 2 - v.n, True),
        (lambda v: 1 - v.n, False),
    ],
)
def test_only_values_that_may_be_out_of_range_are_asserted(term, checked):
    step = Action("step", "cpu", (), "s", lambda v: Step(True, {"n": term(v)}))
    system = System("ranges", (Variable("n", -2, 3), Variable("b", 0, 1)), (step,), ())
    assert ("assert" in promela(system, ())) == checked


@pytest.mark.parametrize(
    ("guard", "text"),
    [
        (lambda v: And(v.n == 1, True), "n == 1"),
        (lambda v: Or(False, v.n == 1), "n == 1"),
        (lambda v: Not(And(v.n == v.n, True)), "!(n == n)"),
        (lambda v: And(z3.BoolVal(True), True), "true"),
        (lambda v: Or(z3.BoolVal(False), False), "false"),
        (lambda v: And(v.n == 1, Or(v.n < 2, v.n > 3)), "n == 1 && (n < 2 || n > 3)"),
        (lambda v: v.n - (v.n - 1) - 1 == 2 * (v.n + 1), "(n - (n - 1)) - 1 == 2 * (n + 1)"),
    ],
)
def test_guards_are_written_with_no_more_than_they_need(guard, text):
    step = Action("step", "cpu", (), "s", lambda v: Step(guard(v)))
    written = promela(System("guards", (Variable("n", 0, 3),), (step,), ()), ())
    assert f"\n       {text} ->\n       skip\n" in written


def test_a_path_that_the_rules_do_not_allow_is_an_error():
    system = session()
    names = [a.name for a in system.actions]
    assert replayed(system, [names.index("open"), names.index("time.1")])[-1].state == (1, 59, 0)
    with pytest.raises(SpinError, match=r"takes time.1 after 0 steps"):
        replayed(system, [names.index("time.1")])


@pytest.mark.parametrize("program", ["spin", "gcc"])
def test_a_missing_program_is_named(program, monkeypatch, tmp_path):
    if program == "gcc":
        (tmp_path / "spin").write_text("#!/bin/sh\n")
        (tmp_path / "spin").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpinError, match=f"^{program} is not installed"):
        check(session())


def test_variables_may_be_called_like_words_of_promela_and_c():
    names = ("timeout", "do", "len", "x", "register")
    swapped = dict(zip(names, (*names[1:], names[0]), strict=True))
    up = [
        Action(f"up-{n}", "cpu", (), "s", lambda v, n=n: Step(getattr(v, n) < 2, {n: getattr(v, n) + 1}))
        for n in names[:2]
    ]
    swap = Action("swap", "cpu", (), "s", lambda v: Step(True, {a: getattr(v, b) for a, b in swapped.items()}))
    over = Action("over", "cpu", (), "s", lambda v: Step(v.len == 1, {"len": v.x + v.len - v.x}))
    system = System("words", tuple(Variable(n, 0, 2) for n in names), (*up, swap, over), ())
    assert check(system).states == walk(system).states > 100


def test_what_spin_does_not_take_is_told(tmp_path):
    with pytest.raises(SpinError, match=r"spin failed:\n.*syntax error"):
        compiled(tmp_path, "no model", ())


def test_counts_have_all_their_digits(tmp_path):
    """A system with more than 10^8 transitions takes too long here: so the format that pan prints them in."""
    pan = compiled(tmp_path, promela(session(), ()), ("-O0", "-DSAFETY", "-DBFS"))
    printed = re.findall(r'printf\("(%[^"]*) (?:states, stored|transitions)', (tmp_path / "pan.c").read_text())
    assert set(printed) == {"%9.0f"}
    assert run(pan, []).states == 245


@pytest.mark.parametrize("line", ["1.9427367e+08 transitions (= stored+matched)", ""])
def test_a_report_that_cannot_be_read_is_an_error(line, tmp_path):
    report = ("State-vector 20 byte, depth reached 5, errors: 0", "   12 states, stored", line)
    rest = ("  1.0 total actual memory usage", "pan: elapsed time 0 seconds")
    pan = tmp_path / "pan"
    pan.write_text("#!/bin/sh\ncat <<END\n" + "\n".join([*report, *rest]) + "\nEND\n")
    pan.chmod(0o755)
    with pytest.raises(SpinError, match="did not finish its report"):
        run(pan, [])
    pan.write_text(pan.read_text().replace(line or "\n\n", "\n 34 transitions\n", 1))
    assert run(pan, []).transitions == 33


def test_terms_without_a_counterpart_are_refused():
    def body(v):
        return Step(z3.Distinct(v.left, v.records, v.busy))

    system = session()
    with pytest.raises(TermError, match="distinct"):
        promela(replace(system, actions=(Action("odd", "cpu", (), "s", body),)), ())
    with pytest.raises(TermError, match="32 bits"):
        promela(System("wide", (Variable("n", 0, 2**31),), (), ()), ())
