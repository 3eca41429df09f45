"""One controller in an environment that may do anything: every state explored, and how long it can be kept busy.

Time runs in whole seconds here; the rules do not mind. The environment sends what it likes from a lower id, a higher id
and the SSS, waits up to a deadline or until just before it, and has what honest peers can have said: a few
authenticated records, each of which counts once.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from model.alphabet import Event
from model.profile import HARDENED, HISTORIC, Profile, Setting
from model.run import react
from model.state import Mode, State, Step, Waiting

ME, LOWER, HIGHER, SSS = 4, 3, 5, 1
RECORDS = 3
"""Highest number of an authenticated record that a peer has sent: peers' messages are finite."""
OPENING = {"SES-2.open", "SES-4.open", "SES-3.open", "SES-3.start-over", "SES-9.yield", "SES-9.resume", "ADV-1.replace"}
OPENING |= {"SES-5.take-send", "SES-5.take-request", "SES-7.junk"}
"""Rules that begin a session."""


def setting(profile: Profile) -> Setting:
    return Setting(ME, profile, first_timeout=7, last_timeout=60, idle_timeout=60)


def events(state: State) -> list[Event]:
    """What the environment may do in a state."""
    found = [Event("cpu-send", (p, 1)) for p in (LOWER, HIGHER)] if not state.waiting else []
    found += [Event("cpu-request", (4, ME, op)) for op in (0, 1)] if not state.waiting else []
    found += [Event("cpu-other")] if not state.waiting else []
    for source in (LOWER, HIGHER):
        found += [Event("hello", (source,)), *(Event("hello-cookie", (source, h)) for h in (1, 2))]
        found.append(Event("noise", (source,)))
    if peer := state.peer:
        own = int(state.registered and peer != SSS)
        found += [Event("verify-request", (peer,)), Event("flight4", (peer,)), Event("alert", (peer, -1))]
        found += [Event("certificate", (peer, ca, cn)) for ca, cn in ((own, peer), (1 - own, peer), (own, 99))]
        found += [Event("repeat", (peer, 4, -1)), Event("forged", (peer,))]
        if state.step in (Step.KEYS, Step.ACCEPT):
            found += [Event("flight5", (peer, 0)), Event("flight6", (peer, 0))]
        if state.expect <= RECORDS:
            found += [Event("repeat", (peer, f, state.expect)) for f in (5, 6) if not state.began]
            found += [Event("data", (peer, state.expect + gap, 1)) for gap in (0, 1)]
            found += [Event("close", (peer, state.expect)), Event("alert", (peer, state.expect))]
    if state.mode == Mode.TALKING_TO_SSS:
        found += [Event("response", (op, good, usable)) for op in (0, 1, -1) for good in (0, 1) for usable in (0, 1)]
    if state.timer:
        found += [Event("time", (ms,)) for ms in {state.timer, state.timer - 1} if ms]
    return found


@dataclass
class Explored:
    """All reachable states; per state, the ways on: seconds, next state, the rules that were taken."""

    ways: dict[State, list[tuple[int, State, tuple[str, ...]]]] = field(default_factory=dict)

    @classmethod
    def all(cls, c: Setting) -> Explored:
        explored, queue = cls({State(): []}), deque([State()])
        while queue:
            state = queue.popleft()
            for event in events(state):
                seconds = event.args[0] if event.kind == "time" else 0
                for way in react(state, event, c):
                    explored.ways[state].append((seconds, way.state, tuple(r.id for r in way.rules)))
                    if way.state not in explored.ways:
                        explored.ways[way.state] = []
                        queue.append(way.state)
        return explored

    def longest_session(self, mode: Mode) -> int | None:
        """Seconds for which one session of this mode can last at the most; None if for ever."""
        on = {
            state: [(t, after) for t, after, rules in ways if after.step and not OPENING & set(rules)]
            for state, ways in self.ways.items()
            if state.mode == mode
        }
        return longest(on)

    def longest_stay(self, there: Callable[[State], bool]) -> int | None:
        """Seconds for which a controller can stay in certain busy states, through one session or several."""
        return longest({s: [(t, a) for t, a, _ in ways if there(a)] for s, ways in self.ways.items() if there(s)})


