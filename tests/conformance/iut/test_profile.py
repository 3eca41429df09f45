"""The file that describes an implementation: what it says, and what it must not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from conformance.campaign import DEFAULT_FIRMWARE
from conformance.iut import BadIut, load, parse, write_template
from conformance.iut.profile import RULES
from conformance.iut.skips import reason_to_skip
from conformance.iut.target import make_target
from conformance.purpose import load_purposes
from conformance.targets.base import HarnessError
from conformance.targets.machine import LM3S6965, Board
from conformance.targets.qemu import QemuTarget
from model.alphabet import Link
from model.profile import HARDENED, Setting
from reference.deployment import Deployment
from reference.dialect import RSA_AES_128, Dialect

PAGE = Path(__file__).parents[3] / "docs/protocol.md"
PURPOSES = {p.id: p for p in load_purposes()}
PLAIN: dict[str, Any] = {"name": "x", "target": {"kind": "reference"}}
STREAMS = {"kind": "streams", "cpu": "unix:c", "sss": "tcp:localhost:7001", "radio": "serial:/dev/ttyX"}
GIVEN = {"kind": "given", "deployment": "d"}


def described(**tables: Any) -> Any:
    return parse(Path("f.toml"), PLAIN | tables)


def test_the_template_describes_our_firmware(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write_template(tmp_path / "deep" / "my.toml", tmp_path / "a b" / 'quo"te.elf')
    iut = load(tmp_path / "deep" / "my.toml")
    assert (iut.folder / iut.target["elf"]).resolve() == tmp_path / "a b" / 'quo"te.elf'
    assert (iut.kind, iut.provisioning, iut.claimed, iut.known) == ("qemu", "image", RULES, ())
    assert iut.profile() == HARDENED and iut.setting(10) == Setting(10) and iut.exact
    target = make_target(load_of(tmp_path, DEFAULT_FIRMWARE))
    assert isinstance(target, QemuTarget) and target._board == LM3S6965 == Board()


def load_of(folder: Path, elf: Path) -> Any:
    write_template(folder / "own.toml", elf)
    return load(folder / "own.toml")


def test_every_key_of_the_template_has_its_default(tmp_path: Path) -> None:
    write_template(tmp_path / "my.toml", Path("x.elf"))
    document = tomllib.loads((tmp_path / "my.toml").read_text())
    least = {"name": document["name"], "target": {"kind": "qemu", "elf": document["target"]["elf"]}}
    spelled, silent = load(tmp_path / "my.toml"), parse(tmp_path / "my.toml", least)
    assert (spelled.profile(), spelled.setting(10)) == (silent.profile(), silent.setting(10))
    assert spelled.dialect.cn_pattern == silent.dialect.cn_pattern and spelled.dialect.suite == silent.dialect.suite
    assert make_target_board(spelled) == make_target_board(silent)


def make_target_board(iut: Any) -> tuple[Any, ...]:
    keys = {"machine": LM3S6965.machine, "image_address": LM3S6965.image_address, "image_size": LM3S6965.image_size}
    return tuple(sorted((keys | dict(iut.target)).items(), key=lambda item: item[0]))


def test_what_is_commented_out_is_right_as_well(tmp_path: Path) -> None:
    write_template(tmp_path / "my.toml", Path("x.elf"))
    lines = (tmp_path / "my.toml").read_text().splitlines()
    blocks = {header: [] for header in ("target", "provisioning", "deviation")}  # type: dict[str, list[list[str]]]
    table = ""
    for line in lines:
        if match := re.match(r"\[(\w+)\]", line):
            table = match[1]
        code = line.removeprefix("#   ") if line.startswith("#   ") else None
        if code is None or ("=" not in code and "[[" not in code):
            continue
        if code.startswith(("kind =", "[[")):
            blocks["deviation" if "[[" in code else table].append([])
        blocks["deviation" if table == "rules" else table][-1].append(code)
    assert {name: len(found) for name, found in blocks.items()} == {"target": 3, "provisioning": 2, "deviation": 1}
    for target in blocks["target"]:
        table_of = tomllib.loads("\n".join(target))
        assert described(target=table_of).kind == table_of["kind"]
    for how in blocks["provisioning"]:
        assert described(provisioning=tomllib.loads("\n".join(how))).provisioning
    assert described(**tomllib.loads("\n".join(blocks["deviation"][0]))).known[0].case == "response-trailing"


def test_the_rules_are_those_with_an_h() -> None:
    hardening = set(re.findall(r"^- \*\*([A-Z]+-\d+) \(H\)\*\*", PAGE.read_text("utf-8"), re.MULTILINE))
    of_the_sss = {"REG-1", "REG-3", "REG-5", "REG-7"}
    assert set(RULES) == hardening - of_the_sss | {"SES-11"}
    for rule in RULES:
        assert described(rules={"claimed": [r for r in RULES if r != rule]}).profile() != HARDENED


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"targets": {}}, "f.toml: no key 'targets'; did you mean 'target'? There are name, target,"),
        ({"name": " "}, "`name` is missing"),
        ({"target": 1}, "[target] is missing or no table; it begins with `kind`, which is 'qemu', 'native',"),
        ({"target": {}}, "[target]: `kind` is missing; it is 'qemu', 'native', 'reference' or 'streams'"),
        ({"target": {"kind": "qmeu"}}, "[target]: no kind 'qmeu'; did you mean 'qemu'?"),
        ({"target": {"kind": "qemu"}}, "`elf` is missing, which kind 'qemu' needs; it is a text"),
        ({"target": {"kind": "reference", "elf": "x"}}, "[target]: no key 'elf' There are none"),
        ({"target": {"kind": "native", "command": []}}, "`command` is empty"),
        ({"target": {"kind": "native", "command": [1]}}, "`command` is a list of texts, not [1]"),
        ({"target": {"kind": "qemu", "elf": "x", "image_size": True}}, "`image_size` is a whole number, not True"),
        ({"target": {"kind": "qemu", "elf": "x", "image_size": 0}}, "`image_size` is 1 to 16777216, not 0"),
        ({"target": {"kind": "qemu", "elf": "x", "uarts": {"cpu": 0, "sss": 0, "radio": 2}}}, "`uarts` gives each of"),
        ({"target": STREAMS | {"cpu": "udp:x"}, "provisioning": GIVEN}, "`cpu`: 'udp:x' is none of unix:PATH,"),
        ({"target": STREAMS | {"cpu": "tcp:h:0"}, "provisioning": GIVEN}, "`cpu`: 'tcp:h:0' is none of"),
        ({"target": STREAMS | {"cpu": "tcp:localhost:7001"}, "provisioning": GIVEN}, "two of cpu, sss, radio have one"),
        ({"target": STREAMS}, "`reset` is the command that puts the image into the device"),
        (
            {"target": STREAMS | {"tolerance_ms": 3_400}, "provisioning": GIVEN},
            "have to be below the shortest timer, 7000",
        ),
        ({"provisioning": {"kind": "program"}}, "`command` is missing, which kind 'program' needs"),
        ({"provisioning": GIVEN | {"id": 2}}, "[provisioning]: `id` is 3 to 65535, not 2"),
        ({"protocol": {"suite": "rsa"}}, "[protocol]: no suite 'rsa'"),
        ({"protocol": {"names": "SED"}}, "`names` holds {id} once"),
        ({"protocol": {"names": "{id}{cn}"}}, "`names` holds {id} once"),
        ({"protocol": {"first_timeout_ms": 0}}, "`first_timeout_ms` is 1 to 3600000, not 0"),
        ({"protocol": {"first_timeout_ms": 60_001}}, "`first_timeout_ms` (60001) is above `last_timeout_ms` (60000)"),
        ({"rules": {"claimed": ["SES-1"]}}, "no rule of a controller with an H 'SES-1'"),
        ({"rules": {"claimed": ["REG-7"]}}, "no rule of a controller with an H 'REG-7'"),
        ({"deviation": {}}, "`deviation` is written [[deviation]]"),
        ({"deviation": [{"case": "x", "verdict": "FAIL"}]}, "[[deviation]] 1: `comment` is missing or empty"),
        ({"deviation": [{"case": "x", "verdict": "PASS", "comment": "c"}]}, "[[deviation]] 1: no verdict 'PASS'"),
    ],
)
def test_what_is_wrong_is_named(tables: dict[str, Any], says: str) -> None:
    with pytest.raises(BadIut) as refused:
        described(**tables)
    assert says in str(refused.value)


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(BadIut, match=r"`scewl conform --init-profile .*none.toml` writes one"):
        load(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(BadIut, match=r"bad\.toml: not TOML: "):
        load(tmp_path / "bad.toml")
    with pytest.raises(BadIut, match="is there already"):
        write_template(tmp_path / "bad.toml", Path("x"))
    with pytest.raises(BadIut, match="No such file"):
        write_template(tmp_path / "no" / "x.toml", Path("x"))


class TestSkips:
    def test_what_is_not_claimed(self) -> None:
        iut = described(rules={"claimed": [r for r in RULES if r not in ("SES-9", "ADV-1")]})
        assert reason_to_skip(iut, PURPOSES["yield-bounded"]) == "The firmware does not claim SES-9 and ADV-1."
        assert reason_to_skip(iut, PURPOSES["register"]) == ""
        assert not any(reason_to_skip(described(), p) for p in PURPOSES.values())

    def test_what_the_scripted_peer_cannot(self) -> None:
        scripted = next(p for p in PURPOSES.values() if p.scripted)
        sss = next(p for p in PURPOSES.values() if p.sss is not None)
        sed = next(p for p in PURPOSES.values() if p.scripted and p.sss is None)
        assert "ECDHE-ECDSA only" in reason_to_skip(described(protocol={"suite": "rsa-aes128"}), scripted)
        wide = described(protocol={"registration": "22-byte"})
        assert "10-byte" in reason_to_skip(wide, sss) and not reason_to_skip(wide, sed)

    def test_waits_that_are_made_for_other_timers(self) -> None:
        iut = described(protocol={"first_timeout_ms": 1_000})
        assert iut.setting(10).first_timeout == 1_000
        says = reason_to_skip(iut, PURPOSES["delayed-flight-5"])
        assert says.startswith("It waits for ") and "the firmware's are 1,000, 60,000, 60,000 ms" in says
        assert not reason_to_skip(iut, PURPOSES["lost-flight-4-thrice"])

    def test_what_a_device_was_not_given(self) -> None:
        made = Deployment.create([10, 11], seed=b"given")
        iut = described(provisioning=GIVEN | {"id": 10})
        assert not reason_to_skip(iut, PURPOSES["lost-flight-4"], made)
        assert "peers with the ids 12" in reason_to_skip(iut, PURPOSES["cpu-waits"], made)
        other = described(provisioning=GIVEN | {"id": 11})
        assert reason_to_skip(other, PURPOSES["register"], made) == "It is about the device 10; this one has the id 11."

    def test_what_real_time_cannot_show(self) -> None:
        iut, close = described(target=STREAMS, provisioning=GIVEN), PURPOSES["cpu-waits-for-handshake"]
        assert "for which there is no `reset`" in reason_to_skip(iut, PURPOSES["power-cycle"])
        resets = described(target=STREAMS | {"reset": ["x"]}, provisioning=GIVEN)
        assert not reason_to_skip(resets, PURPOSES["power-cycle"])
        assert 6_999 in [s.arguments.get("ms") for s in close.steps]
        assert "nearer to each other than 700 ms" in reason_to_skip(iut, close)
        assert not reason_to_skip(described(), close)


class TestTargets:
    def test_qemu_is_given_what_the_file_says(self, tmp_path: Path) -> None:
        uarts = {"cpu": 2, "sss": 1, "radio": 0}
        elf = str(DEFAULT_FIRMWARE.resolve())
        keys = {"kind": "qemu", "elf": elf, "machine": "m", "image_address": 4, "image_size": 8, "uarts": uarts}
        made = make_target(described(target=keys))
        assert isinstance(made, QemuTarget)
        assert made._board == Board("m", 4, 8, (Link.RADIO, Link.SSS, Link.CPU))
        assert made._busy_is_idle_ns == 0
        polling = make_target(described(target=keys | {"busy_poll_ms": 20, "options": ["-S"]}))
        assert isinstance(polling, QemuTarget)
        assert (polling._busy_is_idle_ns, polling._options) == (20_000_000, ("-S",))
        with pytest.raises(HarnessError, match="flash has room for 8"):
            made.boot(bytes(9))

    def test_a_program_that_is_not_there(self) -> None:
        with pytest.raises(HarnessError, match=r"no program ./none; a path with a slash begins at \."):
            make_target(described(target={"kind": "native", "command": ["./none"]}))

    def test_the_reference_has_the_dialect(self) -> None:
        made = make_target(described(protocol={"suite": "rsa-aes128", "names": "{id}_P"}))
        dialect = Dialect(RSA_AES_128, "{id}_P")
        deployment = Deployment.create([10], seed=b"s", suite=RSA_AES_128, cn_pattern="{id}_P")
        assert made.boot(deployment.image(10)).debug == ("scewl: ready: id=10",) and dialect.rsa


def test_a_deployment_has_to_fit_the_file(tmp_path: Path) -> None:
    from conformance.iut.target import given_deployment

    Deployment.create([10], seed=b"d").save(tmp_path / "d")

    def given(**protocol: str) -> Any:
        return parse(tmp_path / "f.toml", PLAIN | {"provisioning": GIVEN, "protocol": protocol})

    made = given_deployment(given())
    assert made is not None and set(made.seds) == {10}
    with pytest.raises(HarnessError, match=r"was made with the suite aes256, the names '\{id\}' and"):
        given_deployment(given(names="{id}_PROVISION"))
    with pytest.raises(HarnessError, match=r"and 10-byte responses; \[protocol\] says .* and 22-byte responses"):
        given_deployment(given(registration="22-byte"))
    with pytest.raises(HarnessError, match="has no SED 11"):
        given_deployment(parse(tmp_path / "f.toml", PLAIN | {"provisioning": GIVEN | {"id": 11}}))
    with pytest.raises(HarnessError, match=r"`deployment`: there is no folder .*none: `scewl provision"):
        given_deployment(parse(tmp_path / "f.toml", PLAIN | {"provisioning": GIVEN | {"deployment": "none"}}))
