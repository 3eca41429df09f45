"""How a state lies in 64-bit words, and what symmetries do to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.system.base import System, Values, Variable

WORD = 64
"""Bits of a word."""
LARGEST_GROUP = 24
"""Elements of a group of symmetries: each costs an image per transition."""

Words = tuple[int, ...]
Permutation = tuple[int, ...]
"""Where the value of each variable goes: the variable with index i gives its value to that with index p[i]."""


@dataclass(frozen=True, slots=True)
class Field:
    """A variable's bits: its value less `low`, in bits `shift` to `shift + bits - 1` of a word. A constant has none."""

    word: int
    shift: int
    bits: int
    low: int
    high: int

    @property
    def mask(self) -> int:
        """Its bits in the word."""
        return (1 << self.bits) - 1 << self.shift


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields in the order of the variables, and the number of words."""

    fields: tuple[Field, ...]
    words: int

    @classmethod
    def of(cls, variables: Sequence[Variable]) -> Layout:
        """Each variable in the first word that has room for it. Raises ValueError for an impossible variable."""
        fields, used = [], [0]
        for v in variables:
            if not v.low <= v.init <= v.high:
                raise ValueError(f"{v.name} begins with {v.init}, which is not in {v.low}..{v.high}")
            bits = (v.high - v.low).bit_length()
            if bits > 31:
                raise ValueError(f"{v.name} takes {bits} bits; 31 are possible")
            word = next((i for i, n in enumerate(used) if n + bits <= WORD), len(used))
            if word == len(used):
                used.append(0)
            fields.append(Field(word, used[word], bits, v.low, v.high))
            used[word] += bits
        return cls(tuple(fields), len(used))

    @property
    def bits(self) -> int:
        """Bits that a state takes, without what is left over in words."""
        return sum(f.bits for f in self.fields)

    def pack(self, values: Values) -> Words:
        """A state's words."""
        words = [0] * self.words
        for f, value in zip(self.fields, values, strict=True):
            words[f.word] |= value - f.low << f.shift
        return tuple(words)

    def unpack(self, words: Sequence[int]) -> Values:
        """A state of its words."""
        return tuple(((words[f.word] & f.mask) >> f.shift) + f.low for f in self.fields)

    def canonical(self, values: Values, images: Sequence[Permutation]) -> Values:
        """Of a state and its images, that with the least words."""
        return min([values, *(permuted(values, image) for image in images)], key=self.pack)


def permuted(values: Values, permutation: Permutation) -> Values:
    """A state's image."""
    after = list(values)
    for i, target in enumerate(permutation):
        after[target] = values[i]
    return tuple(after)


def group(system: System) -> tuple[Permutation, ...]:
    """All elements except the identity of the group that a system's symmetries generate, in a fixed order.

    Raises ValueError if one is no permutation, exchanges variables of different ranges, or the group is large.
    """
    index = {name: i for i, name in enumerate(system.names)}
    identity = tuple(range(len(index)))
    generators = []
    for mapping in system.symmetries:
        if set(mapping) != set(mapping.values()) or not set(mapping) <= set(index):
            raise ValueError(f"{system.name}: not a permutation of variables: {mapping}")
        for name, other in mapping.items():
            a, b = system.variables[index[name]], system.variables[index[other]]
            if (a.low, a.high) != (b.low, b.high):
                raise ValueError(f"{system.name}: {name} and {other} have different ranges")
        generators.append(tuple(index[mapping.get(name, name)] for name in system.names))
    found, new = {identity}, [identity]
    while new:
        element = new.pop()
        for g in generators:
            product = tuple(g[i] for i in element)
            if product not in found:
                found.add(product)
                new.append(product)
                if len(found) > LARGEST_GROUP:
                    raise ValueError(f"{system.name}: the symmetries make more than {LARGEST_GROUP} images")
    return tuple(sorted(found - {identity}))
