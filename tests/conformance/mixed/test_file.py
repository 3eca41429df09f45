"""The file of a lab: what it may say, and that each error names the file, the key and what to do."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from conformance.mixed.file import BadLab, duration, load, parse, template
from model.alphabet import Link

PATH = Path("lab.toml")
TWO = {"device": [{"id": 10, "kind": "python"}, {"id": 11, "kind": "python"}]}


def test_the_template_says_what_is_so_without_it(tmp_path: Path) -> None:
    elf = tmp_path / "it's a.elf"
    elf.touch()
    file = parse(tmp_path / "lab.toml", tomllib.loads(template(elf)))
    assert [(d.id, d.kind) for d in file.devices] == [(10, "firmware"), (11, "python"), (12, "python")]
    assert file.devices[0].elf == elf
    assert file.latency == {Link.RADIO: 2, Link.SSS: 1} and [e.when for e in file.script][:2] == [1000, 1000]
    bare = parse(PATH, TWO)
    for key in ("seed", "pace", "until", "watch", "record", "overhear", "sss", "deployment", "dialect"):
        assert getattr(file, key) == getattr(bare, key), key


@pytest.mark.parametrize(
    ("text", "ms"), [("250ms", 250), ("1.5s", 1500), ("5m", 300_000), ("2 h", 7_200_000), ("30d", 2_592_000_000)]
)
def test_durations(text: str, ms: int) -> None:
    assert duration(text) == ms


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1e3s", "1.2345s", "1s2", "\u0661s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"250ms, 1\.5s, 5m, 2h or 30d"):
        duration(text)


def script(**step: Any) -> dict[str, Any]:
    return {"script": [{"when": "1s", **step}]}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"devices": []}, "no key 'devices'; did you mean device"),
        ({"device": []}, r"1 to 64 tables \[\[device\]\], not 0"),
        ({"device": 3}, r"`device` is a list of tables, not 3"),
        ({"device": [3]}, r"\[\[device\]\] is a list of tables"),
        ({"device": [{"id": 10}]}, r"\[\[device\]\] 1: `kind` is missing"),
        ({"device": [{"id": 2, "kind": "python"}]}, "`id` is 3 to 65535, not 2"),
        ({"device": [{"id": True, "kind": "python"}]}, "`id` is a whole number, not True"),
        ({"device": [*TWO["device"], {"id": 10, "kind": "python"}]}, r"\[\[device\]\] 3: `id` 10 is there twice"),
        ({"device": [{"id": 10, "kind": "pyton"}]}, "no kind 'pyton'; did you mean python"),
        ({"device": [{"id": 10, "kind": "firmware"}]}, "only that, has either `elf`, the firmware's file, or `iut`"),
        ({"device": [{"id": 10, "kind": "python", "elf": "x"}]}, 'kind "firmware", and only that, has either `elf`'),
        ({"device": [{"id": 10, "kind": "python", "iut": "x"}]}, 'kind "firmware", and only that, has either `elf`'),
        ({"device": [{"id": 10, "kind": "firmware", "elf": "x", "iut": "y"}]}, "has either `elf`, .*, or `iut`"),
        (
            {"device": [{"id": 10, "kind": "firmware", "iut": "x.toml"}]},
            r"\[\[device\]\] 1: `iut`: x.toml: No such file",
        ),
        ({"device": [{"id": 10, "kind": "firmware", "elf": "x.elf"}]}, "no file x.elf; `make firmware` builds ours"),
        ({"pace": -1}, "`pace` is 0 .as fast as possible. to 1000000"),
        ({"pace": float("nan")}, "`pace` is 0 .as fast as possible. to 1000000"),
        ({"seed": -1}, "`seed` is 0 to"),
        ({"watch": 1}, "`watch` is true or false, not 1"),
        ({"until": "soon"}, "`until`: 'soon' is no time"),
        ({"link": {"cpu": {}}}, r"\[link\]: no key 'cpu'; did you mean"),
        ({"link": {"radio": {"latency": 3}}}, r"\[link.radio\]: `latency` is a text, not 3"),
        ({"link": {"radio": {"baud": 9}}}, r"\[link.radio\]: `baud` is 300 to 10\^9"),
        ({"deployment": {"dir": "x"}}, r"\[deployment\]: no key 'dir'"),
        ({"deployment": {"suite": "rsa"}}, r"\[deployment\]: no suite 'rsa'; did you mean .*rsa-aes128"),
        ({"deployment": {"registration": "23-byte"}}, r"no registration '23-byte'; did you mean 22-byte"),
        ({"deployment": {"cn_pattern": "{me}"}}, r"\[deployment\]: `cn_pattern`: .*must hold \{id\}"),
        ({"deployment": {"folder": "x", "suite": "aes256"}}, r"`suite` is settled in the folder already; leave it or"),
        ({"script": [{"do": "register"}]}, r"\[\[script\]\] 1: `when` and `do` are missing or no texts"),
        (script(do="regster", by=10), "no step 'regster'; did you mean register"),
        (script(do="register"), "register: `by` is missing"),
        (script(do="register", by=12), "register: there is no device 12; there are 10, 11"),
        (script(do="register", by="10"), "register: `by` is a whole number, not '10'"),
        (script(do="send", by=10, to=11), "send: give either `size` in bytes or `text`"),
        (script(do="send", by=10, to=11, size=16_385), "send: a message has at most 16384 bytes"),
        (script(do="send", by=10, to=2, size=1), "send: `to` is 3 to 65535, not 2"),
        (script(do="lose"), "lose: name either a flight"),
        (script(do="lose", flight=7), "lose: `flight` is 1 to 6, not 7"),
        (script(do="lose", record="date"), "no lose: record 'date'; did you mean data"),
        (script(do="silence", who=2), "silence: there is no device 2; there are 1, 10, 11"),
        (script(do="inject", at=10, link="radio", raw="5"), "inject: `raw` is bytes in hexadecimal"),
        (script(do="expect", at=10, what="luck"), "no expect: what 'luck'"),
    ],
)
def test_errors_say_where_and_what(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(BadLab, match=says) as caught:
        parse(PATH, TWO | keys)
    assert str(caught.value).startswith("lab.toml: ")


def test_a_device_with_a_clock_of_its_own_is_none_for_a_lab(tmp_path: Path) -> None:
    links = "".join(f'{link} = "unix:{link}.sock"\n' for link in ("cpu", "sss", "radio"))
    text = f'name = "a board"\n[target]\nkind = "streams"\n{links}reset = ["flash", "{{image}}"]\n'
    (tmp_path / "board.toml").write_text(text)
    with pytest.raises(BadLab, match=r"board.toml is about a device with a clock of its own; time in a lab is virtual"):
        parse(tmp_path / "lab.toml", {"device": [{"id": 10, "kind": "firmware", "iut": "board.toml"}]})


def test_a_file_that_is_not_there_or_not_toml(tmp_path: Path) -> None:
    with pytest.raises(BadLab, match=r"No such file or directory; `scewl lab --init .*lab.toml` writes one"):
        load(tmp_path / "lab.toml")
    (tmp_path / "lab.toml").write_bytes(b"\xff\x00")
    with pytest.raises(BadLab, match="not TOML"):
        load(tmp_path / "lab.toml")
