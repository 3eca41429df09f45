"""The file that describes an implementation under test: its keys, what each may be, and the errors that say so."""

from __future__ import annotations

import difflib
import fnmatch
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from conformance.targets.streams import margin_ms
from conformance.targets.streams.links import BadAddress, parse_address
from model.alphabet import HIGHEST_ID, LOWEST_SED_ID
from model.profile import HARDENED, Profile, Setting
from model.verdict import Verdict
from reference.dialect import ECDHE_AES_128, ECDHE_AES_256, LAYOUTS, RSA_AES_128, RSA_AES_256, Dialect

SUITES: Final = MappingProxyType(
    {
        "ecdhe-ecdsa-aes256": ECDHE_AES_256,
        "ecdhe-ecdsa-aes128": ECDHE_AES_128,
        "rsa-aes256": RSA_AES_256,
        "rsa-aes128": RSA_AES_128,
    }
)
"""Key exchange and cipher by the name that a file gives them; all are AES-GCM."""
RULES: Final = (
    "FRM-1",
    "FRM-2",
    "FRM-5",
    "CRT-5",
    "CRT-7",
    "SES-7",
    "SES-8",
    "SES-9",
    "SES-11",
    "REG-4",
    "ADV-1",
    "ADV-3",
)
"""The hardening rules of a controller, each with a flag of `model.profile`; REG-1, REG-3, REG-5 and REG-7 are the
SSS's, which the suite plays."""
LINKS: Final = ("cpu", "sss", "radio")

# A type, or the values that there are.
_TARGETS: Final[dict[str, dict[str, Any]]] = {
    "qemu": {
        "elf": str,
        "machine": str,
        "image_address": int,
        "image_size": int,
        "uarts": dict,
        "options": list,
        "busy_poll_ms": int,
    },
    "native": {"command": list},
    "reference": {},
    "streams": {
        "cpu": str,
        "sss": str,
        "radio": str,
        "baud": int,
        "reset": list,
        "settle_ms": int,
        "quiet_ms": int,
        "tolerance_ms": int,
        "patience_s": int,
    },
}
_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "qemu": {"options": [], "busy_poll_ms": 0, "uarts": {"cpu": 0, "sss": 1, "radio": 2}},
    "native": {},
    "reference": {},
    "streams": {"baud": 115_200, "reset": [], "settle_ms": 200, "quiet_ms": 200, "tolerance_ms": 500, "patience_s": 30},
}
_TARGET_NEEDS: Final = {"qemu": ("elf",), "native": ("command",), "reference": (), "streams": LINKS}
_PROVISIONING: Final[dict[str, dict[str, Any]]] = {
    "image": {},
    "program": {"command": list},
    "given": {"deployment": str, "id": int},
}
_PROVISIONING_NEEDS: Final = {"image": (), "program": ("command",), "given": ("deployment",)}
_PROTOCOL: Final[dict[str, Any]] = {
    "suite": tuple(SUITES),
    "names": str,
    "registration": tuple(LAYOUTS),
    "first_timeout_ms": int,
    "last_timeout_ms": int,
    "idle_timeout_ms": int,
}
_TABLES: Final = ("name", "target", "provisioning", "protocol", "rules", "deviation")
_BOUNDS: Final = {
    "image_address": (0, 2**32 - 1),
    "image_size": (1, 2**24),
    "busy_poll_ms": (0, 60_000),
    "baud": (300, 4_000_000),
    "settle_ms": (0, 60_000),
    "quiet_ms": (1, 10_000),
    "tolerance_ms": (1, 10_000),
    "patience_s": (1, 3_600),
    "id": (LOWEST_SED_ID, HIGHEST_ID),
    "first_timeout_ms": (1, 3_600_000),
    "last_timeout_ms": (1, 3_600_000),
    "idle_timeout_ms": (1, 3_600_000),
}
"""Inclusive bounds of the numbers."""
_KINDS: Final = {str: "a text", int: "a whole number", list: "a list of texts", dict: "a table"}


class BadIut(ValueError):
    """A file that does not describe an implementation; the text says where, what, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Known:
    """A known deviation: the cases that it is about, the verdict that they have, and why."""

    case: str
    """A case's name or a pattern."""
    verdict: Verdict
    comment: str


