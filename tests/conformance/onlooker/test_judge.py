"""The judge of captures: honest devices are never accused, wrong ones are, and what is assumed is said."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.capture import CapturedFrame
from conformance.onlooker import Standing, judge_capture
from conformance.purpose import FOLDER, load
from conformance.wire.frames import Frame, whole_frame
from conformance.wire.secrets import KeyLog
from model.alphabet import SSS_ID, Link

IUT = 10
PURPOSES = sorted(p.stem for p in FOLDER.glob("*.toml"))
HALVES = "preempt-half-read"
"""Its request is given in two halves, which the lab's captures leave out."""
SAMPLE = ("unregistered-16", "register-twice", "lost-flight-4", "glare-lower", "close-lost")


def iut(name):
    """Whom a purpose is about."""
    return load(FOLDER / f"{name}.toml").iut


def whole(name, scene):
    """A purpose's capture with every frame that was on the links."""
    told = scene(name)
    if name != HALVES or any(f.link is Link.CPU and f.towards for f in told.frames):
        return told
    request = CapturedFrame(0, Link.CPU, True, IUT, Frame(SSS_ID, IUT, bytes([IUT, 0, 0, 0])).encode())
    frames = (*told.frames[:4], request, *told.frames[4:])
    return replace(told, frames=tuple(replace(f, number=n) for n, f in enumerate(frames, 1)))


# --- honest devices --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PURPOSES)
def test_an_honest_controller_is_allowed(name, scene):
    told = whole(name, scene)
    if not told.frames:
        return
    verdict = told.judge()[iut(name)]
    assert verdict.standing is Standing.ALLOWED, verdict
    assert verdict.assumptions == () and verdict.requirements == ()
    assert verdict.judged == len(told.frames)


@pytest.mark.parametrize("name", PURPOSES)
def test_without_a_context_it_is_allowed_or_unknown(name, scene):
    verdict = whole(name, scene).judge(context=False)[iut(name)] if scene(name).frames else None
    # A power cycle that nobody tells of, and nothing else, leaves a doubt.
    assert verdict is None or verdict.standing is (Standing.UNKNOWN if name == "power-cycle" else Standing.ALLOWED)


@pytest.mark.parametrize("links", [(Link.RADIO, Link.SSS), (Link.RADIO, Link.CPU), (Link.RADIO,), (Link.SSS, Link.CPU)])
def test_missing_links_accuse_nobody(links, scene):
    known = 0
    for name in PURPOSES[::2]:
        for sed, verdict in whole(name, scene).only(*links).judge().items():
            assert verdict.standing is not Standing.NOT_ALLOWED, (name, verdict)
            known += sed == IUT and verdict.standing is Standing.ALLOWED
    assert known >= 50, known


@pytest.mark.parametrize("name", SAMPLE)
def test_late_starts_accuse_nobody(name, scene):
    told = scene(name).unvouched()
    for start in range(1, len(told.frames), 2):
        for context in (True, False):
            for verdict in replace(told, frames=told.frames[start:]).judge(context=context).values():
                assert verdict.standing is not Standing.NOT_ALLOWED, (start, verdict)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_lost_frame_accuses_nobody(name, scene):
    told = scene(name).unvouched()
    for lost in range(0, len(told.frames), 1 if name == SAMPLE[0] else 3):
        left = told.frames[:lost] + told.frames[lost + 1 :]
        for context in (True, False):
            for verdict in replace(told, frames=left).judge(context=context).values():
                assert verdict.standing is not Standing.NOT_ALLOWED, (lost + 1, verdict)


@pytest.mark.parametrize("name", SAMPLE)
def test_many_lost_frames_accuse_nobody(name, scene):
    told = scene(name).unvouched()
    for seed in range(8):
        luck = random.Random(seed)
        left = tuple(f for f in told.frames if luck.random() > 0.15)
        for verdict in replace(told, frames=left).judge().values():
            assert verdict.standing is not Standing.NOT_ALLOWED, (seed, verdict)


def test_without_secrets_sealed_records_are_taken_at_their_word(scene):
    for name in SAMPLE:
        verdict = scene(name).judge(keys=False)[IUT]
        assert verdict.standing is Standing.ALLOWED, verdict


