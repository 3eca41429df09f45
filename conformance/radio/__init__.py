"""The radio as a program: a hub with an exact schedule of faults, a man in the middle, and a capture."""

from conformance.radio.middle import Caught, Middle, RadioError

__all__ = ["Caught", "Middle", "RadioError"]
