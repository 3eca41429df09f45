"""Views of a capture for `scewl inspect`: table, ladder, statistics, JSON lines, a page, an annotated copy."""
