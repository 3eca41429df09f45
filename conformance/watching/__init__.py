"""The model in lockstep with nodes that run: `watch` for a controller, `WatchedSss` for the SSS.

Each step of a watched node is judged as a conformance run's is. What differs is that nobody plays the world around it,
so that nothing is known but the node's own bytes and secrets, and that it may run for months.
"""

from conformance.watching.controller import WatchedController, watch
from conformance.watching.recording import Alarm
from conformance.watching.sss import WatchedSss

__all__ = ["Alarm", "WatchedController", "WatchedSss", "watch"]
