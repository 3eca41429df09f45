"""The catalogue as tables for docs/monitors.md; run as a module, it writes them into that page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from conformance.monitors.automaton import BUG, Monitor, Need, Rule
from conformance.monitors.catalogue import GROUPS
from conformance.monitors.sources import applicable

PAGE: Final = Path(__file__).parents[2] / "docs" / "monitors.md"
BEGIN: Final = "<!-- written by `python -m conformance.monitors.page` -->"
END: Final = "<!-- end -->"
_COLUMNS: Final = ("id", "the bug", "at fault", "severity", "asked by", "must see", "model", "known from")
_HEAD: Final = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|"


def tables() -> str:
    """One table per group, then each automaton's transitions."""
    parts = []
    for title, monitors in GROUPS.items():
        parts += [f"### {title}", "\n".join([_HEAD, *map(_row, monitors)])]
    parts.append("## The automata")
    parts.append(
        "```text\n" + "\n".join(line for group in GROUPS.values() for m in group for line in _lines(m)) + "\n```"
    )
    return "\n\n".join(parts)


def with_tables(page: str) -> str:
    """A page with its tables written anew. Raises ValueError if it has no place for them."""
    begin, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    return f"{page[:begin]}\n\n{tables()}\n\n{page[end:]}"


def _row(monitor: Monitor) -> str:
    needs = ", ".join(n for n in Need if n in monitor.needs) or "the handshake"
    cells = [
        f"`{monitor.id}`",
        monitor.says,
        monitor.fault,
        monitor.severity,
        ", ".join(monitor.requirements),
        needs,
        "yes" if applicable(monitor) else "",
        monitor.source,
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _lines(monitor: Monitor) -> list[str]:
    return [f"{monitor.id}  (one per {', '.join(monitor.key)})", *(f"  {_transition(r)}" for r in monitor.rules), ""]


def _transition(rule: Rule) -> str:
    on = f"{rule.after_us // 1_000_000} s pass" if rule.after_us else " or ".join(sorted(rule.on))
    when = f" [{'; '.join(c.says for c in rule.when)}]" if rule.when else ""
    keep = f" keep {', '.join(rule.keep)}" if rule.keep else ""
    return f"{rule.at} → {'ALARM' if rule.then == BUG else rule.then}: {on}{when}{keep}"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
