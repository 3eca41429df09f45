"""Terms as a graph of our own: integers only, shared, folded, each node with the interval in which its value lies.

Truth is 1 and falsehood 0. Equal terms are one node, so that generated code computes each once; intervals settle
comparisons that cannot come out otherwise, and the range checks that cannot fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from model.system.base import Variable
from model.terms import Term, symbolic

WIDEST = 2**31 - 1
"""Largest size of a value: generated code computes in 32 bits."""


LARGE = 1000
"""A size at which differences do not matter any more."""


class TermError(ValueError):
    """A term that the explorer cannot compute: an unknown operator or name, or a value beyond 32 bits."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One term. `number` grows from arguments to what is made of them; `value` is a constant's or a variable's index.

    `op` is one of: constant, variable, ==, <, <=, and, or, not, if, +, -, *. `size` is its operators, up to `LARGE`.
    """

    number: int
    op: str
    args: tuple[Node, ...]
    value: int
    low: int
    high: int
    size: int

    @property
    def constant(self) -> bool:
        """Whether its value is known."""
        return self.low == self.high

    @property
    def conjuncts(self) -> tuple[Node, ...]:
        """What all has to hold for this to hold."""
        if self.op == "and":
            return self.args
        return () if self.constant and self.low else (self,)


class Graph:
    """All terms over some variables."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._nodes: dict[tuple[str, tuple[int, ...], int], Node] = {}
        self._known: dict[int, Node] = {}
        self._kept: list[Any] = []  # a Z3 term's id is its own only while the term exists
        self.true, self.false = self.constant(1), self.constant(0)
        self._variables = {
            v.name: self._make("variable", (), i, v.low, v.high) if v.low < v.high else self.constant(v.low)
            for i, v in enumerate(variables)
        }

    def variable(self, name: str) -> Node:
        """A variable's node; a constant's if it has only one value."""
        try:
            return self._variables[name]
        except KeyError:
            raise TermError(f"no variable {name}") from None

    def constant(self, value: int) -> Node:
        """A number's node."""
        return self._make("constant", (), value, value, value)

    def term(self, term: Term) -> Node:
        """The node of an integer, a truth value or a Z3 term. Raises TermError."""
        if not symbolic(term):
            return self.constant(int(term))
        self._kept.append(term)
        stack = [term]
        while stack:  # no recursion: terms can be deep
            top = stack[-1]
            number = top.get_id()
            if number not in self._known:
                children = top.children()
                if missing := [c for c in children if c.get_id() not in self._known]:
                    stack.extend(missing)
                    continue
                self._known[number] = self._translate(top, [self._known[c.get_id()] for c in children])
            stack.pop()
        return self._known[term.get_id()]

    def _translate(self, term: Any, args: list[Node]) -> Node:
        import z3

        if z3.is_int_value(term):
            return self.constant(term.as_long())
        match term.decl().kind():
            case z3.Z3_OP_TRUE:
                return self.true
            case z3.Z3_OP_FALSE:
                return self.false
            case z3.Z3_OP_UNINTERPRETED if not args:
                return self.variable(term.decl().name())
            case z3.Z3_OP_AND:
                return self.both(args)
            case z3.Z3_OP_OR:
                return self.either(args)
            case z3.Z3_OP_NOT:
                return self.negation(args[0])
            case z3.Z3_OP_IMPLIES:
                return self.either([self.negation(args[0]), args[1]])
            case z3.Z3_OP_EQ:
                return self.equal(*args)
            case z3.Z3_OP_DISTINCT if len(args) == 2:
                return self.negation(self.equal(*args))
            case z3.Z3_OP_LT:
                return self.less(*args)
            case z3.Z3_OP_GT:
                return self.less(args[1], args[0])
            case z3.Z3_OP_LE:
                return self.negation(self.less(args[1], args[0]))
            case z3.Z3_OP_GE:
                return self.negation(self.less(*args))
            case z3.Z3_OP_ITE:
                return self.choice(*args)
            case z3.Z3_OP_ADD:
                return self.sum(args)
            case z3.Z3_OP_SUB:
                return self.difference(args[0], self.sum(args[1:]))
            case z3.Z3_OP_UMINUS:
                return self.difference(self.constant(0), args[0])
            case z3.Z3_OP_MUL if len(args) == 2:
                return self.product(*args)
        raise TermError(f"the explorer cannot compute {term.decl().name()!r}: {str(term)[:200]}")

    def both(self, args: Iterable[Node]) -> Node:
        """Conjunction."""
        flat = {n: None for a in args for n in (a.args if a.op == "and" else (a,)) if n is not self.true}
        if self.false in flat:
            return self.false
        return self._joined("and", list(flat), self.true)

    def either(self, args: Iterable[Node]) -> Node:
        """Disjunction."""
        flat = {n: None for a in args for n in (a.args if a.op == "or" else (a,)) if n is not self.false}
        if self.true in flat:
            return self.true
        return self._joined("or", list(flat), self.false)

    def _joined(self, op: str, args: list[Node], empty: Node) -> Node:
        if len(args) < 2:
            return args[0] if args else empty
        return self._make(op, tuple(args), 0, 0, 1)

    def negation(self, a: Node) -> Node:
        """Negation, moved inwards so that guards fall into more conjuncts."""
        if a.constant:
            return self.constant(1 - a.low)
        match a.op:
            case "not":
                return a.args[0]
            case "and":
                return self.either(self.negation(x) for x in a.args)
            case "or":
                return self.both(self.negation(x) for x in a.args)
            case "<":
                return self._ordered("<=", a.args[1], a.args[0])
            case "<=":
                return self._ordered("<", a.args[1], a.args[0])
            case "==" if a.args[1].constant and a.args[0].high - a.args[0].low == 1:
                return self.equal(a.args[0], self.constant(a.args[0].low + a.args[0].high - a.args[1].low))
        return self._make("not", (a,), 0, 0, 1)

    def equal(self, a: Node, b: Node) -> Node:
        """Equality of numbers or of truth values."""
        if a is b or (a.constant and b.constant and a.low == b.low):
            return self.true
        if a.high < b.low or b.high < a.low:
            return self.false
        if a.constant or (not b.constant and a.number > b.number):
            a, b = b, a
        if b.constant and a.op == "if" and a.args[1].constant and a.args[2].constant:
            then, otherwise = (x.low == b.low for x in a.args[1:])
            return self.choice(a.args[0], self.constant(then), self.constant(otherwise))
        if b.constant and (a.low, a.high) == (0, 1) and a.op != "variable":
            return a if b.low else self.negation(a)
        return self._make("==", (a, b), 0, 0, 1)

    def less(self, a: Node, b: Node) -> Node:
        """Whether a < b."""
        return self._ordered("<", a, b)

    def _ordered(self, op: str, a: Node, b: Node) -> Node:
        strict = int(op == "<")
        if a is b:
            return self.constant(1 - strict)
        if a.high + strict <= b.low:
            return self.true
        if a.low + strict > b.high:
            return self.false
        if a.low + strict == b.high and (a.constant or b.constant):  # only one value is left
            return self.equal(a, self.constant(a.low)) if b.constant else self.equal(b, self.constant(b.high))
        return self._make(op, (a, b), 0, 0, 1)

    def choice(self, condition: Node, then: Node, otherwise: Node) -> Node:
        """One of two, by a condition."""
        if condition.constant:
            return then if condition.low else otherwise
        if then is otherwise:
            return then
        if then is self.true and otherwise is self.false:
            return condition
        if then is self.false and otherwise is self.true:
            return self.negation(condition)
        bounds = min(then.low, otherwise.low), max(then.high, otherwise.high)
        return self._make("if", (condition, then, otherwise), 0, *bounds)

    def sum(self, args: Sequence[Node]) -> Node:
        """Sum."""
        parts = [n for a in args for n in (a.args if a.op == "+" else (a,))]
        known = sum(n.low for n in parts if n.constant)
        rest = [n for n in parts if not n.constant]
        if known or not rest:
            rest.append(self.constant(known))
        if len(rest) == 1:
            return rest[0]
        return self._make("+", tuple(rest), 0, sum(n.low for n in rest), sum(n.high for n in rest))

    def difference(self, a: Node, b: Node) -> Node:
        """a - b."""
        if a is b:
            return self.constant(0)
        if b.constant:
            return self.sum([a, self.constant(-b.low)])
        return self._make("-", (a, b), 0, a.low - b.high, a.high - b.low)

    def product(self, a: Node, b: Node) -> Node:
        """a * b."""
        corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        if a.constant and b.constant:
            return self.constant(corners[0])
        return self._make("*", (a, b), 0, min(corners), max(corners))

    def _make(self, op: str, args: tuple[Node, ...], value: int, low: int, high: int) -> Node:
        if low < -WIDEST or high > WIDEST:
            raise TermError(f"a value of up to {max(-low, high)} does not fit into 32 bits")
        key = (op, tuple(a.number for a in args), value)
        if (node := self._nodes.get(key)) is None:
            size = min(LARGE, bool(args) + sum(a.size for a in args))
            node = self._nodes[key] = Node(len(self._nodes), op, args, value, low, high, size)
        return node
