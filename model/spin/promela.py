"""From a system to Promela, the language of SPIN: one process that picks any action whose guard holds.

Every action is one `d_step`, so every state of SPIN's is a state of ours, and the two count the same. What is asked is
an option of the same loop: its guard is what is looked for, and its `assert(false)` makes SPIN report a path, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import z3

from model.system.base import Kind, Property, System
from model.terms import Not, Term, symbolic

INFIX = {
    z3.Z3_OP_OR: ("||", 1),
    z3.Z3_OP_AND: ("&&", 2),
    z3.Z3_OP_EQ: ("==", 3),
    z3.Z3_OP_DISTINCT: ("!=", 3),
    z3.Z3_OP_LT: ("<", 3),
    z3.Z3_OP_LE: ("<=", 3),
    z3.Z3_OP_GT: (">", 3),
    z3.Z3_OP_GE: (">=", 3),
    z3.Z3_OP_ADD: ("+", 4),
    z3.Z3_OP_SUB: ("-", 4),
    z3.Z3_OP_MUL: ("*", 5),
}
"""Operators with how tightly they bind; an operand that does not bind more tightly gets parentheses."""
NEUTRAL: dict[int, Callable[[Term], bool]] = {z3.Z3_OP_AND: z3.is_true, z3.Z3_OP_OR: z3.is_false}
"""Operands that say nothing and are left out."""
UNARY, ATOM = 6, 7
WORDS = """
accept active assert atomic bit bool break byte c_code c_decl c_expr c_state c_track chan d_step do else empty enabled
end eval false fi for full get_priority goto hidden if in init inline int len ltl mtype nempty never nfull notrace now
np_ od of pc_value pid print printf printm priority proctype progress provided return run select set_priority short
show skip system timeout trace true typedef unless unsigned xr xs
auto case char const continue default double enum extern float long register restrict signed sizeof static struct
switch union void volatile while
"""
"""Words of Promela, and of C, into which it is turned, that name no variable; an underscore is added to them."""
RESERVED = frozenset(WORDS.split())


class TermError(ValueError):
    """A guard, an update or a property uses what Promela is not generated for."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to look for: a violation of an `always`, what should be reachable, or a premise."""

    property: str
    premise: bool
    term: Term


def questions(system: System, properties: Sequence[Property]) -> list[Question]:
    """What SPIN is asked about these properties, in the order in which `promela` asks. Other kinds are left out."""
    found = []
    for p in properties:
        if p.kind is Kind.ALWAYS:
            found.append(Question(p.name, False, Not(p.holds(system.symbols))))
            if p.premise:
                found.append(Question(p.name, True, p.premise(system.symbols)))
        elif p.kind is Kind.REACHABLE:
            found.append(Question(p.name, False, p.holds(system.symbols)))
    return found


def promela(system: System, properties: Sequence[Property]) -> str:
    """The model as text. Its options are the actions in order, then the questions in order.

    A new value that may be out of its variable's range is asserted to be within it; one that cannot be is not. Raises
    TermError for operators beyond those of `model.terms`, comparison and arithmetic without division.
    """
    ranges = {v.name: (v.low, v.high) for v in system.variables}
    held = dict(ranges)  # what each variable's type must be able to hold, for a range that is left to be noticed
    options: list[str] = []
    spare = 0
    for action, step in zip(system.actions, system.symbolic, strict=True):
        lines, temporaries = _assignments(step.update)
        spare = max(spare, temporaries)
        for name, term in step.update.items():
            low, high = _interval(term, ranges)
            if low < ranges[name][0] or high > ranges[name][1]:
                held[name] = min(low, held[name][0]), max(high, held[name][1])
                lines.append(f"assert({ranges[name][0]} <= {_name(name)} && {_name(name)} <= {ranges[name][1]})")
        says = f"{action.name}{': ' if action.rules else ''}{', '.join(action.rules)}"
        options.append(_option(says, step.guard, lines or ["skip"]))
    asked = questions(system, properties)
    for number, question in enumerate(asked):
        says = f"asked: {question.property}{' (premise)' if question.premise else ''}"
        once = f"c_expr {{ pending[{number}] }} && "
        options.append(_option(says, question.term, [f"c_code {{ pending[{number}] = 0; }}", "assert(false)"], once))
    lines = [f"/* {system.name}: {len(system.variables)} variables, {len(system.actions)} actions. */", ""]
    if asked:
        lines += ["c_decl {", f"  static char pending[{len(asked)}] = {{ {', '.join('1' for _ in asked)} }};", "};"]
        lines += ["/* Not part of the state: what is asked is reported once. */", ""]
    lines += [
        f"{_declared(_name(v.name), *held[v.name])} = {v.init}; /* {v.low} to {v.high} */" for v in system.variables
    ]
    lines += [f"int {_temporary(n)}; /* for values that need each other; 0 between steps */" for n in range(spare)]
    return "\n".join([*lines, "", "active proctype system() {", "end:", "  do", *options, "  od", "}", ""])


def _option(says: str, guard: Term, lines: Sequence[str], once: str = "") -> str:
    body = ";\n       ".join(lines)
    return (
        f"  :: d_step {{ /* {says.replace('*/', '* /')} */\n       {once}{_text(guard, 2)} ->\n       {body}\n     }}"
    )


