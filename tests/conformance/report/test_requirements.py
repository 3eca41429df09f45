from __future__ import annotations

from pathlib import Path

from conformance.report.requirements import describe, load_requirements, parse_requirements

PAGE = """# Page
## 2. Frames (FRM)
- **FRM-1 (H)** A reader skips `junk` until it *finds* the magic, **always**, at 2*3*4 bytes. More
  about that. **hist:** it did
  not.
- **FRM-2** Short. But this sentence goes on and is long enough to tell.
not a continuation
- **no rule** at all
"""


def test_a_bullet_and_its_continuation() -> None:
    rules = parse_requirements(PAGE)
    assert list(rules) == ["FRM-1", "FRM-2"]
    first, second = rules.values()
    assert first.section == "Frames (FRM)"
    assert first.hardens and not second.hardens
    assert first.text == "A reader skips junk until it finds the magic, always, at 2*3*4 bytes. More about that."
    assert (first.historic, second.historic) == ("it did not.", "")
    assert first.line == "A reader skips junk until it finds the magic, always, at 2*3*4 bytes."
    assert second.line == "Short. But this sentence goes on and is long enough to tell."


def test_the_protocol_page_is_read_whole() -> None:
    rules = load_requirements()
    text = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text("utf-8")
    assert len(rules) == sum(line.startswith("- **") and line[7] == "-" for line in text.splitlines()) > 40
    assert all(rule.text and rule.section and "**" not in rule.text + rule.historic for rule in rules.values())


def test_no_page_no_texts(tmp_path: Path) -> None:
    assert load_requirements(tmp_path / "none.md") == {}
    (tmp_path / "latin.md").write_bytes(b"- **FRM-1** \xff")
    assert load_requirements(tmp_path / "latin.md") == {}


def test_an_unknown_requirement_is_its_id() -> None:
    rules = parse_requirements(PAGE)
    assert describe("FRM-2", rules).startswith("FRM-2: Short.")
    assert describe("RFC6347-4.2.4", rules) == "RFC6347-4.2.4"