def longest(on: dict[State, list[tuple[int, State]]]) -> int | None:
    """Seconds that the longest path through some states takes, and one more, which leads out; None if for ever."""
    if any(not state.timer for state in on):
        return None
    component = components({s: [after for _, after in ways] for s, ways in on.items()})
    if any(t and component[s] == component[after] for s, ways in on.items() for t, after in ways):
        return None
    reach: dict[int, int] = defaultdict(int)
    for state in sorted(on, key=lambda s: component[s]):  # successors have lower numbers
        for t, after in on[state]:
            reach[component[state]] = max(reach[component[state]], t + reach[component[after]])
    return max(reach[component[s]] for s in on) + 1


def components(graph: dict[State, list[State]]) -> dict[State, int]:
    """Strongly connected components (Tarjan), numbered so that an edge never leads to a higher number."""
    order: dict[State, int] = {}
    low: dict[State, int] = {}
    number: dict[State, int] = {}
    stack: list[State] = []
    count = 0
    for root in graph:
        if root in order:
            continue
        work = [(root, iter(graph[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        while work:
            state, ways = work[-1]
            for after in ways:
                if after not in order:
                    order[after] = low[after] = len(order)
                    stack.append(after)
                    work.append((after, iter(graph[after])))
                    break
                if after not in number:
                    low[state] = min(low[state], order[after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == order[state]:
                    while True:
                        member = stack.pop()
                        number[member] = count
                        if member == state:
                            break
                    count += 1
    return number


@pytest.fixture(scope="module")
def hardened() -> Explored:
    return Explored.all(setting(HARDENED))


def test_the_number_of_states_is_known(hardened: Explored) -> None:
    assert len(hardened.ways) == 4_146


@pytest.mark.parametrize(
    ("mode", "seconds"),
    [
        (Mode.SENDING_MESSAGE, 164 + 164 + 165),
        (Mode.RECEIVING_MESSAGE, 164 + RECORDS * 59 + 60),
        (Mode.TALKING_TO_SSS, 3 * 164 + RECORDS * 59 + 60),
    ],
)
def test_no_session_outlasts_its_bound(hardened: Explored, mode: Mode, seconds: int) -> None:
    """SES-7: 165 s for each flight of ours, 60 s for each authenticated record and 60 s of silence.

    Who prolongs a session acts a moment, here a second, before each deadline.
    """
    assert hardened.longest_session(mode) == seconds


def unproved(state: State) -> bool:
    return state.step == Step.ACCEPT


def test_an_unproved_peer_holds_up_the_own_cpu_for_one_period(hardened: Explored) -> None:
    """ADV-1: one period while a frame waits or a message is put aside, however the peer starts over."""
    assert hardened.longest_stay(lambda s: unproved(s) and s.waiting != Waiting.NONE) == 7
    assert hardened.longest_stay(lambda s: unproved(s) and s.aside == 1) == 7


def test_no_input_leads_to_fatal_error(hardened: Explored) -> None:
    assert all(state.mode != Mode.FATAL_ERROR for state in hardened.ways)


def test_every_state_can_get_back_to_idle(hardened: Explored) -> None:
    back: dict[State, list[State]] = defaultdict(list)
    for state, ways in hardened.ways.items():
        for _, after, _ in ways:
            back[after].append(state)
    seen, queue = set(), deque(s for s in hardened.ways if s.mode == Mode.IDLE)
    while queue:
        state = queue.popleft()
        if state not in seen:
            seen.add(state)
            queue.extend(back[state])
    assert seen == hardened.ways.keys()


@pytest.mark.parametrize("profile", [HISTORIC, HARDENED.without("ses_7")], ids=["historic", "without ses_7"])
def test_without_the_idle_timer_sessions_can_last_for_ever(profile: Profile) -> None:
    explored = Explored.all(setting(profile))
    assert explored.longest_session(Mode.RECEIVING_MESSAGE) is None
    assert explored.longest_session(Mode.TALKING_TO_SSS) is None
