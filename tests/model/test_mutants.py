"""The mutation matrix of the model: wrong rules and wrong links, each of which a property, a test or a count catches.

`mutants.toml` says what is wrong and what sees it. Each mutant is a copy of `model/` with one change, read by a Python
process of its own. Scopes are explored with the hardened profile.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TABLES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text("utf-8"))
MUTANTS: list[dict[str, Any]] = TABLES["mutant"]
SCOPES: dict[str, dict[str, Any]] = TABLES["scope"]
TESTS = sorted({m["test"] for m in MUTANTS if "test" in m})
COUNTED = sorted({m["count"] for m in MUTANTS if "count" in m})
EXPLORE = """
import ast, dataclasses, json, sys
from pathlib import Path
import model
from model.explore import engine, explore
from model.profile import HARDENED
from model.system.build import build
from model.system.scopes import SCOPES
assert Path(model.__file__).parents[1] == Path.cwd(), model.__file__
engine.COMMAND = tuple(o for o in engine.COMMAND if o != "-O2")  # these searches are shorter than optimising them
scope = dataclasses.replace(SCOPES[sys.argv[1]], **ast.literal_eval(sys.argv[2]))
system = build(scope, HARDENED)
outcome = explore(system, jobs=1, memory=1 << 30)
assert outcome.exhausted
answers = {a.property: [a.finding, system.property(a.property).kind, len(a.path)] for a in outcome.answers}
print(json.dumps({"states": outcome.states, "answers": answers}))
"""


def change(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)


def copy(folder: Path, mutant: dict[str, Any] | None = None) -> Path:
    """The model, with a mutant's change, and what its tests read."""
    for part in ("model", "tests/model"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("docs/protocol.md", "pyproject.toml"):
        (folder / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, folder / part)
    if mutant:
        path = folder / "model" / mutant["file"]
        path.write_text(change(path.read_text("utf-8"), mutant["old"], mutant["new"]), "utf-8")
    return folder


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, in which `model` is the copy."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment = {**ours, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def explored(folder: Path, scope: str) -> dict[str, Any]:
    """The number of states of a scope, and per property the finding, the kind and the number of steps of its path."""
    but = {name: value for name, value in SCOPES[scope].items() if name not in ("of", "states")}
    for name in ("sends", "asks"):
        if name in but:  # TOML's keys are text
            but[name] = {int(sed): tuple(values) for sed, values in but[name].items()}
    if "seds" in but:
        but["seds"] = tuple(but["seds"])
    done = python(folder, "-c", EXPLORE, SCOPES[scope].get("of", scope), repr(but))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Some tests of `tests/model`, of the copy."""
    return python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/model/{t}" for t in tests))


@pytest.mark.parametrize("mutant", MUTANTS, ids=[m["id"] for m in MUTANTS])
def test_a_wrong_model_is_caught(mutant: dict[str, Any], tmp_path: Path) -> None:
    folder = copy(tmp_path, mutant)
    if "test" in mutant:
        done = check(folder, mutant["test"])
        assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
        assert re.search(r"^E +(AssertionError|assert )", done.stdout, re.MULTILINE), done.stdout
    elif "count" in mutant:
        assert mutant["why"].endswith(".")  # why no property sees it
        assert explored(folder, mutant["count"])["states"] != SCOPES[mutant["count"]]["states"]
    else:
        finding, kind, steps = explored(folder, mutant["in"])["answers"][mutant["property"]]
        assert finding == "false"
        assert kind != "always" or steps > 0, "no path leads to the violation"


@pytest.mark.parametrize("scope", SCOPES)
def test_the_model_itself_holds_in_every_scope_that_catches_a_mutant(scope: str, tmp_path: Path) -> None:
    found = explored(copy(tmp_path), scope)
    asked = {m["property"] for m in MUTANTS if m.get("in") == scope}
    assert {found["answers"][name][0] for name in asked} <= {"holds"}
    assert "false" not in {answer[0] for answer in found["answers"].values()}
    if scope in COUNTED:
        assert found["states"] == SCOPES[scope]["states"]


def test_the_model_itself_passes_every_test_that_catches_a_mutant(tmp_path: Path) -> None:
    done = check(copy(tmp_path), *TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_table_is_complete_and_cites_the_protocol_page() -> None:
    page = (ROOT / "docs/protocol.md").read_text("utf-8")
    assert {m["rule"] for m in MUTANTS} <= set(re.findall(r"^- \*\*([A-Z]{3}-\d+)", page, re.MULTILINE))
    assert set(SCOPES) == {m.get("in") or m["count"] for m in MUTANTS if "test" not in m}
    rules = {f"rules/{p.name}" for p in (ROOT / "model/rules").glob("*.py")} - {"rules/__init__.py", "rules/base.py"}
    assert rules | {"system/links.py"} <= {m["file"] for m in MUTANTS}
