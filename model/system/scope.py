"""What a scope is: who takes part, what they may do and how often. One `Scope` and one profile make one system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from model.alphabet import Ca

STRANGER = 5
"""The id under which the adversary speaks when it speaks for nobody else, and that of the device that it owns."""
ABSENT = 6
"""An id that nobody has."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The bounds of one exploration. Counts are per SED unless they say otherwise; None means without bound."""

    name: str
    says: str
    of: str = "devices"
    """What the system is made of: `devices` with their links; one `controller` alone; one frame `reader`. The bounds
    below are those of devices."""
    engines: tuple[str, ...] = ("explore", "run", "spin")
    """What can check it. Without bounds on messages and requests only `prove` can, unless nothing counts them."""
    seds: tuple[int, ...] = (3, 4)
    registered: bool = False
    """Whether the SEDs are registered when it begins."""
    sends: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """To whom each SED's CPU sends messages."""
    asks: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """What each SED's CPU asks of the SSS: values of `op`."""
    messages: int | None = 1
    requests: int | None = 1
    records: int = 1
    """Records of data per message."""
    finished: int = 2
    """Transmissions of a Finished that are told apart; what is sent beyond is lost."""
    free: bool = False
    """Links. False: every frame arrives at once unless it is lost. True: the adversary owns them; it loses, repeats,
    delays and reorders at will."""
    losses: int = 0
    """Frames that get lost, in all (links that are not free)."""
    losable: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """Which flights can get lost; 7 stands for what follows the handshake."""
    swaps: int = 0
    """Records that are overtaken by the close_notify, in all (links that are not free)."""
    forging: bool = False
    """Whether the adversary makes up what needs no key: hellos, echoed cookies, alerts, plaintext messages, junk."""
    radio: bool = True
    wires: bool = True
    """Whether what it makes up reaches the SEDs by the radio, and the SSS by their wires."""
    owns: tuple[Ca, ...] = ()
    """Whose certificates the adversary's own device has, in its own name; their keys too."""
    removed: tuple[int, ...] = ()
    """The SEDs that were removed from the deployment (CRT-8)."""
    boots: int = 0
    restarts: int = 0
    """Power cycles per SED; restarts of the SSS."""
    faults: frozenset[str] = frozenset()
    """What else may go wrong: `start` (a session cannot be started), `oversize` (a CPU's frame), `unusable` (the SSS
    grants credentials that do not work), `malformed` (a CPU's request), `other` (a CPU's frame that is dropped), `faa`
    (FAA frames both ways), `half-frame` (a stranger's wire at the SSS stops in the middle of a frame)."""
    time: str = "jump"
    """`jump`: time passes to the next deadline; `both`: also to one unit before it; `tick`: unit by unit."""
    unit: int = 1_000
    """Milliseconds of a unit of time."""
    timeouts: tuple[int, int, int] = (7, 60, 60)
    """First and last retransmission timeout and idle timeout, in units."""
    standard: bool = True
    """Whether a plain `scewl check` explores it."""
    properties: tuple[str, ...] = ()
    """Names of the properties that are asked here beyond those that are asked of every scope."""
