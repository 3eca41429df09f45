"""Explore: every reachable state of a system, by C that is generated from its rules and compiled on the spot."""

from model.explore.answers import explore
from model.explore.engine import EngineError
from model.explore.explorer import Explorer, Progress, RangeError
from model.explore.nodes import TermError

__all__ = ["EngineError", "Explorer", "Progress", "RangeError", "TermError", "explore"]
