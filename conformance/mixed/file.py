"""The file that describes a lab: its keys, what each may be, and the errors that say so."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from conformance.iut import BadIut, Iut
from conformance.iut import load as load_iut
from conformance.mixed.steps import BadStep, check
from conformance.purpose import Step
from model.alphabet import HIGHEST_ID, LOWEST_SED_ID, Link
from reference.deployment import DeploymentError, check_pattern
from reference.dialect import LAYOUTS, STANDARD, SUITE_NAMES, Dialect

FIRMWARE, PYTHON = "firmware", "python"
UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(ms|s|m|h|d)")
_TEMPLATE: Final = Path(__file__).with_name("template.toml")
_MOST_DEVICES: Final = 64
_LAB: Final = {
    "seed": int,
    "pace": (int, float),
    "until": str,
    "watch": bool,
    "record": str,
    "overhear": bool,
    "sss": bool,
    "deployment": dict,
    "device": list,
    "link": dict,
    "script": list,
}
_DEVICE: Final = {"id": int, "kind": str, "elf": str, "iut": str}
_DEPLOYMENT: Final = {"folder": str, "suite": str, "cn_pattern": str, "registration": str}
_LINK: Final = {"latency": str, "baud": int}
_TYPES: Final = {
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    dict: "a table",
    list: "a list of tables",
    (int, float): "a number",
}


class BadLab(ValueError):
    """A file that does not describe a lab; the text says where, what, and what to do."""


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """One SED: `kind` is `python`, or `firmware`, with its `elf` or all that its file (`iut`) says of it."""

    id: int
    kind: str
    elf: Path | None = None
    iut: Iut | None = None


@dataclass(frozen=True, slots=True)
class ScriptEntry:
    """A step and when it is done, milliseconds."""

    when: int
    step: Step


@dataclass(frozen=True, slots=True)
class LabFile:
    """What a file says. Times are milliseconds."""

    path: Path
    devices: tuple[DeviceEntry, ...]
    seed: int = 1
    pace: float = 1.0
    """Of whoever looks: virtual seconds for each second of the wall clock; 0: as fast as possible."""
    until: int | None = None
    watch: bool = True
    record: Path | None = None
    overhear: bool = False
    sss: bool = True
    deployment: Path | None = None
    """A folder that `scewl provision` made; None: one is made of the seed, with the settings in `dialect`."""
    dialect: Dialect = STANDARD
    latency: dict[Link, int] = field(default_factory=dict)
    baud: dict[Link, int] = field(default_factory=dict)
    script: tuple[ScriptEntry, ...] = ()


def duration(text: str) -> int:
    """Milliseconds of `250ms`, `1.5s`, `5m`, `2h` or `30d`. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no time; write 250ms, 1.5s, 5m, 2h or 30d")
    whole, _, rest = match[1].partition(".")
    thousandths = int(whole) * 1000 + int(rest.ljust(3, "0") or 0)
    return thousandths * UNITS[match[2]] // 1000


