"""The monitors, as data."""

from __future__ import annotations

from typing import Final

from conformance.monitors.automaton import Monitor
from conformance.monitors.catalogue.cookies import COOKIES
from conformance.monitors.catalogue.data import DATA
from conformance.monitors.catalogue.negotiation import NEGOTIATION
from conformance.monitors.catalogue.numbers import NUMBERS
from conformance.monitors.catalogue.order import ORDER
from conformance.monitors.catalogue.timing import TIMING

GROUPS: Final[dict[str, tuple[Monitor, ...]]] = {
    "Order of the handshake": ORDER,
    "Hellos, cookies and randoms": COOKIES,
    "Numbers and fragments": NUMBERS,
    "What is agreed on": NEGOTIATION,
    "Data, alerts and delivery": DATA,
    "Timers, the CPU, addresses": TIMING,
}
CATALOGUE: Final[dict[str, Monitor]] = {m.id: m for group in GROUPS.values() for m in group}
"""All monitors by id."""
