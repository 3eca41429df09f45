"""The prove reading: Z3 shows `always` properties without a bound, by induction, with lemmas."""

from model.prove.cti import Cti, describe
from model.prove.engine import ctis, prove
from model.prove.horn import spacer
from model.prove.induction import Progress
from model.prove.lemmas import Lemma, ranges
from model.prove.search import bounded

__all__ = ["Cti", "Lemma", "Progress", "bounded", "ctis", "describe", "prove", "ranges", "spacer"]