def load(path: Path) -> LabFile:
    """Read a file. Raises BadLab."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BadLab(f"{path}: {error.strerror}; `scewl lab --init {path}` writes one") from error
    except OSError as error:
        raise BadLab(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadLab(f"{path}: not TOML: {error}") from error
    return parse(path, document)


def parse(path: Path, document: dict[str, Any]) -> LabFile:
    """What a file says. Raises BadLab."""
    where = str(path)
    _check(where, document, _LAB)
    devices = _devices(path, document.get("device", []))
    ids = [device.id for device in devices]
    deployment = document.get("deployment", {})
    dialect = _dialect(f"{where}: [deployment]", deployment)
    latency, baud = _links(where, document.get("link", {}))
    pace = float(document.get("pace", 1))
    if not 0 <= pace <= 1_000_000:
        raise BadLab(f"{where}: `pace` is 0 (as fast as possible) to 1000000 virtual seconds a second, not {pace:g}")
    seed = document.get("seed", 1)
    if not 0 <= seed < 2**63:
        raise BadLab(f"{where}: `seed` is 0 to 2^63 - 1, not {seed}")
    record = document.get("record", "")
    return LabFile(
        path=path,
        devices=devices,
        seed=seed,
        pace=pace,
        until=_time(where, "until", document["until"]) if "until" in document else None,
        watch=document.get("watch", True),
        record=path.parent / record if record else None,
        overhear=document.get("overhear", False),
        sss=document.get("sss", True),
        deployment=path.parent / deployment["folder"] if "folder" in deployment else None,
        dialect=dialect,
        latency=latency,
        baud=baud,
        script=_script(where, document.get("script", []), ids),
    )


def template(elf: Path) -> str:
    """A file that runs as it is: the firmware at `elf`, two Python SEDs, the SSS."""
    text = str(elf)
    quoted = f"'{text}'" if "'" not in text else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _TEMPLATE.read_text("utf-8").replace("@ELF@", quoted)


def _devices(path: Path, tables: Any) -> tuple[DeviceEntry, ...]:
    where = str(path)
    _tables(f"{where}: [[device]]", tables)
    if not 1 <= len(tables) <= _MOST_DEVICES:
        raise BadLab(f"{where}: a lab has 1 to {_MOST_DEVICES} tables [[device]], not {len(tables)}")
    devices: list[DeviceEntry] = []
    for number, table in enumerate(tables, 1):
        here = f"{where}: [[device]] {number}"
        _check(here, table, _DEVICE)
        for key in ("id", "kind"):
            if key not in table:
                raise BadLab(f"{here}: `{key}` is missing")
        if not LOWEST_SED_ID <= table["id"] <= HIGHEST_ID:
            raise BadLab(f"{here}: `id` is {LOWEST_SED_ID} to {HIGHEST_ID}, not {table['id']}")
        if any(device.id == table["id"] for device in devices):
            raise BadLab(f"{here}: `id` {table['id']} is there twice; give each device its own")
        _choose(here, "kind", table["kind"], (FIRMWARE, PYTHON))
        if ("elf" in table) + ("iut" in table) != (table["kind"] == FIRMWARE):
            raise BadLab(
                f'{here}: kind "{FIRMWARE}", and only that, has either `elf`, the firmware\'s file, or `iut`, a file '
                "that describes the firmware"
            )
        elf = path.parent / table["elf"] if "elf" in table else None
        if elf is not None and not elf.is_file():
            raise BadLab(f"{here}: `elf`: no file {elf}; `make firmware` builds ours")
        iut = _described(here, path.parent / table["iut"]) if "iut" in table else None
        devices.append(DeviceEntry(table["id"], table["kind"], elf, iut))
    return tuple(sorted(devices, key=lambda device: device.id))


def _described(where: str, path: Path) -> Iut:
    try:
        iut = load_iut(path)
    except BadIut as error:
        raise BadLab(f"{where}: `iut`: {error}") from None
    if not iut.exact:
        raise BadLab(f"{where}: `iut`: {path} is about a device with a clock of its own; time in a lab is virtual")
    return iut


def _dialect(where: str, table: Any) -> Dialect:
    _check(where, table, _DEPLOYMENT)
    settings = [key for key in table if key != "folder"]
    if settings and "folder" in table:
        raise BadLab(f"{where}: `{settings[0]}` is settled in the folder already; leave it or `folder` out")
    suite, layout = table.get("suite", "aes256"), table.get("registration", "10-byte")
    _choose(where, "suite", suite, SUITE_NAMES)
    _choose(where, "registration", layout, LAYOUTS)
    pattern = table.get("cn_pattern", STANDARD.cn_pattern)
    try:
        check_pattern(pattern)
    except DeploymentError as error:
        raise BadLab(f"{where}: `cn_pattern`: {error}") from None
    return Dialect(SUITE_NAMES[suite], pattern, LAYOUTS[layout])


def _links(where: str, table: dict[str, Any]) -> tuple[dict[Link, int], dict[Link, int]]:
    _check(f"{where}: [link]", table, {"radio": dict, "sss": dict})
    latency: dict[Link, int] = {}
    baud: dict[Link, int] = {}
    for name, keys in table.items():
        here = f"{where}: [link.{name}]"
        _check(here, keys, _LINK)
        if "latency" in keys:
            latency[Link[name.upper()]] = _time(here, "latency", keys["latency"])
        if "baud" in keys:
            if not (keys["baud"] == 0 or 300 <= keys["baud"] <= 10**9):
                raise BadLab(f"{here}: `baud` is 300 to 10^9 bits a second, or 0 for no limit, not {keys['baud']}")
            baud[Link[name.upper()]] = keys["baud"]
    return latency, baud


def _script(where: str, tables: Any, ids: list[int]) -> tuple[ScriptEntry, ...]:
    _tables(f"{where}: [[script]]", tables)
    entries: list[ScriptEntry] = []
    for number, table in enumerate(tables, 1):
        here = f"{where}: [[script]] {number}"
        rest = dict(table)
        when, kind = rest.pop("when", None), rest.pop("do", None)
        if not isinstance(when, str) or not isinstance(kind, str):
            raise BadLab(f'{here}: `when` and `do` are missing or no texts, as in when = "1s", do = "register"')
        try:
            entries.append(ScriptEntry(_time(here, "when", when), check(kind, rest, ids)))
        except BadStep as error:
            raise BadLab(f"{here}: {error}") from None
    return tuple(sorted(entries, key=lambda entry: entry.when))


def _time(where: str, key: str, value: str) -> int:
    try:
        return duration(value)
    except ValueError as error:
        raise BadLab(f"{where}: `{key}`: {error}") from None


def _tables(where: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise BadLab(f"{where} is a list of tables, each under its own [[...]]")


def _check(where: str, table: Any, known: dict[str, Any]) -> None:
    if not isinstance(table, dict):
        raise BadLab(f"{where} is a table")
    for key, value in table.items():
        _choose(where, "key", key, known)
        kind = known[key]
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise BadLab(f"{where}: `{key}` is {_TYPES[kind]}, not {value!r}")


def _choose(where: str, what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, list(known), 3) or list(known)
        raise BadLab(f"{where}: no {what} {value!r}; did you mean {', '.join(near)}?")
