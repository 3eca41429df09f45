"""Suites that have a name: `quick`, for every change, and `full`, all that runs within half an hour.

Their cases are made here and not on the reference, and kept under `build/suites` until a source changes: some take
minutes to find.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from conformance.generation.suite import COVERS, purposes
from conformance.purpose import BadPurpose, Purpose, load_purposes, parse

CACHE: Final = Path("build/suites")
ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ("model", "reference", "conformance")
"""All that a case can follow from."""
NAMED: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "quick": ("every purpose, and walks that take every transition between places; under a minute", ("places",)),
    "full": ("every purpose and every cover but w1", tuple(name for name in COVERS if name != "w1")),
}
"""What each is, and its covers."""


def named(name: str, progress: Callable[[str], None], cache: Path = CACHE) -> list[Purpose]:
    """The purposes of a suite that has a name: those that are written, then the generated ones.

    `progress` is told in words if it has to be made first.
    """
    kept = cache / f"{name}-{key()}.jsonl"
    made = _kept(kept)
    if made is None:
        progress(f"making the suite {name}: {', '.join(NAMED[name][1])}; it is kept as {kept} until a source changes")
        made = purposes(NAMED[name][1])
        _keep(kept, name, made)
    return [*load_purposes(), *made]


def key() -> str:
    """Changes with every source."""
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".h", ".c") and path.is_file():
                digest.update(f"{path.relative_to(ROOT)}\n{path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _kept(path: Path) -> list[Purpose] | None:
    """What was kept, None if nothing was, or it is damaged."""
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        count = lines.pop()["cases"]
        found = [parse(line["case"], line["purpose"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError, IndexError, BadPurpose):
        return None
    return found if len(found) == count else None


def _keep(path: Path, name: str, made: list[Purpose]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"{name}-*.jsonl"):
        old.unlink(missing_ok=True)
    lines = [{"case": purpose.id, "purpose": purpose.document()} for purpose in made]
    new = path.with_suffix(".new")
    new.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"cases": len(made)}]), "utf-8")
    new.replace(path)