@pytest.mark.parametrize("name", [*SAMPLE, "absent-peer"])
def test_a_real_clock_is_tolerated(name, scene):
    told = scene(name)
    luck, late, frames = random.Random(1), 0, []
    for frame in told.frames:
        late += luck.randrange(3_000, 15_000)
        frames.append(replace(frame, time_us=frame.time_us * 201 // 200 + late))  # half a percent slow
    real = replace(told, frames=tuple(frames), context=replace(told.context, virtual=False))
    assert real.judge()[IUT].standing is Standing.ALLOWED
    assert replace(real, context=replace(real.context, virtual=True)).judge()[IUT].standing is Standing.NOT_ALLOWED


# --- what is said ----------------------------------------------------------------------------------------------------


def test_every_device_is_listed_and_the_sss_is_not_judged(scene):
    verdicts = scene("register").judge()
    assert list(verdicts) == [SSS_ID, IUT]
    assert verdicts[SSS_ID].standing is Standing.UNKNOWN and "controllers" in verdicts[SSS_ID].text
    assert list(scene("unregistered-16").judge()) == [IUT, 11]


def test_what_is_no_controller_is_not_judged():
    frames = [CapturedFrame(n, Link.RADIO, True, sed, b"") for n, sed in enumerate([0, 1, 2, *range(3, 300)])]
    verdicts = judge_capture(frames, KeyLog())
    assert [v.sed for v in verdicts] == list(range(300))
    assert all(v.standing is Standing.UNKNOWN and "No controller" in v.text for v in verdicts[:3])
    assert sum("more than 256 devices" in v.text for v in verdicts) == 297 - 256


def test_many_power_ups_at_one_time_are_bounded(scene):
    told = scene("unregistered-16")
    often = replace(told, context=replace(told.context, boots={IUT: (0,) * 10_000}))
    assert often.judge()[IUT].standing is Standing.ALLOWED


def test_a_hidden_cpu_frame_is_an_assumption(scene):
    verdict = scene("unregistered-16").only(Link.RADIO).judge()[IUT]
    assert any("the CPU gave a message for 11 before frame" in a for a in verdict.assumptions), verdict.assumptions
    assert verdict.links == (Link.RADIO,)


def test_record_numbers_prove_a_loss(scene):
    told = scene("unregistered-16").unvouched()
    lost = next(n for n, f in enumerate(told.frames) if not f.towards and f.frame[8:9] == b"\x17")
    verdict = replace(told, frames=told.frames[:lost] + told.frames[lost + 1 :]).judge()[IUT]
    assert verdict.standing is Standing.ALLOWED
    assert any("its records 1/1 to 11 are missing" in a for a in verdict.assumptions), verdict.assumptions


def test_what_nothing_proves_is_unknown_and_names_the_rule(scene):
    told = scene("unregistered-16").unvouched()
    lost = max(n for n, f in enumerate(told.frames) if not f.towards and f.link is Link.CPU)
    later = CapturedFrame(told.frames[-1].time_us + 10_000_000, Link.RADIO, True, IUT, Frame(12, 13, b"x").encode())
    left = (*told.frames[:lost], *told.frames[lost + 1 :], later)
    verdict = replace(told, frames=left).judge()[IUT]
    if Link.CPU not in verdict.links:
        pytest.skip("no other frame of the CPU")
    assert verdict.standing is Standing.UNKNOWN
    assert "SES-3" in verdict.requirements and "unless the capture lost frames" in verdict.text


def test_annotations_say_rules_and_states(scene):
    told = scene("register")
    verdict = told.judge()[IUT]
    assert [a.number for a in verdict.annotations] == [f.number for f in told.frames]
    assert verdict.annotations[0].rules == ("SES-4.open",)
    assert verdict.annotations[-1].states == ("IDLE (registered)",) == verdict.states


# --- wrong devices ---------------------------------------------------------------------------------------------------


def answers(f: CapturedFrame) -> bool:
    """A frame for the CPU."""
    return not f.towards and f.link is Link.CPU


def closes(f: CapturedFrame) -> bool:
    """A sealed alert of the controller's."""
    return not f.towards and f.link is not Link.CPU and f.frame[8:9] == b"\x15"


@pytest.mark.parametrize(
    ("name", "which", "rule"),
    [
        ("register", answers, "REG-4"),
        ("unregistered-16", answers, "SES-3"),
        ("unregistered-16", closes, "SES-2"),
        ("close-lost", closes, "SES-7"),
    ],
)
def test_what_a_complete_capture_lacks_was_not_sent(name, which, rule, scene):
    told = scene(name)
    at = next(n for n, f in enumerate(told.frames) if which(f))
    verdict = replace(told, frames=told.frames[:at] + told.frames[at + 1 :]).judge()[IUT]
    assert verdict.standing is Standing.NOT_ALLOWED
    assert rule in verdict.requirements, verdict
    assert verdict.frames and verdict.time_us is not None and verdict.expected


def test_whichever_frame_a_complete_capture_lacks_the_device_is_accused(scene):
    told = scene("glare-lower")
    for frames in (told.frames, told.frames[:10]):
        for at in range(len(frames) - 1):
            cut = replace(told, frames=frames[:at] + frames[at + 1 :])
            assert cut.judge(lossless=True)[IUT].standing is Standing.NOT_ALLOWED, f"{len(frames)}, not {at + 1}"


@pytest.mark.parametrize("ms", [-1_000, 1_000])
def test_a_retransmission_at_another_time(ms, scene):
    told = scene("absent-peer")
    hellos = [n for n, f in enumerate(told.frames) if not f.towards and f.frame[2:4] == b"\x0c\x00"]
    frames = list(told.frames)
    frames[hellos[2]] = replace(frames[hellos[2]], time_us=frames[hellos[2]].time_us + ms * 1_000)
    moved = replace(told, frames=tuple(frames))
    verdict = moved.judge()[IUT]
    assert verdict.standing is Standing.NOT_ALLOWED and "DTL-6" in verdict.requirements, verdict
    verdict = moved.judge(context=False)[IUT]
    assert verdict.standing is not Standing.ALLOWED and "DTL-6" in verdict.requirements, verdict


def test_a_delivery_that_nothing_explains(scene):
    told = scene("unregistered-16")
    at = next(n for n, f in enumerate(told.frames) if answers(f))
    twice = (*told.frames[: at + 1], *told.frames[at:])
    verdict = replace(told, frames=twice).judge()[IUT]
    assert verdict.standing is Standing.NOT_ALLOWED
    assert verdict.observed[-1].startswith("deliver(") and verdict.frames[-1] == told.frames[at].number


def test_other_bytes_are_not_delivered(scene):
    told = scene("unregistered-16")
    at = next(n for n, f in enumerate(told.frames) if answers(f))
    data = bytearray(told.frames[at].frame)
    data[-1] ^= 1
    frames = (*told.frames[:at], replace(told.frames[at], frame=bytes(data)), *told.frames[at + 1 :])
    verdict = replace(told, frames=frames).judge()[IUT]
    assert verdict.standing is Standing.NOT_ALLOWED and "SES-8" in verdict.requirements


def test_what_a_tap_elsewhere_shows_is_never_an_accusation(scene):
    told = scene("absent-peer")
    hellos = [f for f in told.frames if not f.towards and f.frame[2:4] == b"\x0c\x00"]
    early = replace(hellos[2], time_us=hellos[2].time_us - 1_000_000)
    there = tuple(replace(f, sed=12, towards=True) for f in (*hellos[:2], early, *hellos[3:]))
    verdict = replace(told.unvouched(), frames=there).judge(lossless=True)[IUT]
    assert verdict.standing is Standing.UNKNOWN and "between the taps" in verdict.text
    assert "DTL-6" in verdict.requirements


# --- anything at all -------------------------------------------------------------------------------------------------

FRAMES = st.builds(
    CapturedFrame,
    st.integers(0, 2**40),
    st.sampled_from(list(Link)),
    st.booleans(),
    st.sampled_from([3, 10, 11]),
    st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda t, s, p: Frame(t, s, p).encode(),
            st.sampled_from([0, 1, 2, 10, 11]),
            st.sampled_from([1, 2, 3, 10, 11]),
            st.binary(max_size=60),
        ),
    ),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(FRAMES, max_size=12))
def test_any_frames_get_a_verdict(frames):
    for verdict in judge_capture(frames, KeyLog()):
        assert verdict.text


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_damaged_captures_get_a_verdict(scene, data):
    told = scene(data.draw(st.sampled_from(SAMPLE)))
    frames = list(told.frames)
    for _ in range(3):
        at = data.draw(st.integers(0, len(frames) - 1))
        damaged = bytearray(frames[at].frame)
        damaged[data.draw(st.integers(8, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
        frames[at] = replace(frames[at], frame=bytes(damaged))
    for context in (True, False):
        assert replace(told, frames=tuple(frames)).judge(context=context)


def test_a_frame_is_exactly_one_frame():
    frame = Frame(10, 11, b"abc")
    assert whole_frame(frame.encode()) == frame
    assert [whole_frame(d) for d in (b"", b"S", frame.encode() + b"x", frame.encode()[:-1], b"x" + frame.encode())] == [
        None
    ] * 5
