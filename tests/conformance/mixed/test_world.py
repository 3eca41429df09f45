"""A world of several SEDs: real controllers, a real SSS, real DTLS, the model beside each."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.capture import CapturedFrame, Context, KeyLogText, read_capture
from conformance.mixed import build as build_module
from conformance.mixed import program
from conformance.mixed.control import Control
from conformance.mixed.file import LabFile, parse
from conformance.mixed.lines import json_line
from conformance.mixed.secrets import Handshakes
from conformance.mixed.steps import from_words
from conformance.mixed.world import World
from conformance.onlooker.judge import judge_capture
from conformance.onlooker.verdict import Standing
from conformance.targets.base import HarnessError, Reaction
from conformance.targets.elf import Elf
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.wire.frames import Frame
from conformance.wire.secrets import KeyLog
from model.alphabet import Link
from model.verdict import Verdict
from reference.deployment import Deployment
from reference.dialect import RSA_AES_256, Dialect
from reference.registration import FURTHER

FIRMWARE = Path(__file__).parents[3] / "build/firmware/controller.elf"
Event = dict[str, Any]


def lab(*script: str, devices: str = "10p 11p", iut: Path | None = None, **keys: Any) -> LabFile:
    """A lab in few words: `10f` is our firmware, `10h` the historic one with `iut`, `11p` a Python SED; a step is
    `1s send by=10 to=11 size=5`."""
    tables = []
    kinds = {"f": {"elf": str(FIRMWARE)}, "h": {"iut": str(iut)}, "p": {}}
    for word in devices.split():
        firmware = kinds[word[-1]]
        tables.append({"id": int(word[:-1]), "kind": "firmware" if firmware else "python", **firmware})
    steps = []
    for line in script:
        when, do, *rest = line.split()
        pairs = dict(pair.split("=") for pair in rest)
        steps.append({"when": when, "do": do} | {k: int(v) if v.lstrip("-").isdigit() else v for k, v in pairs.items()})
    return parse(Path("lab.toml"), {"pace": 0, "device": tables, "script": steps, **keys})


def at_once(control: Control) -> None:
    while control.wait_s() is not None:
        control.advance()


def run(file: LabFile, then: Callable[[World], None] = lambda _: None) -> tuple[program.Ended, list[Event]]:
    """Run it; what came of it, and all that happened."""
    events: list[Event] = []

    def begun(world: World) -> None:
        world.listeners.append(lambda now, kind, facts: events.append(json.loads(json_line(now, kind, facts))))
        then(world)

    return program.run(file, at_once, lambda: 0.0, begun), events


def verdicts(capture: Path) -> dict[int, Standing]:
    """What the judge of captures says of the SEDs of one, with the secrets that it holds."""
    with capture.open("rb") as stream:
        entries = list(read_capture(stream))
    keylog = KeyLog("".join(e.text for e in entries if isinstance(e, KeyLogText)))
    context = next(e for e in entries if isinstance(e, Context))
    frames = [e for e in entries if isinstance(e, CapturedFrame)]
    return {v.sed: v.standing for v in judge_capture(frames, keylog, context) if v.sed >= 3}


def of(events: list[Event], kind: str, **facts: Any) -> list[Event]:
    return [e for e in events if e["event"] == kind and facts.items() <= e.items()]


HISTORIC = {"suite": "rsa-aes256", "cn_pattern": "{id}_PROVISION", "registration": "22-byte"}
RECORD_COSTS = 13 + 8 + 16
"""Bytes of a record beside its content: header, explicit nonce, tag."""
OTHERS_OF_2021: dict[str, Any] = {"cn_pattern": "{id}_PROVISION", "wide_response": True}
REGISTERED = ("1s register by=10", "1s register by=11")


def test_messages_arrive_as_late_as_the_links_are() -> None:
    file = lab(
        *REGISTERED, "2s send by=10 to=11 size=3000", link={"radio": {"latency": "5ms"}, "sss": {"latency": "2ms"}}
    )
    ended, events = run(file)
    assert ended.verdict is Verdict.PASS and ended.facts["delivered"] == 1 and ended.facts["registered"] == 2
    (answer,) = of(events, "cpu-gets", device=10)
    assert answer["t"] == 1000 + 8 * 2 and answer["what"] == "answer: register"  # four flights each way, 2 ms each
    (message,) = of(events, "cpu-gets", device=11, bytes=3000)
    assert message["t"] == 2000 + 7 * 5 and message["from"] == 10  # six flights, then the records
    assert of(events, "state", device=11)[-1]["model"] == "IDLE registered"


def test_a_slow_medium_carries_one_frame_after_another() -> None:
    file = lab("0s send by=10 to=11 size=9630", link={"radio": {"baud": 115_200}})
    _, events = run(file)
    (message,) = of(events, "cpu-gets", device=11)
    radio = of(events, "sent", link="radio")
    until = radio.index(next(e for e in radio if e["from"] == 10 and e["what"] == "close_notify"))
    carried = sum(e["bytes"] + 8 for e in radio[: until + 1])
    assert message["t"] >= carried * 10 * 1000 / 115_200  # and each flight waits for the one before
    assert message["t"] <= carried * 10 * 1000 / 115_200 + len(radio)


def test_the_same_file_gives_the_same_bytes_and_another_seed_others() -> None:
    script = (*REGISTERED, "2s send by=10 to=11 size=40", "2s send by=11 to=10 size=40", "30s boot by=10")
    first, second, third = (run(lab(*script, seed=seed))[1] for seed in (1, 1, 2))
    assert first == second and len(first) > 40
    assert [e["t"] for e in third] and third != first


def test_who_watches_changes_nothing() -> None:
    """The same frames at the same times, also where CPU frames wait and two firmwares call each other at once."""
    script = (*REGISTERED, *["2s send by=10 to=11 size=9"] * 3, "2s send by=11 to=10 size=900", "2s duplicate flight=5")
    seen = []
    for watch in (True, False):
        ended, events = run(lab(*script, devices="10f 11f", watch=watch, link={"radio": {"latency": "3ms"}}))
        assert ended.facts["delivered"] == 4
        seen.append([(e["t"], e["from"], e["to"], e["bytes"], e["fate"]) for e in of(events, "sent")])
    assert seen[0] == seen[1]


def test_faults_silence_and_power_cycles() -> None:
    ended, events = run(
        lab(
            *REGISTERED,
            "2s lose flight=2",
            "2s send by=10 to=11 size=5",
            "20s silence who=11",
            "20s send by=10 to=11 size=6",
            "300s restore who=11",
            "300s boot by=10",
            "301s silence who=1",
            "301s register by=11",
            "600s expect at=11 what=answer op=-1",
            "600s restore who=1",
            "600s restart",
            "601s register by=10",
            "601s register by=11",
            "602s lose flight=1",
            "602s mend",
            "602s send by=11 to=10 size=7",
        )
    )
    assert ended.verdict is Verdict.PASS, ended.reason
    assert [e["t"] for e in of(events, "cpu-gets", device=11, **{"from": 10})] == [9000]  # seven seconds after flight 1
    assert ended.facts["given"] == 3 and ended.facts["refused"] == 1
    assert of(events, "lost", to=11) and of(events, "power-cycle", device=10) and of(events, "sss-restarts")
    assert [e["t"] for e in of(events, "cpu-gets", device=10, **{"from": 11})] == [602_000], "mended"
    assert ended.facts["delivered"] == 2, "what was sent while 11 was silent is lost"


@pytest.mark.parametrize("devices", ["10f 11p", "10p 11p"])
def test_a_power_cycle_forgets_all_and_brings_other_randomness(devices: str) -> None:
    hellos: list[bytes] = []

    def look(world: World) -> None:
        def listener(_now: int, kind: str, facts: Event) -> None:
            if kind == "sent" and facts["what"] == "ClientHello" and facts["link"] == "radio":
                hellos.append(world.links.flying[-1].data[35:67])  # its random

        world.listeners.append(listener)

    slow = {"link": {"radio": {"latency": "100ms"}}}
    # The same message so long after power-up, twice, and nothing else: with the same boot seed, the same hello would
    # come (ADV-3).
    script = (
        "0s silence who=11",
        "3s restore who=11",
        "1s send by=10 to=11 text=hi",
        "1250ms boot by=10",
        "2250ms send by=10 to=11 text=hi",
    )
    again = ("200s register by=10", "201s boot by=10")
    ended, events = run(lab(*script, *again, devices=devices, **slow), look)
    assert ended.verdict is Verdict.PASS and ended.facts["delivered"] == 1 and ended.facts["given"] == 2
    states = [(e["t"], e["model"]) for e in of(events, "state", device=10)]
    assert (1250, "IDLE unregistered") in states and states[-1] == (201_000, "IDLE unregistered")
    assert len(hellos) == 3 and hellos[0] != hellos[1] == hellos[2], "the third is the second, sent again"


def test_what_a_cpu_says_at_once_waits_for_its_turn() -> None:
    ended, events = run(lab(*["0s send by=10 to=11 size=5"] * 4, link={"radio": {"latency": "10ms"}}))
    assert ended.verdict is Verdict.PASS, ended.reason
    assert [e["t"] for e in of(events, "cpu-gets", device=11)] == [70, 130, 190, 250]


def test_what_is_injected_on_a_cpu_s_link_is_the_cpu_s_word() -> None:
    """In two pieces, between two frames of the CPU's own; a frame of which only a part came takes the next one in."""
    frame = Frame(11, 10, b"hello").encode().hex()
    pieces = (f"1s inject at=10 link=cpu raw={frame[:12]}", f"1s inject at=10 link=cpu raw={frame[12:]}")
    ended, events = run(lab("1s send by=10 to=11 size=4", *pieces, "1s send by=10 to=11 size=6"))
    assert ended.verdict is Verdict.PASS, ended.reason
    assert [e["bytes"] for e in of(events, "cpu-gets", device=11)] == [4, 5, 6] and ended.facts["given"] == 3
    ended, events = run(lab(f"1s inject at=10 link=cpu raw={frame[:16]}", "1s send by=10 to=11 size=4", watch=False))
    assert ended.verdict is Verdict.PASS, ended.reason
    assert [e["bytes"] for e in of(events, "cpu-gets", device=11)] == [5], "of which the header of the other is a part"


