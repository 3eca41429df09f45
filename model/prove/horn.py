"""Z3's engine for constrained Horn clauses, which looks for an inductive invariant by itself."""

from __future__ import annotations

from collections.abc import Sequence

import z3

from model.prove.lemmas import Lemma
from model.prove.search import bounded
from model.prove.unroll import boolean, integer
from model.system.base import Kind, Property, System
from model.system.outcome import Answer, Finding


def spacer(system: System, what: Property, timeout: float, given: Sequence[Lemma] = ()) -> Answer:
    """Prove an `always` property, or find a shortest path to where it does not hold, in at most `timeout` seconds.

    `given` are lemmas that are proved already. Raises ValueError for another kind of property.
    """
    if what.kind is not Kind.ALWAYS:
        raise ValueError(f"{what.name} is not an `always` property")
    context = z3.Context()
    fixed = z3.Fixedpoint(ctx=context)
    fixed.set(engine="spacer", timeout=int(timeout * 1000))
    # Joins no steps, so that a trace to a violation has a rule per step.
    fixed.set("xform.inline_linear", False)
    fixed.set("xform.inline_eager", False)
    fixed.set("xform.slice", False)
    variables = [getattr(system.symbols, name).translate(context) for name in system.names]
    integers = [z3.IntSort(ctx=context)] * len(variables)
    reached = z3.Function("reached", *integers, z3.BoolSort(ctx=context))
    violated = z3.Function("violated", z3.BoolSort(ctx=context))
    fixed.register_relation(reached, violated)
    fixed.declare_var(*variables)
    fixed.rule(reached(*(z3.IntVal(v.init, ctx=context) for v in system.variables)))
    known = [boolean(lemma.holds(system.symbols)).translate(context) for lemma in given]
    here = z3.And(reached(*variables), *known)
    for step in system.symbolic:
        values = {name: integer(value).translate(context) for name, value in step.update.items()}
        after = [values.get(name, x) for name, x in zip(system.names, variables, strict=True)]
        fixed.rule(reached(*after), [here, boolean(step.guard).translate(context)])
    fixed.rule(violated(), [here, z3.Not(boolean(what.holds(system.symbols)).translate(context))])
    try:
        verdict = fixed.query(violated())
    except z3.Z3Exception as error:  # its time was over in the midst of preparations
        reason = error.value.decode() if isinstance(error.value, bytes) else error.value
        return Answer(what.name, Finding.OPEN, f"Spacer gave up ({reason})")
    if verdict == z3.unsat:
        return Answer(what.name, Finding.PROVED, "Spacer" + _with(given))
    if verdict == z3.sat:
        return bounded(system, what, len(fixed.get_rules_along_trace()))
    return Answer(what.name, Finding.OPEN, f"Spacer gave up ({fixed.reason_unknown()})")


def _with(given: Sequence[Lemma]) -> str:
    return f" with {', '.join(lemma.name for lemma in given)}" if given else ""
