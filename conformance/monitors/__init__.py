"""Bug-pattern monitors: the known errors of DTLS state machines, as small automata over what parties do.

They need no model and no identity: an alarm says that this pattern of frames shows that this party has this bug.
"""

from conformance.monitors.automaton import Fault, Monitor, Need, Severity
from conformance.monitors.catalogue import CATALOGUE
from conformance.monitors.watch import Alarm, Basis, Blind, Monitors

__all__ = ["CATALOGUE", "Alarm", "Basis", "Blind", "Fault", "Monitor", "Monitors", "Need", "Severity"]
