"""Small systems for proofs: what is true of them needs lemmas, more than one step, or is not true."""

from model.prove import Lemma
from model.system.base import Action, Kind, Property, Step, System, Variable
from model.terms import And, If, Or


def action(name, body, when=lambda v: True):
    return Action(name, "cpu", (), "", body, when)


def always(name, holds):
    return Property(name, Kind.ALWAYS, (), "", holds)


def channel(*, checked=True):
    """Numbered messages over a lossy channel, for ever; `checked`: the receiver takes only a number that is news."""

    def deliver(v):
        news = v.wire > v.got if checked else True
        return Step(v.wire > 0, {"wire": 0, "got": If(news, v.wire, v.got), "taken": If(news, v.taken + 1, v.taken)})

    variables = tuple(Variable(name, 0, 9) for name in ("sent", "wire", "got", "taken", "told"))
    actions = (
        action("send", lambda v: Step(True, {"sent": v.sent + 1, "wire": v.sent + 1}), when=lambda v: v.wire == 0),
        action("again", lambda v: Step(And(v.wire == 0, v.sent > 0), {"wire": v.sent})),
        action("deliver", deliver),
        action("lose", lambda v: Step(v.wire > 0, {"wire": 0})),
        action("tell", lambda v: Step(v.told != v.got, {"told": v.got})),
    )
    properties = (
        always("made-up", lambda v: v.got <= v.sent),
        always("twice", lambda v: v.taken <= v.sent),
        always("hearsay", lambda v: v.told <= v.sent),
        Property("any", Kind.REACHABLE, (), "", lambda v: v.got > 0),
    )
    return System("channel", variables, actions, properties)


ON_WIRE = Lemma("on wire", "Only what was sent is on the wire.", lambda v: And(v.wire >= 0, v.wire <= v.sent))
COUNTED = Lemma("counted", "A number is taken once, and numbers grow by one or more.", lambda v: v.taken <= v.got)
GOT = Lemma("got", "What came was sent.", lambda v: v.got <= v.sent)
QUIET = Lemma("quiet", "Wrong: something is on the wire after each send.", lambda v: v.wire <= 0)
ON_QUIET = Lemma("on quiet", "So nothing is taken.", lambda v: v.taken <= 0)


def rooms(*, entrance=0):
    """A walk from room 0 to 1 and back. Room 5 leads to 6, and only 6 leads to 5 (and with `entrance`, that room)."""
    ways = {0: 1, 1: 0, 5: 6, 6: 5}
    actions = [action(f"{a}-{b}", lambda v, a=a, b=b: Step(v.at == a, {"at": b})) for a, b in ways.items()]
    if entrance:
        actions.append(action("in", lambda v: Step(v.at == entrance, {"at": 5})))
    variables = (Variable("at", 0, 6), Variable("steps", 0, 9))
    return System("rooms", variables, tuple(actions), (always("not-6", lambda v: v.at != 6),))


def detour(rooms=4):
    """A shortest way to a far room among longer ones; one variable is not on the way."""
    actions = [action(f"on-{n}", lambda v, n=n: Step(v.at == n, {"at": n + 1, "noise": v.noise + 1})) for n in range(9)]
    actions.append(action("jump", lambda v: Step(v.at == 1, {"at": rooms})))
    actions.append(action("back", lambda v: Step(Or(v.at == 2, v.at == 3), {"at": 0})))
    properties = (always("not-7", lambda v: v.at != 7), always("not-11", lambda v: v.at != 11))
    return System("detour", (Variable("at", 0, 11), Variable("noise", 0, 99)), tuple(actions), properties)


def replayed(system, path):
    """The last state of a path from the first state; an AssertionError where a step is not the system's."""
    state = system.initial
    for step in path:
        assert (step.action, step.state) in {(system.actions[n].name, s) for n, s in system.successors(state)}
        state = step.state
    return system.bind(state)
