"""Whose certificate is good: what a SED must show, what another makes of it, and whether it accepts it."""

from __future__ import annotations

from types import SimpleNamespace

from model.alphabet import Ca
from model.rules import RULES
from model.rules.sss import SSS_RULES
from model.system.base import Variables
from model.system.layout import Draft
from model.terms import And, If, Not, Term

_REJECT = next(rule for rule in RULES if rule.id == "CRT-7.reject")
_SSS_REJECTS = next(rule for rule in SSS_RULES if rule.id == "CRT-8.reject")


def runtime(s: Variables) -> Term:
    """CRT-3, said once more and not with the rules' own words: what a session with another SED must show."""
    return If(s.registered == 1, Ca.RUNTIME, Ca.PROVISIONING)


def as_seen(d: Draft, owner: int, by: int, ca: Term) -> Term:
    """The authority of a SED's certificate as another SED sees it: two runtime CAs do not know each other (REG-1)."""
    strange = And(ca == Ca.RUNTIME, d[f"s{by}_registered"] == 1, d[f"s{owner}_gen"] != d[f"s{by}_gen"])
    return If(strange, Ca.OTHER, ca)


def certificate_of(d: Draft, owner: int, by: int) -> Term:
    """The authority of the certificate that a SED must show, as the other SED sees it."""
    return as_seen(d, owner, by, runtime(d.sed(owner)))


def accepts(d: Draft, i: int, ca: Term, cn: int) -> Term:
    """SED `i` accepts a certificate that names `cn` from its peer: the rule that rejects does not apply."""
    shown = SimpleNamespace(source=d[f"s{i}_peer"], ca=ca, cn=cn)
    return Not(_REJECT.body(d.sed(i), shown, d.layout.setting(i)).guard)


def sss_accepts(d: Draft, i: int, ca: Term, owner: int) -> Term:
    """The SSS accepts, on the wire of SED `i`, a certificate and key that were made for `owner`."""
    shown = SimpleNamespace(ca=ca, cn=owner, key=owner)
    return Not(_SSS_REJECTS.body(d.wire(i), shown, d.layout.wire_setting(i)).guard)
