"""Operators that read alike on Python integers and on Z3 terms.

Rules are written with these (and with `==`, `<`, `+`, which both sides have), so that one text serves the run reading,
which evaluates it on integers, and the explore and prove readings, which evaluate it on Z3 terms. Z3 is imported only
when a Z3 term is met.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Term: TypeAlias = Any
"""An `int` or `bool`, or a Z3 term of sort Int or Bool. The two share no useful static type."""


def symbolic(term: Term) -> bool:
    """Whether a term is Z3's."""
    return not isinstance(term, int)


def And(*terms: Term) -> Term:
    """Conjunction."""
    for t in terms:
        if not isinstance(t, int):
            import z3

            return z3.And(*terms)
    return all(terms)


def Or(*terms: Term) -> Term:
    """Disjunction."""
    for t in terms:
        if not isinstance(t, int):
            import z3

            return z3.Or(*terms)
    return any(terms)


def Not(term: Term) -> Term:
    """Negation."""
    if symbolic(term):
        import z3

        return z3.Not(term)
    return not term


def If(condition: Term, then: Term, otherwise: Term) -> Term:
    """Choice."""
    if not isinstance(condition, int):
        import z3

        return z3.If(condition, then, otherwise)
    return then if condition else otherwise


def Min(a: Term, b: Term) -> Term:
    """The smaller of two."""
    return If(a < b, a, b)


def Max(a: Term, b: Term) -> Term:
    """The larger of two."""
    return If(a > b, a, b)


def one_of(term: Term, *values: int) -> Term:
    """Whether a term equals one of some constants."""
    return Or(*[term == v for v in values])
