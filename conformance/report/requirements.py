"""The text of the requirements, taken from the protocol page so that it is written once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROTOCOL_PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
"""The page in a checkout or an editable install. A wheel does not carry it; then only ids are shown."""
STANDARDS_PAGE = PROTOCOL_PAGE.with_name("rfc6347.md")
"""What RFCs ask for (DTL-7), as a table."""

_BULLET = re.compile(r"^- \*\*([A-Z]{3}-\d+)( \(H\))?\*\*(.*)$")
_ROW = re.compile(r"^\| (RFC\d+-\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|([^|]*)\|$", re.MULTILINE)
_SECTION = re.compile(r"^## \d+\. (.+)$")
_TELLING = 50
"""Characters from which a requirement's beginning tells what it asks for; `Glare and rings.` does not."""
_HISTORIC = "**hist:**"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One rule of the protocol page."""

    id: str
    section: str
    """Heading of its section, without the number."""
    hardens: bool
    """True if it is marked (H): stricter than the historic protocol."""
    text: str
    """What it asks for, one paragraph, without markup."""
    historic: str
    """What the historic protocol did instead; empty if that is not said."""

    @property
    def line(self) -> str:
        """Its first sentences, as many as it takes to say something: what fits a console line."""
        line = ""
        for sentence in re.split(r"(?<=\.) (?=[A-Z])", self.text):
            line = f"{line} {sentence}".strip()
            if len(line) >= _TELLING:
                break
        return line


def load_requirements(page: Path = PROTOCOL_PAGE) -> dict[str, Requirement]:
    """All rules of the page by id, in its order; none if the page cannot be read: no report fails for its footnotes."""
    try:
        return parse_requirements(page.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def parse_requirements(page: str) -> dict[str, Requirement]:
    """The bullets `- **FRM-1 (H)** text` of a page, with their continuation lines (indented by two spaces)."""
    found: dict[str, Requirement] = {}
    section = ""
    lines = page.splitlines()
    for index, line in enumerate(lines):
        if heading := _SECTION.match(line):
            section = heading[1]
        elif bullet := _BULLET.match(line):
            words = [bullet[3]]
            for more in lines[index + 1 :]:
                if not more.startswith("  "):
                    break
                words.append(more)
            text, _, historic = " ".join(" ".join(words).split()).partition(_HISTORIC)
            found[bullet[1]] = Requirement(bullet[1], section, bool(bullet[2]), _plain(text), _plain(historic))
    return found


def load_standards(page: Path = STANDARDS_PAGE) -> dict[str, Requirement]:
    """The requirements of RFCs by id, such as RFC6347-41; none if the page cannot be read."""
    try:
        rows = _ROW.findall(page.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}
    return {
        name: Requirement(name, f"RFC {name[3 : name.index('-')]}, section {section}", False, f"{level}: {text}", "")
        for name, section, level, text, _ in rows
    }


def describe(requirement: str, known: Mapping[str, Requirement]) -> str:
    """`SES-9: its first sentence`, or the bare id when the page does not have it."""
    return f"{requirement}: {known[requirement].line}" if requirement in known else requirement


def _plain(markdown: str) -> str:
    """Without emphasis and code marks. A mark counts only at a word's edge, so that `2*3` and `dev_id` stay."""
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", markdown)
    text = re.sub(r"(?<!\w)\*(\S(?:.*?\S)?)\*(?!\w)", r"\1", text)
    return text.replace("`", "").strip()
