from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from conformance.cli.provision import parse_ids
from conformance.cli.shared import UsageError
from reference.dialect import Dialect
from reference.image import parse_image


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(scewl, tmp_path: Path) -> Path:
    folder = tmp_path / "deployment"
    assert scewl("provision", folder, "--ids", "10,11").code == 0
    return folder


def test_images_are_made_for_their_owner_alone(folder: Path) -> None:
    images = sorted((folder / "images").iterdir())
    assert [path.name for path in images] == ["10.bin", "11.bin"]
    assert [parse_image(path.read_bytes()).sed_id for path in images] == [10, 11]
    assert {mode(path) for path in images} == {0o600} and mode(folder / "images") == mode(folder) == 0o700


@pytest.mark.parametrize(("suite", "number"), [("aes128", 0xC02B), ("rsa-aes256", 0x009D)])
def test_suite_and_names(scewl, tmp_path: Path, suite: str, number: int) -> None:
    options = ("--suite", suite, "--cn-pattern", "{id}_PROVISION", "--registration", "22-byte", "--json")
    ended = scewl("provision", tmp_path / "d", "--ids", "10", *options)
    assert json.loads(ended.out) == {
        "folder": str(tmp_path / "d"),
        "suite": suite,
        "cn_pattern": "{id}_PROVISION",
        "registration": "22-byte",
        "seds": [10],
        "removed": [],
        "images": [str(tmp_path / "d" / "images" / "10.bin")],
    }
    image = (tmp_path / "d" / "images" / "10.bin").read_bytes()
    assert parse_image(image, Dialect(number, "{id}_PROVISION")).suite == number


def test_an_image_again_is_the_same_and_a_fresh_seed_alone_differs(scewl, folder: Path, tmp_path: Path) -> None:
    first = (folder / "images" / "10.bin").read_bytes()
    one, two = tmp_path / "1.bin", tmp_path / "2.bin"
    two.touch(0o644)
    scewl("provision", folder, "--image", 10, "-o", one)
    scewl("provision", folder, "--image", 10, "-o", two, "--fresh-seed")
    assert one.read_bytes() == first
    image, fresh = parse_image(first), parse_image(two.read_bytes())
    assert image.boot_seed != fresh.boot_seed and bytes(image.credentials.key) == bytes(fresh.credentials.key)
    assert mode(two) == 0o600


def test_show_tells_no_secret_and_writes_nothing(scewl, folder: Path) -> None:
    (folder / "images" / "10.bin").unlink()
    ended = scewl("provision", folder, "--show")
    assert ended.out.splitlines() == [
        f"deployment  {folder}",
        "suite       aes256",
        "names       {id}",
        "responses   10-byte",
        "SEDs        10, 11",
    ]
    assert not (folder / "images" / "10.bin").exists()


def test_keys_are_not_overwritten(scewl, folder: Path) -> None:
    before = (folder / "ca.key.der").read_bytes()
    ended = scewl("provision", folder, "--ids", "10")
    assert ended.code == 2 and str(folder) in ended.err
    assert (folder / "ca.key.der").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--image", "12"], "12"),
        (["--image", "10", "--image", "11", "-o", "x.bin"], "-o names one file"),
        (["--show", "--fresh-seed"], "go with --image"),
        (["--show", "--suite", "aes128"], "go with --ids"),
        (["--show", "--cn-pattern", ""], "go with --ids"),
        (["--image", "10", "--registration", "22-byte"], "go with --ids"),
        (["--ids", "10", "--registration", "12-byte"], "invalid choice: '12-byte' (choose from '10-byte', '22-byte')"),
        (["--show", "--ids", "10"], "not allowed with"),
        ([], "required"),
    ],
)
def test_usage(scewl, folder: Path, arguments: list[str], says: str) -> None:
    ended = scewl("provision", folder, *arguments)
    assert ended.code == 2 and says in ended.err and ended.out == ""


def test_what_is_no_deployment_is_named(scewl, tmp_path: Path) -> None:
    ended = scewl("provision", tmp_path, "--show")
    assert ended.code == 2 and str(tmp_path / "deployment.json") in ended.err


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("sed", "must hold {id}"),
        ("", "must hold {id}"),
        ("{id}" + "x" * 60, "at most 64 printable"),
        ("{id}\n", "at most 64 printable"),
        ("{id}\udcff", "at most 64 printable"),
    ],
)
def test_a_bad_pattern_makes_nothing(scewl, tmp_path: Path, pattern: str, says: str) -> None:
    ended = scewl("provision", tmp_path / "d", "--ids", "10", "--cn-pattern", pattern)
    assert ended.code == 2 and says in ended.err and not (tmp_path / "d").exists()


def test_the_longest_names_are_made(scewl, tmp_path: Path) -> None:
    assert scewl("provision", tmp_path / "d", "--ids", "65535", "--cn-pattern", "{id}" + "x" * 59).code == 0


def test_ids() -> None:
    assert parse_ids("10,3, 20-22,65535") == [10, 3, 20, 21, 22, 65_535]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "10,,11",
        "2",
        "65536",
        "12-10",
        "10,10",
        "10-12,11",
        "-5",
        "10-",
        "3-65535",
        "\N{ARABIC-INDIC DIGIT ONE}0",
    ],
)
def test_bad_ids(text: str) -> None:
    with pytest.raises(UsageError, match="--ids"):
        parse_ids(text)
