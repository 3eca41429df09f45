"""SPIN: a second engine, which shares nothing with the explorer but the rules. It must count the same states."""

from model.spin.check import check
from model.spin.pan import Run, SpinError, compiled, run
from model.spin.promela import TermError, promela

__all__ = ["Run", "SpinError", "TermError", "check", "compiled", "promela", "run"]