def test_who_is_silent_is_not_heard_either() -> None:
    ended, events = run(lab("0s silence who=10", "0s send by=10 to=11 size=5", "8s restore who=10"))
    assert [e["fate"] for e in of(events, "sent", **{"from": 10}, what="ClientHello")] == ["lost", "lost", "delivered"]
    assert [e["t"] for e in of(events, "cpu-gets", device=11)] == [21_000], "the third flight 1 came"
    assert ended.facts["delivered"] == 1


def test_an_sss_that_starts_again_has_forgotten_the_session_and_not_the_devices() -> None:
    slow = {"link": {"sss": {"latency": "100ms"}}}
    script = ("0s register by=10", "650ms restart", "600s expect at=10 what=answer op=-1", "600s register by=10")
    ended, events = run(lab(*script, "700s expect at=10 what=answer", **slow))
    assert ended.verdict is Verdict.PASS, ended.reason
    assert of(events, "cpu-gets", device=10)[0]["t"] > 60_000, "nobody answers a request of a session that is gone"


def test_a_message_that_comes_twice_fails_a_lab_without_a_model_too(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ReferenceTarget.send

    def twice(self: ReferenceTarget, link: Link, data: bytes) -> Reaction:
        reaction = honest(self, link, data)
        again = tuple(chunk for chunk in reaction.chunks if chunk[0] is Link.CPU)
        return replace(reaction, chunks=reaction.chunks + again)

    monkeypatch.setattr(ReferenceTarget, "send", twice)
    ended, _ = run(lab("0s send by=10 to=11 size=5", watch=False))
    assert ended.verdict is Verdict.FAIL and ended.broken is not None and ended.broken.iut == 11
    assert "a message of 5 B from 10 that nobody sent, or that it gave before" in ended.reason


def test_everybody_hears_everything_if_the_file_says_so() -> None:
    script = ("0s send by=10 to=11 size=5",)
    heard = [of(run(lab(*script, devices="10p 11p 12p", overhear=o))[1], "arrives", to=12) for o in (False, True)]
    assert heard[0] == [] and len(heard[1]) > 5


def test_an_expectation_that_is_not_met_fails_the_lab() -> None:
    ended, events = run(lab("1s send by=10 to=11 size=5", "2s expect at=11 what=message size=6"))
    assert ended.verdict is Verdict.FAIL and ended.verdict.exit_code == 1
    assert ended.reason == "expectation not met: expect at=11 what=message size=6: the CPU of 11 got 5 B from 10"
    assert len(of(events, "unmet")) == 1


def wrong_timer(monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    """The device `wrong` gives idle sessions ten seconds too few (SES-7)."""
    target = build_module._target

    def other(entry: build_module.DeviceEntry, deployment: Deployment) -> Any:
        return ReferenceTarget(dialect=Dialect(idle_timeout=50_000)) if entry.id == wrong else target(entry, deployment)

    monkeypatch.setattr(build_module, "_target", other)


def test_the_model_stops_a_device_that_does_what_no_rule_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_timer(monkeypatch, 11)
    file = lab(*REGISTERED, "2s send by=10 to=11 size=5")
    ended, _ = run(file)
    assert ended.verdict is Verdict.FAIL and ended.broken is not None and ended.broken.iut == 11
    assert ended.broken.divergence is not None and "SES-7" in ended.broken.divergence.requirements
    assert ended.reason.startswith("SED 11 did what no rule allows")
    mark = ended.broken.divergence.step
    assert mark in [frame.step for frame in ended.broken.ladder], "the ladder shows where"
    unwatched, _ = run(LabFile(**{name: getattr(file, name) for name in LabFile.__slots__} | {"watch": False}))
    assert unwatched.verdict is Verdict.PASS


@pytest.mark.parametrize("devices", ["10f 11f", "10f 11p", "10p 11f"])
def test_firmwares_and_python_in_all_mixes_watched_and_recorded(devices: str, tmp_path: Path) -> None:
    script = (*REGISTERED, "2s lose flight=5", "2s send by=10 to=11 size=2000", "20s send by=11 to=10 size=16384")
    script += ("50s send by=10 to=11 size=5", "50s send by=11 to=10 size=6")  # glare
    ended, events = run(lab(*script, devices=devices, record=str(tmp_path), link={"radio": {"latency": "3ms"}}))
    assert ended.verdict is Verdict.PASS, ended.reason
    assert ended.facts["delivered"] == ended.facts["given"] == 4
    states = [e["model"] for e in of(events, "state", device=11)]
    assert any("message for 10 put aside" in s for s in states), "the higher id yields"
    assert verdicts(tmp_path / "lab.pcapng") == {10: Standing.ALLOWED, 11: Standing.ALLOWED}
    trace = [json.loads(line) for line in (tmp_path / "10.jsonl").read_text().splitlines()]
    assert trace[0]["device"] == 10 and [s["n"] for s in trace[1:-1]] == list(range(len(trace) - 2))
    assert trace[-1]["verdict"] == "PASS" and (tmp_path / "10.jsonl").stat().st_mode & 0o777 == 0o600


def some_act(chance: random.Random) -> str:
    """A command, drawn: what CPUs do, what goes wrong, and junk in and between frames. None is of the FAA."""
    by = chance.choice((10, 11))
    other, kind = 21 - by, chance.random()
    if kind < 0.3:
        ids = chance.choice(((by, other), (chance.choice((0, 1, by, other)), chance.choice((1, other, by)))))
        frame = Frame(*ids, chance.randbytes(chance.randrange(80))).encode()
        junk = chance.choice((frame, frame, chance.randbytes(chance.randrange(1, 60))))
        return f"inject {by} {chance.choice(('radio', 'sss', 'cpu'))} {junk.hex()}"
    if kind < 0.5:
        return f"send {by} {other} {chance.choice((0, 5, 1000, 3000))}"
    if kind < 0.65:
        return f"{chance.choice(('register', 'deregister'))} {by}"
    if kind < 0.75:
        return chance.choice((f"boot {by}", "restart"))
    return f"{chance.choice(('lose', 'duplicate', 'cut'))} flight={chance.randint(1, 6)}" if kind < 0.85 else "mend"


@pytest.mark.parametrize(("seed", "devices"), [(1, "10f 11f"), (2, "10f 11f"), (3, "10f 11p"), (4, "10p 11p")])
def test_whatever_is_done_nobody_is_accused_and_nothing_breaks(seed: int, devices: str) -> None:
    chance = random.Random(seed)
    world, acts = build_module.build(lab(devices=devices, seed=seed, link={"radio": {"latency": "2ms"}}))
    try:
        world.boot()
        for _ in range(60):
            acts.do(from_words(some_act(chance), world.devices))
            for _ in range(chance.choice((0, 1, 3, 20, 1_000))):
                if not world.step():
                    break
        assert world.counts.delivered
    finally:
        world.close()


def test_the_real_state_stands_beside_the_model_s(tmp_path: Path) -> None:
    seen: dict[int, list[tuple[str, str]]] = {10: [], 11: []}

    def look(world: World) -> None:
        def listener(_now: int, kind: str, _facts: Event) -> None:
            if kind == "arrives":
                for number, device in world.devices.items():
                    if not device.can_speak and device.boots:
                        seen[number].append((device.real_state(), device.model_state()))

        world.listeners.append(listener)

    run(lab(*REGISTERED, "2s send by=10 to=11 size=5", devices="10f 11p"), look)
    for pairs in seen.values():
        assert {real.split()[0] for real, _ in pairs} >= {"IDLE", "TALKING_TO_SSS"}
        for real, model in pairs:
            mode, registered = real.split()
            assert model.startswith(mode) and f" {registered}" in model, (real, model)


def test_a_secret_that_is_nowhere_is_said_and_not_held_against_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QemuTarget, "memory", lambda self, address, size: bytes(size))
    with pytest.raises(HarnessError, match="the memory of SED 10 does not show the secret of its session with 11"):
        run(lab("0s send by=10 to=11 size=5", devices="10f 11f"))


def test_a_device_that_cannot_be_run_is_an_error_of_the_machine(build: Callable[[str], Path]) -> None:
    table = {"id": 10, "kind": "firmware", "elf": str(build("lockup"))}
    file = parse(
        Path("lab.toml"), {"pace": 0, "device": [table], "script": [{"when": "1s", "do": "register", "by": 10}]}
    )
    ended, _ = run(file)
    assert ended.verdict is Verdict.FAIL and ended.broken is not None
    assert "locked up" in ended.reason and any("R15" in line for line in ended.broken.evidence)


def test_a_given_deployment(tmp_path: Path) -> None:
    Deployment.create([10, 12], seed=b"tests/lab").save(tmp_path / "made")
    wanted = {"deployment": {"folder": str(tmp_path / "made")}}
    ended, _ = run(lab("0s register by=10", devices="10p 12p", **wanted))
    assert ended.facts["registered"] == 1
    with pytest.raises(build_module.BadLab, match=r"`folder`: .*made has no SED 11; it has \[10, 12\]"):
        run(lab(devices="10p 11p", **wanted))
    with pytest.raises(build_module.BadLab, match=r"deployment\.json cannot be read"):
        run(lab(devices="10p", deployment={"folder": str(tmp_path)}))
    Deployment.create([10], seed=b"tests/lab", cn_pattern="{id}_PROVISION").save(tmp_path / "other")
    ended, _ = run(lab("0s register by=10", devices="10p", deployment={"folder": str(tmp_path / "other")}))
    assert ended.facts["registered"] == 1, "with the names that the folder has"


def test_a_deployment_of_2021_watched_and_recorded(tmp_path: Path) -> None:
    """RSA, names and the wide layout: judged right while it runs, and from the capture."""
    script = (*REGISTERED, "2s lose flight=5", "2s send by=10 to=11 size=2000", "20s deregister by=11")
    script += ("30s send by=11 to=10 size=5", "40s deregister by=10", "50s send by=11 to=10 size=6")
    sizes = []
    for layout in ("22-byte", "10-byte"):
        folder = tmp_path / layout
        ended, events = run(lab(*script, record=str(folder), deployment=HISTORIC | {"registration": layout}))
        assert ended.verdict is Verdict.PASS, ended.reason
        assert (ended.facts["registered"], ended.facts["deregistered"]) == (2, 2)
        assert ended.facts["delivered"] == 2, "as both are, or are not, registered"
        assert any("ClientKeyExchange" in e["what"] and "of 258)" in e["what"] for e in of(events, "sent"))
        assert verdicts(folder / "lab.pcapng") == {10: Standing.ALLOWED, 11: Standing.ALLOWED}
        answers = [e for e in of(events, "sent", link="sss", **{"from": 1}) if e["what"].startswith("data")]
        sizes.append(sum(e["bytes"] - RECORD_COSTS for e in answers))
    assert sizes[0] - sizes[1] == 4 * (22 - 10) + 2 * sum(FURTHER), "four answers, two of them with further blobs"


@pytest.fixture
def historic(tmp_path: Path) -> Path:
    """The file of a controller of the historic system, which is no code of ours to the lab."""
    folder = Path(__file__).parents[1] / "iut/historic"
    (tmp_path / "historic.toml").write_text((folder / "historic.toml").read_text().replace("{folder}", str(folder)))
    return tmp_path / "historic.toml"


def test_a_firmware_with_a_file_of_its_own_is_judged_by_that(historic: Path) -> None:
    script = (*REGISTERED, "2s send by=10 to=11 size=2000", "20s send by=11 to=10 size=300", "30s boot by=10")
    ended, events = run(lab(*script, devices="10h 11p", iut=historic, deployment=HISTORIC))
    assert ended.verdict is Verdict.PASS, ended.reason
    assert ended.facts["delivered"] == 2 and of(events, "state", device=10)[-1]["model"] == "IDLE unregistered"
    glare = (*REGISTERED, "2s send by=10 to=11 size=5", "2s send by=11 to=10 size=6")
    slow = {"link": {"radio": {"latency": "5ms"}}, "deployment": HISTORIC}
    ended, _ = run(lab(*glare, devices="10p 11h", iut=historic, **slow))
    assert ended.verdict is Verdict.PASS, ended.reason
    historic.write_text(historic.read_text().replace('"SES-8", ', '"SES-8", "SES-9", '))
    ended, _ = run(lab(*glare, devices="10p 11h", iut=historic, **slow))
    assert ended.verdict is Verdict.FAIL and ended.broken is not None and ended.broken.divergence is not None
    assert ended.broken.iut == 11 and "SES-9" in ended.broken.divergence.requirements, "which it claims now"


def test_two_firmwares_whose_memory_nobody_can_read_are_not_judged(historic: Path) -> None:
    file = lab("0s send by=10 to=11 size=5", devices="10h 11h", iut=historic, deployment=HISTORIC)
    with pytest.raises(HarnessError, match="the memory of SED 10 does not show the secret of its session with 11"):
        run(file)
    ended, _ = run(replace(file, watch=False))
    assert ended.facts["delivered"] == 1


def test_a_firmware_that_does_not_fit_the_deployment(historic: Path, tmp_path: Path) -> None:
    """Refused before anything runs, with what differs and what to do."""
    said = r"says the suite rsa-aes256, the names '\{id\}_PROVISION' and 22-byte responses; the deployment has .*change"
    for wrong in ({"suite": "rsa-aes128"}, {"cn_pattern": "{id}"}, {"registration": "10-byte"}):
        with pytest.raises(build_module.BadLab, match=rf"device 10: `iut`: .*historic.toml: \[protocol\] {said}"):
            run(lab(devices="10h 11p", iut=historic, deployment=HISTORIC | wrong))
    for key in HISTORIC:
        with pytest.raises(build_module.BadLab, match=r"device 10: `elf`: the deployment has the suite .* with `iut`"):
            run(lab(devices="10f 11p", deployment={key: HISTORIC[key]}))
    run(lab(devices="10f", deployment={"suite": "aes128"}))
    folder = tmp_path / "given"
    Deployment.create([10, 12], seed=b"tests/lab", suite=RSA_AES_256, **OTHERS_OF_2021).save(folder)
    given = '[provisioning]\nkind = "given"\ndeployment = "given"\nid = 12\n[protocol]'
    historic.write_text(historic.read_text().replace("[protocol]", given))
    with pytest.raises(build_module.BadLab, match=r"its certificates are of .*given; \[deployment\] `folder` has to"):
        run(lab(devices="10h", iut=historic, deployment=HISTORIC))
    with pytest.raises(build_module.BadLab, match="its certificates are those of SED 12; give it that `id`"):
        run(lab(devices="10h", iut=historic, deployment={"folder": str(folder)}))


def test_the_variables_of_an_elf(tmp_path: Path) -> None:
    elf = Elf(FIRMWARE)
    state, stack = elf.symbol("state"), elf.symbol("stack_top")
    assert state is not None and 0x2000_0000 <= state[0] < 0x2001_0000 and state[1] == 1
    assert stack is not None and elf.symbol("own_id") is None, "there are three of them"
    assert elf.symbol("no such thing") is None
    data = FIRMWARE.read_bytes()
    for size in (100, len(data) // 2, len(data) - 40):
        (tmp_path / "cut.elf").write_bytes(data[:size])
        try:
            assert Elf(tmp_path / "cut.elf").symbol("state") is None
        except HarnessError as error:
            assert "cut off" in str(error)


def test_nothing_that_a_frame_says_confuses_who_follows_the_handshakes() -> None:
    handshakes = Handshakes()
    for payload in (b"", b"\x16", bytes(100), b"\x16\xfe\xfd" + bytes(8) + b"\x00\x10" + bytes(16), b"\xff" * 1000):
        assert handshakes.see(Frame(11, 10, payload), lambda: bytes(0x10000)) is None
