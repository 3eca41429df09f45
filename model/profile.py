"""Profiles: which hardening rules (marked H on the protocol page) are in force, and the numbers of a deployment."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Profile:
    """One flag per hardening rule, and SES-11, which mends a historic defect too. True: hardened; False: historic."""

    frm_1: bool = True
    """Only `S` then `C` starts a frame (historic: `S` first or `C` second)."""
    frm_2: bool = True
    """Oversize frames are dropped (historic: cut and used)."""
    frm_5: bool = True
    """FAA frames pass at any time (historic: only while IDLE)."""
    crt_5: bool = True
    """A runtime set is checked before it comes into force (historic: a bad one ended in FATAL_ERROR)."""
    crt_7: bool = True
    """CN checked by servers too, provisioning CNs plain (historic: `<id>_PROVISION`, so clients never matched)."""
    ses_7: bool = True
    """Idle timer after the handshake; junk opens nothing (historic: no timer, junk held a session)."""
    ses_8: bool = True
    """Same bytes or nothing (historic: whatever had come)."""
    ses_9: bool = True
    """Glare yields to the lower id (historic: both messages lost)."""
    ses_11: bool = True
    """A start that fails returns to IDLE (historic: stuck in SENDING_MESSAGE)."""
    reg_1: bool = True
    """The SSS keeps its CA and its list across restarts (historic: a restart split the fleet)."""
    reg_3: bool = True
    """A refusal is a complete response (historic: too short, the client waited for more)."""
    reg_4: bool = True
    """One CPU answer per request, also on failure (historic: silence)."""
    reg_5: bool = True
    """A device that counts as registered may register again (historic: refused)."""
    reg_7: bool = True
    """No connection holds up the others at the SSS (historic: one silent one froze it)."""
    adv_1: bool = True
    """Unauthenticated handshakes give way (historic: they blocked CPU and radio)."""
    adv_3: bool = True
    """No two boots draw the same randomness (historic: every boot did)."""

    def without(self, flag: str) -> Profile:
        """This profile with one flag switched off."""
        return replace(self, **{flag: False})


HARDENED = Profile()
HISTORIC = Profile(**{f.name: False for f in fields(Profile)})
PROFILES = {"hardened": HARDENED, "historic": HISTORIC}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a controller's rules take as given: its id, its profile and its timers in milliseconds (DTL-6, SES-7)."""

    me: int
    profile: Profile = HARDENED
    first_timeout: int = 7_000
    last_timeout: int = 60_000
    idle_timeout: int = 60_000
