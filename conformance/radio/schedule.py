"""A schedule of faults in a TOML file, in the words of test purposes.

faults = [
  { do = "lose", flight = 2, by = 11, to = 10 },
  { do = "delay", record = "data", nth = 3, ms = 500 },
]
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from conformance.faults import Fault
from conformance.purpose import BadPurpose, parse_fault
from model.alphabet import HIGHEST_ID, LOWEST_SED_ID


class BadSchedule(ValueError):
    """A file that is no schedule; the text says what, where and what instead."""


def load_schedule(path: Path) -> list[Fault]:
    """Read a schedule. Raises BadSchedule."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadSchedule(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSchedule(f"{path}: not TOML: {error}") from error
    return parse_schedule(str(path), document)


def parse_schedule(where: str, document: dict[str, Any]) -> list[Fault]:
    """A schedule from plain data. Raises BadSchedule."""
    if set(document) != {"faults"} or not isinstance(document["faults"], list):
        raise BadSchedule(f'{where}: a schedule is a list `faults`, such as faults = [{{ do = "lose", flight = 2 }}]')
    return [_fault(f"{where}, fault {number}", table) for number, table in enumerate(document["faults"], 1)]


def _fault(where: str, table: Any) -> Fault:
    to = table.get("to", 0) if isinstance(table, dict) else 0
    if "to" in (table if isinstance(table, dict) else ()) and not _is_sed(to):
        raise BadSchedule(f"{where}: `to` is the id of a SED, {LOWEST_SED_ID} to {HIGHEST_ID}, not {to!r}")
    rest = {key: value for key, value in table.items() if key != "to"} if isinstance(table, dict) else table
    try:
        return Fault(**parse_fault(where, rest), to=to)
    except BadPurpose as error:
        raise BadSchedule(str(error)) from None


def _is_sed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and LOWEST_SED_ID <= value <= HIGHEST_ID
