"""Small systems with known answers, for the tests of the engines."""

from functools import partial

from model.system.base import Action, Kind, Property, Step, System, Variable
from model.terms import And, If, Min, Not, Or


def links(count=1, *, messages=2, patience=2, alternating=True, lossy=True):
    """Independent links, each of which sends some messages over a lossy channel, with one clock for all.

    A sender repeats its message when its timer runs out; the receiver tells repeats from news by an alternating bit,
    or, without it, takes every message for news. Symmetric in the links.
    """
    names = ("sent", "got", "data", "ack", "timer")
    highs = (messages, messages + 1, 2, 2, patience)
    variables = [Variable(f"{n}{i}", 0, high) for i in range(count) for n, high in zip(names, highs, strict=True)]

    def at(v, i):
        return [getattr(v, f"{n}{i}") for n in names]

    def bit(number, i):
        return If(Or(*(number == n for n in range(1, messages + 2, 2))), 1, 2)

    def send(i, v):
        sent, _, data, _, timer = at(v, i)
        idle = And(timer == 0, data == 0, sent < messages)
        return Step(idle, {f"sent{i}": sent + 1, f"data{i}": bit(sent + 1, i), f"timer{i}": patience})

    def arrive(i, v):
        _, got, data, ack, _ = at(v, i)
        news = And(got <= messages, Or(not alternating, data == bit(got + 1, i)))
        return Step(And(data > 0, ack == 0), {f"data{i}": 0, f"ack{i}": data, f"got{i}": If(news, got + 1, got)})

    def settle(i, v):
        sent, _, _, ack, timer = at(v, i)
        return Step(ack > 0, {f"ack{i}": 0, f"timer{i}": If(ack == bit(sent, i), 0, timer)})

    def lose(what, i, v):
        return Step(getattr(v, f"{what}{i}") > 0, {f"{what}{i}": 0})

    def repeat(i, v):
        sent, _, data, _, timer = at(v, i)
        return Step(And(timer == 1, data == 0), {f"data{i}": bit(sent, i), f"timer{i}": patience})

    def tick(v):
        timers = [at(v, i)[4] for i in range(count)]
        running = Or(*(t > 0 for t in timers))
        due = Or(*(t == 1 for t in timers))
        return Step(And(running, Not(due)), {f"timer{i}": If(t > 0, t - 1, 0) for i, t in enumerate(timers)})

    bodies = (("cpu", send), ("deliver", arrive), ("deliver", settle), ("timer", repeat))
    actions = [
        Action(f"{i}.{body.__name__}", kind, ("LNK-1",), "says", partial(body, i))
        for i in range(count)
        for kind, body in bodies
    ]
    actions += [
        Action(f"{i}.lose-{w}", "lose", ("LNK-2",), "says", partial(lose, w, i))
        for i in range(count)
        for w in ("data", "ack")
        if lossy
    ]
    actions.append(Action("time", "time", (), "says", tick, elapsed=lambda v: 1))

    def each(test):
        return lambda v: And(*(test(*at(v, i)) for i in range(count)))

    done = each(lambda sent, got, data, ack, timer: And(got == messages, timer == 0))
    properties = [
        Property("no-excess", Kind.ALWAYS, ("LNK-1",), "s", each(lambda sent, got, *_: got <= sent)),
        Property("no-ghost", Kind.ALWAYS, (), "s", lambda v: v.got0 <= messages, premise=lambda v: v.ack0 == 2),
        Property("idle", Kind.ALWAYS, (), "s", lambda v: True, premise=lambda v: And(v.timer0 == 0, v.sent0 > v.got0)),
        Property("done", Kind.REACHABLE, (), "s", done),
        Property("too-much", Kind.REACHABLE, (), "s", lambda v: v.got0 > v.sent0),
        Property("can-finish", Kind.POSSIBLE, (), "s", done),
        Property("can-restart", Kind.POSSIBLE, (), "s", lambda v: v.sent0 == 0),
        Property("finishes", Kind.EVENTUALLY, (), "s", done),
    ]
    symmetries = [{f"{n}{i}": f"{n}{j}" for n in names for i, j in ((k, k + 1), (k + 1, k))} for k in range(count - 1)]
    return System(f"links-{count}", tuple(variables), tuple(actions), tuple(properties), symmetries=tuple(symmetries))