@dataclass(frozen=True, slots=True)
class Iut:
    """What a file says. Plain data, so that another process can take it."""

    path: Path
    name: str
    kind: str
    """`qemu`, `native`, `reference` or `streams`."""
    target: Mapping[str, Any]
    """The keys of the target, defaults included; paths are relative to `folder`."""
    provisioning: str
    """`image`, `program` or `given`."""
    command: tuple[str, ...] = ()
    """With `program`: what makes the firmware's own layout."""
    deployment: Path | None = None
    """With `given`: the folder of the deployment that the device has its certificates from."""
    own_id: int = 10
    """With `given`: the device's id."""
    dialect: Dialect = field(default_factory=Dialect)
    claimed: tuple[str, ...] = RULES
    known: tuple[Known, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the file, to which its paths are relative."""
        return self.path.parent

    @property
    def exact(self) -> bool:
        """Whether the target's time is the harness's: deadlines are judged to the millisecond."""
        return self.kind != "streams"

    def profile(self) -> Profile:
        """The model's flags: a rule that is not claimed is judged as the protocol of 2021 had it."""
        profile = HARDENED
        for rule in RULES:
            if rule not in self.claimed:
                profile = profile.without(rule.lower().replace("-", "_"))
        return profile

    def setting(self, me: int) -> Setting:
        """What the model's rules take as given."""
        first, last = self.dialect.first_timeout, self.dialect.last_timeout
        standard = Setting(me)
        return Setting(
            me,
            self.profile(),
            first or standard.first_timeout,
            last or standard.last_timeout,
            self.dialect.idle_timeout,
        )

    def known_deviation(self, case: str) -> Known | None:
        """The first entry that is about a case."""
        return next((k for k in self.known if fnmatch.fnmatchcase(case, k.case)), None)

    def entries_for_nothing(self, cases: Iterable[str]) -> list[str]:
        """The patterns of known deviations that are about none of these cases."""
        names = list(cases)
        return [k.case for k in self.known if not fnmatch.filter(names, k.case)]


def load(path: Path) -> Iut:
    """Read a file. Raises BadIut."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BadIut(f"{path}: {error.strerror}; `scewl conform --init-profile {path}` writes one") from error
    except OSError as error:
        raise BadIut(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadIut(f"{path}: not TOML: {error}") from error
    return parse(path, document)


def parse(path: Path, document: dict[str, Any]) -> Iut:
    """What a file says. Raises BadIut."""
    where = str(path)
    for key in document:
        _choose(where, "key", key, _TABLES)
    name = document.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadIut(f"{where}: `name` is missing or no text; it is what reports call the firmware")
    kind, target = _kinded(f"{where}: [target]", document.get("target"), _TARGETS, _TARGET_NEEDS)
    provisioning, how = _kinded(
        f"{where}: [provisioning]", document.get("provisioning", {"kind": "image"}), _PROVISIONING, _PROVISIONING_NEEDS
    )
    target = _DEFAULTS[kind] | target
    _check_target(f"{where}: [target]", kind, target, provisioning)
    made = Iut(
        path=path,
        name=name.strip(),
        kind=kind,
        target=target,
        provisioning=provisioning,
        command=tuple(how.get("command", ())),
        deployment=path.parent / how["deployment"] if "deployment" in how else None,
        own_id=how.get("id", 10),
        dialect=_dialect(f"{where}: [protocol]", document.get("protocol", {})),
        claimed=_claimed(f"{where}: [rules]", document.get("rules", {})),
        known=tuple(
            _known(where, n + 1, d) for n, d in enumerate(_list_of_tables(where, document.get("deviation", [])))
        ),
    )
    setting = made.setting(0)
    shortest = min(setting.first_timeout, setting.idle_timeout)
    if kind == "streams" and shortest <= (margin := margin_ms(target["tolerance_ms"], target["quiet_ms"])):
        raise BadIut(
            f"{where}: [target]: twice `tolerance_ms` and `quiet_ms` are {margin} ms; they have to be below the "
            f"shortest timer, {shortest} ms"
        )
    return made


def _kinded(
    where: str, table: Any, kinds: Mapping[str, dict[str, Any]], needs: Mapping[str, Sequence[str]]
) -> tuple[str, dict[str, Any]]:
    if not isinstance(table, dict):
        raise BadIut(f"{where} is missing or no table; it begins with `kind`, which is {_any_of(kinds)}")
    if "kind" not in table:
        raise BadIut(f"{where}: `kind` is missing; it is {_any_of(kinds)}")
    kind = table["kind"]
    _choose(where, "kind", kind, kinds)
    rest = {key: value for key, value in table.items() if key != "kind"}
    _check(where, rest, kinds[kind])
    for key in needs[kind]:
        if key not in rest:
            raise BadIut(f"{where}: `{key}` is missing, which kind {kind!r} needs; it is {_KINDS[kinds[kind][key]]}")
    return kind, rest


def _check_target(where: str, kind: str, target: dict[str, Any], provisioning: str) -> None:
    if kind == "qemu":
        uarts = target["uarts"]
        if set(uarts) != set(LINKS) or sorted(map(str, uarts.values())) != ["0", "1", "2"]:
            raise BadIut(f"{where}: `uarts` gives each of {', '.join(LINKS)} another one of the numbers 0, 1 and 2")
    if kind == "native" and not target["command"]:
        raise BadIut(f"{where}: `command` is empty; it is the program and its arguments")
    if kind != "streams":
        return
    for link in LINKS:
        try:
            parse_address(target[link])
        except BadAddress as error:
            raise BadIut(f"{where}: `{link}`: {error}") from None
    if len({target[link] for link in LINKS}) < len(LINKS):
        raise BadIut(f"{where}: two of {', '.join(LINKS)} have one address; each link is a stream of its own")
    if provisioning != "given" and not any("{image}" in word for word in target["reset"]):
        raise BadIut(
            f"{where}: with [provisioning] kind {provisioning!r}, `reset` is the command that puts the image into the "
            "device, and one of its words holds {image}; or give the device its certificates once: kind 'given'"
        )


def _dialect(where: str, table: Any) -> Dialect:
    _check(where, table, _PROTOCOL)
    names = table.get("names", "{id}")
    rest = names.replace("{id}", "", 1)
    if "{id}" not in names or "{" in rest or "}" in rest:
        raise BadIut(
            f"{where}: `names` holds {{id}} once and no other braces, as in '{{id}}_PROVISION', unlike {names!r}"
        )
    standard = Setting(0)
    first = table.get("first_timeout_ms", standard.first_timeout)
    last = table.get("last_timeout_ms", standard.last_timeout)
    if first > last:
        raise BadIut(f"{where}: `first_timeout_ms` ({first}) is above `last_timeout_ms` ({last}), where doubling ends")
    return Dialect(
        suite=SUITES[table.get("suite", "ecdhe-ecdsa-aes256")],
        cn_pattern=names,
        wide_response=LAYOUTS[table.get("registration", "10-byte")],
        first_timeout=table.get("first_timeout_ms"),
        last_timeout=table.get("last_timeout_ms"),
        idle_timeout=table.get("idle_timeout_ms", standard.idle_timeout),
    )


def _claimed(where: str, table: Any) -> tuple[str, ...]:
    _check(where, table, {"claimed": list})
    claimed = table.get("claimed", RULES)
    for rule in claimed:
        _choose(where, "rule of a controller with an H", rule, RULES)
    return tuple(rule for rule in RULES if rule in claimed)


def _known(where: str, number: int, table: Any) -> Known:
    where = f"{where}: [[deviation]] {number}"
    _check(where, table, {"case": str, "verdict": ("FAIL", "INCONCLUSIVE"), "comment": str})
    for key in ("case", "verdict", "comment"):
        if not table.get(key, "").strip():
            raise BadIut(f"{where}: `{key}` is missing or empty; an entry is a case or pattern, its verdict, and why")
    return Known(table["case"], Verdict[table["verdict"]], table["comment"].strip())


def _list_of_tables(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadIut(f"{where}: `deviation` is written [[deviation]], once for each entry")
    return value


def _check(where: str, table: Any, known: Mapping[str, Any]) -> None:
    """Keys, types, choices and bounds of a table."""
    if not isinstance(table, dict):
        raise BadIut(f"{where} is not a table")
    for key, value in table.items():
        _choose(where, "key", key, known)
        wanted = known[key]
        if isinstance(wanted, tuple):
            _choose(where, key, value, wanted)
        elif (
            not isinstance(value, wanted)
            or isinstance(value, bool)
            or (wanted is list and not all(isinstance(word, str) for word in value))
        ):
            raise BadIut(f"{where}: `{key}` is {_KINDS[wanted]}, not {value!r}")
        elif key in _BOUNDS and not _BOUNDS[key][0] <= value <= _BOUNDS[key][1]:
            raise BadIut(f"{where}: `{key}` is {_BOUNDS[key][0]} to {_BOUNDS[key][1]}, not {value}")


def _choose(where: str, what: str, value: Any, known: Iterable[str]) -> None:
    if isinstance(value, str) and value in known:
        return
    near = difflib.get_close_matches(str(value), list(known), 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise BadIut(f"{where}: no {what} {value!r}{hint} There {_are(known)}")


def _are(known: Iterable[str]) -> str:
    names = list(known)
    return f"are {', '.join(names)}" if names else "are none"


def _any_of(names: Iterable[str]) -> str:
    *most, last = map(repr, names)
    return f"{', '.join(most)} or {last}"
