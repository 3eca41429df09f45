"""Test purposes: data files that say what the environment of an IUT does, and what must have come of it.

A purpose is a TOML file in `conformance/purposes/` or a folder of it, named by its id. It says nothing about what the
IUT must do at each step: that is the model's business. Its `expect` steps say when the purpose was reached; a run that
is allowed but does not reach them is INCONCLUSIVE. `docs/purposes.md` describes the format for people.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance.evidence import FACTS
from conformance.peer import script
from conformance.report.requirements import load_requirements, load_standards
from conformance.sayings import FORGERIES, HELLOS, SAYINGS
from conformance.wire.records import AlertCode
from model.alphabet import HIGHEST_ID, LOWEST_SED_ID, SSS_ID
from model.rules import RULES
from model.system.alone import HIGHER, LOWER, ME

FOLDER: Final = Path(__file__).parent / "purposes"

STEPS: Final[dict[str, dict[str, type]]] = {
    # what a CPU does; `by` is the IUT unless it says otherwise
    "send": {"by": int, "to": int, "size": int},
    "register": {"by": int},
    "deregister": {"by": int},
    "request": {"size": int, "dev": int, "op": int},
    "broadcast": {"size": int},
    "faa": {"to": str, "size": int},
    # what the links do
    "lose": {"flight": int, "record": str, "nth": int, "by": int, "times": int},
    "duplicate": {"flight": int, "record": str, "nth": int, "by": int},
    "delay": {"flight": int, "record": str, "nth": int, "by": int, "ms": int},
    "swap": {"record": str, "nth": int, "by": int},
    "cut": {"flight": int, "record": str, "nth": int, "by": int},
    "mend": {},
    "silence": {"who": int},
    "restore": {"who": int},
    # what an attacker does
    "inject": {"link": str, "raw": str, "source": int, "target": int, "size": int},
    "spoof": {"flight": int, "as": int},
    "replay": {"of": int},
    "half-frame": {},
    "say": {"what": str, "as": int, "variant": int, "takes": str, "choice": bool},
    # what else goes wrong
    "boot": {"by": int},
    "restart": {},
    "respond": {"response": str},
    # time, and what must have come
    "wait": {"ms": int, "until": str},
    "expect": {"what": str, "at": int, "from": int, "size": int, "op": int, "said": list},
}
"""Kinds of steps and the types of their arguments."""

REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "send": ("to", "size"),
    "broadcast": ("size",),
    "faa": ("to", "size"),
    "delay": ("ms",),
    "swap": ("record", "nth"),
    "silence": ("who",),
    "restore": ("who",),
    "inject": ("link",),
    "say": ("what",),
    "spoof": ("flight", "as"),
    "replay": ("of",),
    "respond": ("response",),
    "expect": ("what",),
}
RESPONSES: Final = (
    "honest",
    "other-device",
    "other-op",
    "unknown-op",
    "bad-ca",
    "foreign-ca",
    "bad-certificate",
    "bad-key",
    "foreign-key",
    "wrong-name",
    "empty",
    "trailing",
    "cut-off",
    "header-only",
    "too-long",
)
"""How the SSS answers a registration that it grants; `conformance.cast` makes the bytes."""

CHOICES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("faa", "to"): ("radio", "cpu"),
    ("inject", "link"): ("radio", "sss", "cpu"),
    ("wait", "until"): ("idle", "deadline", "before-deadline"),
    ("say", "what"): (*HELLOS, *SAYINGS),
    ("say", "takes"): tuple(rule.id for rule in RULES),
    ("respond", "response"): RESPONSES,
    ("expect", "what"): ("message", "answer", "nothing", "rest", "reaction", "session"),
    **{(kind, "record"): ("data", "close", "alert") for kind in ("lose", "duplicate", "delay", "swap", "cut")},
}
BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "to": (LOWEST_SED_ID, HIGHEST_ID),
    "as": (LOWEST_SED_ID, HIGHEST_ID),
    "from": (SSS_ID, HIGHEST_ID),
    "source": (0, HIGHEST_ID),
    "target": (0, HIGHEST_ID),
    "dev": (0, HIGHEST_ID),
    "op": (-0x8000, 0x7FFF),
    "size": (0, 0xFFFF),
    "flight": (1, 6),
    "nth": (1, 1_000),
    "times": (1, 1_000),
    "variant": (0, FORGERIES - 1),
    "ms": (1, 3_600_000),
}
"""Inclusive bounds of the steps' numbers: ids and lengths as a frame can carry them, times up to an hour."""
SED_STEPS: Final = ("send", "register", "deregister", "boot", "replay")
"""Steps of a SED; the SSS has none."""
FAULTS: Final = ("lose", "duplicate", "delay", "swap", "cut")
"""Steps that say what a link does to a datagram: `conformance.faults`."""
DEVICES: Final = {
    "by": "a SED of this purpose",
    "at": "a SED of this purpose",
    "of": "a SED of this purpose",
    "who": "the SSS or a peer",
}
"""Arguments that name who acts; 1, the SSS, may also be the sender that a fault is about."""
CREDENTIALS: Final = ("good", "foreign", "foreign-certificate", "wrong-name")
"""What a peer has to show: its own; another deployment's altogether; another CA's certificate while it trusts the right
CA; the right CA's certificate in another name."""
FORGED: Final = (
    "authority",
    "ca-false-issuer",
    "critical-extension",
    "nul-name",
    "no-name",
    "padded-name",
    "spaced-name",
    "two-names",
    "wrong-usage",
)
"""What a scripted peer may have to show besides; `conformance.forged` makes it."""
SAYS: Final = (
    "hello",
    "verify-request",
    "hello-cookie",
    "flight4",
    "flight5",
    "flight6",
    "data",
    "close",
    "alert",
    "warning",
)
"""What an IUT can say to a peer; `alert` and `warning` with the names of codes, as in `alert bad_certificate`."""
PEERS_VIEW: Final = ("reaction", "session")
"""What is expected at a peer or the SSS, rather than at a CPU."""