def shuffle():
    """Values that go round, negative ones among them: updates that need each other's old values."""
    variables = (
        Variable("a", -3, 4, 1),
        Variable("b", -3, 4, -2),
        Variable("c", -3, 4, 3),
        Variable("wide", -200, 400, 7),
    )
    actions = (
        Action("rotate", "cpu", (), "s", lambda v: Step(True, {"a": v.b, "b": v.c, "c": v.a})),
        Action(
            "swap",
            "cpu",
            (),
            "s",
            lambda v: Step(And(v.wide < 300, v.wide > -180), {"a": v.b, "b": v.a, "wide": v.wide + v.a}),
        ),
        Action(
            "chain", "cpu", (), "s", lambda v: Step(v.a != v.b, {"a": Min(v.b + 1, 4), "b": -(v.c - 1), "c": v.c == 3})
        ),
        Action("stay", "cpu", (), "s", lambda v: Step(And(v.a > v.b, v.b > v.c))),
        Action("away", "fault", (), "s", lambda v: Step(v.wide > 100, {"wide": -150}), when=lambda v: v.c == 0),
    )
    properties = (
        Property("narrow", Kind.ALWAYS, (), "s", lambda v: v.wide <= 305),
        Property("low", Kind.ALWAYS, (), "s", lambda v: v.wide > -100),
        Property("sum", Kind.REACHABLE, (), "s", lambda v: v.a + v.b + v.c == -3),
    )
    return System("shuffle", variables, actions, properties)


def session(*, records=3, timer=True, start_over=False):
    """One session of at most 60 s of silence, which each of some records prolongs; None for any number of records."""
    variables = (Variable("busy", 0, 1), Variable("left", 0, 60), Variable("records", 0, records or 0))

    def data(v):
        used = {"records": v.records + 1} if records else {}
        return Step(And(v.busy == 1, v.records < records if records else True), {"left": 60} | used)

    actions = [
        Action("open", "deliver", (), "s", lambda v: Step(v.busy == 0, {"busy": 1, "left": 60, "records": 0})),
        Action("data", "deliver", (), "s", data),
    ]
    if timer:
        actions += [
            Action("time.1", "time", (), "s", lambda v: Step(v.left > 0, {"left": v.left - 1}), elapsed=lambda v: 1),
            Action(
                "expire", "timer", (), "s", lambda v: Step(And(v.busy == 1, v.left == 0), {"busy": 0, "records": 0})
            ),
        ]
    if start_over:
        actions.append(Action("again", "deliver", (), "s", lambda v: Step(v.busy == 1, {"left": 60, "records": 0})))
    return System("session", variables, tuple(actions), (), unit=1000)


def table(ways, states, *, passing=(), inside=(), timers=False):
    """A system given by its transitions, pairs of numbers below `states`; action `n` is the one of pair `n`.

    `passing` gives the time of each. `good` holds in the states `inside`. Actions are the environment's or timers.
    """
    actions = [
        Action(
            f"{number}:{source}-{target}",
            "timer" if timers else "cpu",
            (),
            "s",
            lambda v, source=source, target=target: Step(v.at == source, {"at": target}),
            elapsed=partial(lambda time, v: time, passing[number] if passing else 0),
        )
        for number, (source, target) in enumerate(ways)
    ]
    properties = [Property(str(k), k, (), "s", lambda v: Or(*(v.at == n for n in inside))) for k in Kind]
    return System("table", (Variable("at", 0, states - 1),), tuple(actions), tuple(properties))


def replay(system, path):
    """The states of a path from the initial one; an AssertionError where a step is not the system's."""
    states = [system.initial]
    for step in path:
        possible = {(system.actions[n].name, after) for n, after in system.successors(states[-1])}
        assert (step.action, step.state) in possible, f"{step.action} does not lead there from {states[-1]}"
        states.append(step.state)
    return states
