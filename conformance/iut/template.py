"""The commented file that `scewl conform --init-profile` writes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from conformance.files import write_new
from conformance.iut.profile import RULES, BadIut

_TEMPLATE: Final = Path(__file__).with_name("template.toml")
_RULES_A_LINE: Final = 6


def template(folder: Path, elf: Path) -> str:
    """The text of a file in `folder` that runs the firmware `elf`."""
    lines = [RULES[at : at + _RULES_A_LINE] for at in range(0, len(RULES), _RULES_A_LINE)]
    rules = "\n" + "".join("    " + " ".join(f'"{rule}",' for rule in line) + "\n" for line in lines)
    path = os.path.relpath(elf.resolve(), folder.resolve())
    # JSON's texts are TOML's basic strings, whatever a path holds
    return _TEMPLATE.read_text("utf-8").replace("@ELF@", json.dumps(path)).replace("@RULES@", rules)


def write_template(path: Path, elf: Path) -> None:
    """Write a new file. Raises BadIut if there is one, or it cannot be written."""
    try:
        write_new(path, template(path.parent, elf))
    except FileExistsError as error:
        raise BadIut(f"{path} is there already: remove it, or name another file") from error
    except OSError as error:
        raise BadIut(f"{path}: {error.strerror}") from error