def _name(variable: str) -> str:
    return f"{variable}_" if variable in RESERVED else variable


def _temporary(number: int) -> str:
    return f"spare_{number}"


def _declared(name: str, low: int, high: int) -> str:
    """A declaration of the narrowest type: SPIN's states are then smallest, and it is fastest."""
    if low >= 0 and high < 2**16:
        return f"unsigned {name} : {max(1, high.bit_length())}"
    if low >= -(2**15) and high < 2**15:
        return f"short {name}"
    if low >= -(2**31) and high < 2**31:
        return f"int {name}"
    raise TermError(f"{name} has values from {low} to {high}: more than 32 bits")


def _assignments(update: dict[str, Term]) -> tuple[list[str], int]:
    """Assignments one after the other that do what a simultaneous update does, and how many temporaries they need."""
    reads = {name: _variables(term) - {name} for name, term in update.items()}
    lines: list[str] = []
    saved: list[str] = []
    left = list(update)
    while left:
        name = next((n for n in left if not any(n in reads[other] for other in left)), None)
        if name:
            lines.append(f"{_name(name)} = {_text(update[name])}")
        else:
            name = left[0]
            lines.append(f"{_temporary(len(saved))} = {_text(update[name])}")
            saved.append(name)
        left.remove(name)
    lines += [f"{_name(name)} = {_temporary(n)}; {_temporary(n)} = 0" for n, name in enumerate(saved)]
    return lines, len(saved)


def _text(term: Term, binds: int = 0) -> str:
    """A term in Promela's notation, in parentheses if it binds less tightly than `binds`."""
    if not symbolic(term):
        return str(term).lower() if isinstance(term, bool) else str(int(term))
    match term.decl().kind():
        case z3.Z3_OP_UNINTERPRETED if term.num_args() == 0:
            return _name(str(term.decl().name()))
        case z3.Z3_OP_ANUM:
            return str(term.as_long()) if binds <= UNARY else f"({term.as_long()})"
        case z3.Z3_OP_TRUE:
            return "true"
        case z3.Z3_OP_FALSE:
            return "false"
        case z3.Z3_OP_NOT:
            text = f"!{_text(term.arg(0), ATOM)}"
            return text if binds <= UNARY else f"({text})"  # "!!" and "--" are something else
        case z3.Z3_OP_UMINUS:
            text = f"-{_text(term.arg(0), ATOM)}"
            return text if binds <= UNARY else f"({text})"
        case z3.Z3_OP_ITE:
            condition, then, otherwise = (_text(a, 1) for a in term.children())
            return f"({condition} -> {then} : {otherwise})"
        case kind if kind in INFIX and not (kind == z3.Z3_OP_DISTINCT and term.num_args() > 2):
            operator, own = INFIX[kind]
            neutral = NEUTRAL.get(kind)
            operands = [a for a in term.children() if not (neutral and neutral(a))]
            if len(operands) < 2 and neutral:
                return _text(operands[0], binds) if operands else _text(kind == z3.Z3_OP_AND)
            text = f" {operator} ".join(_text(a, own if neutral else own + 1) for a in operands)
            return text if own >= binds else f"({text})"
    raise TermError(f"no Promela for {term.decl().name()} in {term}")


def _subterms(term: Term) -> Iterator[Term]:
    """Each distinct subterm once."""
    seen, todo = set(), [term] if symbolic(term) else []
    while todo:
        t = todo.pop()
        if t.get_id() not in seen:
            seen.add(t.get_id())
            todo.extend(t.children())
            yield t


def _variables(term: Term) -> set[str]:
    """The names of the variables that a term mentions."""
    return {str(t.decl().name()) for t in _subterms(term) if t.decl().kind() == z3.Z3_OP_UNINTERPRETED}


def _interval(term: Term, ranges: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Bounds of a term's value where every variable is within its range; truth is 0 or 1."""
    if not symbolic(term):
        return int(term), int(term)
    if z3.is_bool(term):
        return 0, 1
    match term.decl().kind():
        case z3.Z3_OP_UNINTERPRETED:
            return ranges[str(term.decl().name())]
        case z3.Z3_OP_ANUM:
            return term.as_long(), term.as_long()
        case z3.Z3_OP_ITE:
            parts = [_interval(a, ranges) for a in term.children()[1:]]
            return min(low for low, _ in parts), max(high for _, high in parts)
        case z3.Z3_OP_ADD:
            parts = [_interval(a, ranges) for a in term.children()]
            return sum(low for low, _ in parts), sum(high for _, high in parts)
        case z3.Z3_OP_SUB:
            first, *rest = (_interval(a, ranges) for a in term.children())
            return first[0] - sum(high for _, high in rest), first[1] - sum(low for low, _ in rest)
        case z3.Z3_OP_MUL:
            product = (1, 1)
            for part in (_interval(a, ranges) for a in term.children()):
                corners = [x * y for x in product for y in part]
                product = min(corners), max(corners)
            return product
        case z3.Z3_OP_UMINUS:
            low, high = _interval(term.arg(0), ranges)
            return -high, -low
    raise TermError(f"no Promela for {term.decl().name()} in {term}")
