"""A firmware that we did not write, described by one TOML file: `scewl conform --iut FILE`."""

from conformance.iut.profile import BadIut, Iut, load, parse
from conformance.iut.template import write_template

__all__ = ["BadIut", "Iut", "load", "parse", "write_template"]