class BadPurpose(ValueError):
    """A purpose file that does not say what it should; the text says which, where and what instead."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its kind and its arguments."""

    kind: str
    arguments: dict[str, Any]

    def __str__(self) -> str:
        return " ".join([self.kind, *(f"{k}={v}" for k, v in self.arguments.items())])


@dataclass(frozen=True, slots=True)
class Peer:
    """Another SED on the radio, played by the reference, or, if it has a script, by the scripted peer."""

    id: int
    credentials: str = "good"
    name: int = 0
    """With `wrong-name`: the id that its certificate states."""
    script: dict[str, Any] | None = None
    """What it does otherwise than an honest peer, until the purpose expects a `session`: `conformance.peer.script`."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """One test purpose."""

    id: str
    title: str
    requirements: tuple[str, ...]
    about: str
    steps: tuple[Step, ...]
    iut: int = 10
    peers: tuple[Peer, ...] = ()
    removed: tuple[int, ...] = ()
    """Ids that the SSS no longer accepts."""
    overhear: bool = False
    """Whether the IUT hears every radio frame, its own too, or only those for it."""
    replace: bool = True
    """REG-5: whether the SSS takes a second registration."""
    response: str = "honest"
    """What the SSS answers to a registration that it grants: `honest`, or another of `RESPONSES`."""
    sss: dict[str, Any] | None = None
    """A script for the SSS."""
    voice: bool = False
    """Whether nobody plays around the IUT: all that comes is said by `say` steps."""
    evidence: tuple[dict[str, Any], ...] = ()
    """What the records of the scripted peers must have shown: `conformance.evidence`."""

    @property
    def scripted(self) -> tuple[int, ...]:
        """The ids of the peers, the SSS among them, that have scripts: the purpose is a deviation."""
        sss = (SSS_ID,) if self.sss is not None else ()
        return sss + tuple(p.id for p in self.peers if p.script is not None)

    def document(self) -> dict[str, Any]:
        """The purpose as plain data; `parse` reads it back."""
        return {
            "title": self.title,
            "requirements": list(self.requirements),
            "about": self.about,
            "iut": self.iut,
            "peers": [_peer(p) for p in self.peers],
            "removed": list(self.removed),
            "overhear": self.overhear,
            "replace": self.replace,
            "response": self.response,
            "steps": [{"do": s.kind, **s.arguments} for s in self.steps],
            **({} if self.sss is None else {"sss": self.sss}),
            **({"voice": True} if self.voice else {}),
            **({"evidence": list(self.evidence)} if self.evidence else {}),
        }


def _peer(peer: Peer) -> dict[str, Any]:
    plain = {"id": peer.id, "credentials": peer.credentials, "name": peer.name}
    return plain if peer.script is None else plain | {"script": peer.script}


def parse(identifier: str, document: dict[str, Any]) -> Purpose:
    """A purpose from plain data. Raises BadPurpose."""
    known = {"title": str, "requirements": list, "about": str, "iut": int, "peers": list, "removed": list}
    known |= {"overhear": bool, "replace": bool, "response": str, "steps": list, "sss": dict, "evidence": list}
    known |= {"voice": bool}
    _check(f"purpose {identifier}", document, known, ("title", "requirements", "steps"))
    _choose(f"purpose {identifier}", "response", document.get("response", "honest"), RESPONSES)
    peers: list[Peer] = []
    for number, peer in enumerate(document.get("peers", [])):
        where = f"purpose {identifier}, peer {number + 1}"
        _check(where, peer, {"id": int, "credentials": str, "name": int, "script": dict}, ("id",))
        _choose(where, "credentials", peer.get("credentials", "good"), CREDENTIALS + FORGED * ("script" in peer))
        _script(where, peer.get("script", {}))
        peers.append(Peer(**peer))
    _script(f"purpose {identifier}, sss", document.get("sss", {}))
    evidence = document.get("evidence", [])
    for number, facts in enumerate(evidence):
        _evidence(f"purpose {identifier}, evidence {number + 1}", facts)
    iut = document.get("iut", 10)
    ids = [iut, *(p.id for p in peers)]
    if len(set(ids)) < len(ids) or not all(LOWEST_SED_ID <= i <= HIGHEST_ID for i in ids):
        raise BadPurpose(
            f"purpose {identifier}: `iut` and `peers` need ids of {LOWEST_SED_ID} to {HIGHEST_ID}, each once"
        )
    voice = document.get("voice", False)
    if voice and (iut != ME or peers):
        raise BadPurpose(f"purpose {identifier}: `voice` speaks to an `iut` of {ME}, and no peers are there")
    if not voice and any(isinstance(s, dict) and s.get("do") == "say" for s in document["steps"]):
        raise BadPurpose(f"purpose {identifier}: `say` steps need `voice = true`")
    if not all(removed in ids for removed in document.get("removed", ())):
        raise BadPurpose(f"purpose {identifier}: `removed` names a device that is neither the IUT nor a peer")
    return Purpose(
        id=identifier,
        title=document["title"],
        requirements=tuple(document["requirements"]),
        about=document.get("about", ""),
        steps=tuple(_step(f"purpose {identifier}, step {n + 1}", s, ids) for n, s in enumerate(document["steps"])),
        iut=iut,
        peers=tuple(peers),
        removed=tuple(document.get("removed", ())),
        overhear=document.get("overhear", False),
        replace=document.get("replace", True),
        response=document.get("response", "honest"),
        sss=document.get("sss"),
        voice=voice,
        evidence=tuple(evidence),
    )


def _script(where: str, table: dict[str, Any]) -> None:
    try:
        script.parse(table)
    except script.BadScript as error:
        raise BadPurpose(f"{where}: {error}") from None


def _evidence(where: str, table: Any) -> None:
    _check(where, table, FACTS, ())
    if "hex" in table and not re.fullmatch(r"([0-9a-f]{2})+", table["hex"]):
        raise BadPurpose(f"{where}: `hex` is not hexadecimal, in small letters")


def _reaction(where: str, said: list[Any] | None) -> None:
    """The reactions that count: each is what the IUT says to the peer, in order, and nothing else."""
    if not said or not all(isinstance(s, str) for s in said):
        raise BadPurpose(f"{where}: `said` is a list of texts such as 'verify-request, flight4, alert decode_error'")
    for words in said:
        for word in filter(None, words.split(", ")):
            kind, _, codes = word.partition(" ")
            _choose(where, "said", kind, SAYS)
            if bool(codes) != (kind in ("alert", "warning")):
                raise BadPurpose(f"{where}: `alert` and `warning`, and only they, have codes, unlike {word!r}")
            for code in filter(None, codes.split("|")):
                _choose(where, "code", code, [c.name.lower() for c in AlertCode])


def _step(where: str, table: Any, ids: list[int]) -> Step:
    if not isinstance(table, dict) or not isinstance(table.get("do"), str):
        raise BadPurpose(f"{where}: a step is a table with `do`, such as {{ do = 'register' }}")
    kind = table["do"]
    _choose(where, "do", kind, STEPS)
    arguments = {k: v for k, v in table.items() if k != "do"}
    _check(f"{where} ({kind})", arguments, STEPS[kind], REQUIRED.get(kind, ()))
    for name, value in arguments.items():
        if (kind, name) in CHOICES:
            _choose(where, name, value, CHOICES[kind, name])
        elif name in BOUNDS and not BOUNDS[name][0] <= value <= BOUNDS[name][1]:
            raise BadPurpose(f"{where} ({kind}): `{name}` is {BOUNDS[name][0]} to {BOUNDS[name][1]}, not {value}")
        elif name in DEVICES and value not in _devices(kind, name, arguments, ids):
            raise BadPurpose(f"{where} ({kind}): `{name}` must be {DEVICES[name]}; {value} is none")
    if arguments.get("what") in PEERS_VIEW and "at" not in arguments:
        raise BadPurpose(f"{where} ({kind}): `at` is missing: which peer, or the SSS?")
    if (arguments.get("what") == "reaction") != ("said" in arguments):
        raise BadPurpose(f"{where} ({kind}): `said` and a `reaction` belong together")
    if "said" in arguments:
        _reaction(f"{where} ({kind})", arguments["said"])
    if kind in ("lose", "duplicate", "delay", "cut") and ("flight" in arguments) == ("record" in arguments):
        raise BadPurpose(f"{where} ({kind}): name either a flight (1 to 6) or a record (data, close)")
    if kind == "say" and (arguments["what"] in HELLOS) != (arguments.get("as") in (LOWER, HIGHER)):
        raise BadPurpose(f"{where} (say): a hello, and nothing else, is said `as` {LOWER} or {HIGHER}")
    if kind == "wait" and ("ms" in arguments) == ("until" in arguments):
        raise BadPurpose(f"{where} (wait): say either `ms` or `until`")
    if kind == "inject" and ("raw" in arguments) == ("size" in arguments):
        raise BadPurpose(f"{where} (inject): give either `raw` bytes in hexadecimal or source, target and `size`")
    if "raw" in arguments and not re.fullmatch(r"([0-9a-fA-F]{2}\s*)*", arguments["raw"]):
        raise BadPurpose(f"{where} (inject): `raw` is not hexadecimal")
    return Step(kind, arguments)


def _devices(kind: str, name: str, arguments: dict[str, Any], ids: list[int]) -> list[int]:
    at_cpu = name == "at" and arguments.get("what") not in PEERS_VIEW
    return ids if kind in SED_STEPS or at_cpu else [SSS_ID, *ids]


def _check(where: str, table: Any, known: dict[str, type], required: tuple[str, ...]) -> None:
    if not isinstance(table, dict):
        raise BadPurpose(f"{where}: not a table")
    for name, value in table.items():
        _choose(where, "key", name, known)
        if not isinstance(value, known[name]) or (known[name] is int and isinstance(value, bool)):
            raise BadPurpose(f"{where}: `{name}` must be {known[name].__name__}, not {value!r}")
    for name in required:
        if name not in table:
            raise BadPurpose(f"{where}: `{name}` is missing")


def _choose(where: str, what: str, value: Any, known: Iterable[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value), list(known), 3) or sorted(known)
        raise BadPurpose(f"{where}: no {what} {value!r}; did you mean {', '.join(near)}?")


def parse_fault(where: str, table: Any) -> dict[str, Any]:
    """A fault of a link outside of a purpose: a step such as `lose`, of any sender. Raises BadPurpose.

    Returns the arguments of `conformance.faults.Fault`.
    """
    if isinstance(table, dict):
        _choose(where, "fault", table.get("do"), FAULTS)
    step = _step(where, table, list(range(SSS_ID, HIGHEST_ID + 1)))
    return {"action": step.kind, **step.arguments}


def load(path: Path) -> Purpose:
    """Read one purpose file. Raises BadPurpose."""
    try:
        return parse(path.stem, tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BadPurpose(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadPurpose(f"{path}: not TOML: {error}") from error


def load_purposes(folder: Path = FOLDER) -> list[Purpose]:
    """All purposes of a folder and the folders in it, in the order of their ids.

    Raises BadPurpose, also if two have one id, or if one cites a requirement that the pages do not have.
    """
    known = load_requirements() | load_standards()
    found: dict[str, Purpose] = {}
    for path in sorted(folder.rglob("*.toml"), key=lambda p: p.stem):
        purpose = load(path)
        if purpose.id in found:
            raise BadPurpose(f"{path}: there is another purpose {purpose.id}; an id is there once")
        found[purpose.id] = purpose
        for requirement in purpose.requirements:
            if known:  # a wheel does not carry the pages
                _choose(f"{path}", "requirement", requirement, known)
    return list(found.values())
