"""Why an automatic mutant that no case kills needs none: a TOML file that people write, entry by entry."""

from __future__ import annotations

import tomllib
from pathlib import Path

from conformance.mutation.results import Explained
from conformance.targets.base import HarnessError

KINDS = ("equivalent", "elsewhere", "gap")


def load(page: Path) -> dict[str, Explained]:
    """The explanations by the mutant's id. Raises HarnessError if the file says something that it cannot say."""
    try:
        entries = tomllib.loads(page.read_text("utf-8")).get("survivors", [])
        found: dict[str, Explained] = {}
        for entry in entries:
            kind, because, test = entry["kind"], entry["because"].strip(), entry.get("test", "")
            if kind not in KINDS or not because or (kind == "elsewhere") != bool(test):
                raise ValueError(f"{entry['ids']}: a kind of {', '.join(KINDS)}, why, and for `elsewhere` the test")
            for name in entry["ids"]:
                if name in found:
                    raise ValueError(f"{name} is explained twice")
                found[name] = Explained(name, kind, because, test)
        return found
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise HarnessError(f"{page}: not a list of survivors: {error}") from error
