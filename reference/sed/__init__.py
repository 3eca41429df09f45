"""A SED as a program: the reference's controller over sockets, in real time, and an API for scripts."""

from reference.sed.sed import Sed
from reference.sed.words import LinkGone, Message, Refused, SedError, TimedOut

__all__ = ["LinkGone", "Message", "Refused", "Sed", "SedError", "TimedOut"]
