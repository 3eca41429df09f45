"""Folding: terms keep their values, and what the generated code relies on is folded."""

from __future__ import annotations

import itertools
import random

import z3

from model.explore.nodes import Graph, Node
from model.system.base import Variable

VARIABLES = (Variable("a", 0, 1), Variable("b", -2, 2), Variable("c", 3, 5, 3), Variable("k", 7, 7, 7))


def value(node: Node, values: tuple[int, ...]) -> int:
    """What a node is worth; the plain meaning of its operators."""
    if node.op in ("constant", "variable"):
        return node.value if node.op == "constant" else values[node.value]
    args = [value(a, values) for a in node.args]
    match node.op:
        case "==":
            return int(args[0] == args[1])
        case "<":
            return int(args[0] < args[1])
        case "<=":
            return int(args[0] <= args[1])
        case "and":
            return int(all(args))
        case "or":
            return int(any(args))
        case "not":
            return int(not args[0])
        case "if":
            return args[1] if args[0] else args[2]
        case "+":
            return sum(args)
        case "-":
            return args[0] - args[1]
        case "*":
            return args[0] * args[1]
    raise AssertionError(node.op)


def number(draw: random.Random, depth: int) -> z3.ArithRef:
    if depth == 0 or draw.random() < 0.2:
        names = [v.name for v in VARIABLES]
        return z3.Int(draw.choice(names)) if draw.random() < 0.6 else z3.IntVal(draw.randint(-3, 7))
    a, b = number(draw, depth - 1), number(draw, depth - 1)
    return draw.choice(
        [lambda: a + b, lambda: a - b, lambda: -a, lambda: a * 2, lambda: z3.If(truth(draw, depth - 1), a, b)]
    )()


def truth(draw: random.Random, depth: int) -> z3.BoolRef:
    if depth == 0 or draw.random() < 0.4:
        a, b = number(draw, depth), number(draw, depth)
        return draw.choice(
            [lambda: a == b, lambda: a != b, lambda: a < b, lambda: a <= b, lambda: a > b, lambda: a >= b]
        )()
    a, b = truth(draw, depth - 1), truth(draw, depth - 1)
    return draw.choice(
        [
            lambda: z3.And(a, b, truth(draw, depth - 1)),
            lambda: z3.Or(a, b),
            lambda: z3.Not(a),
            lambda: z3.Implies(a, b),
            lambda: a == b,
            lambda: z3.If(a, b, truth(draw, depth - 1)),
        ]
    )()


def test_folding_changes_no_value_and_intervals_hold() -> None:
    draw = random.Random(5)
    states = list(itertools.product(*(range(v.low, v.high + 1) for v in VARIABLES)))
    constants = 0
    for _ in range(200):
        term = truth(draw, 3)
        node = Graph(VARIABLES).term(term)
        constants += node.op == "constant"
        for state in draw.sample(states, 8):
            pairs = [(z3.Int(v.name), z3.IntVal(x)) for v, x in zip(VARIABLES, state, strict=True)]
            plain = z3.is_true(z3.simplify(z3.substitute(term, *pairs)))
            assert value(node, state) == plain, (term, state)
            for part in parts(node):
                assert part.low <= value(part, state) <= part.high, (term, state)
    assert 10 < constants < 190  # both kinds were met


def parts(node: Node) -> list[Node]:
    return [node, *(p for a in node.args for p in parts(a))]


def test_equal_terms_are_one_node() -> None:
    graph = Graph(VARIABLES)
    a, b = z3.Int("a"), z3.Int("b")
    assert graph.term(z3.And(a == 1, b < 1)) is graph.term(z3.Not(z3.Or(a != 1, b >= 1)))
    assert graph.term(z3.Not(z3.Or(a == 0, b >= 2))) is graph.term(z3.And(a == 1, z3.Not(b == 2)))


def test_only_one_value_left_is_an_equation_that_a_switch_can_take() -> None:
    graph = Graph(VARIABLES)
    for term, expected in ((z3.Int("a") > 0, 1), (z3.Int("a") != 1, 0), (z3.Int("c") >= 5, 5), (z3.Int("b") < -1, -2)):
        node = graph.term(term)
        assert (node.op, node.args[0].op, node.args[1].value) == ("==", "variable", expected)


def test_intervals_settle_comparisons() -> None:
    graph = Graph(VARIABLES)
    b, c = z3.Int("b"), z3.Int("c")
    assert [graph.term(t) for t in (b < c, c < b, b == c)] == [graph.true, graph.false, graph.false]
