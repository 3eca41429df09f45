"""What all layers here share: bytes come back as they came, and what does not parse is kept and said to be malformed.

Scapy's own layers drop or repair what is not canonical: lengths that do not fit, bytes at the end. For an onlooker,
those are the interesting ones.
"""

# ruff: noqa: ARG002, D102, RUF012 (Scapy prescribes these signatures and class attributes)

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from scapy.compat import raw
from scapy.fields import Field, FieldLenField, PacketListField, XStrField
from scapy.packet import Packet, Raw


class _NoteField(Field[str, str]):
    """Words about a layer. They are not on the wire."""

    def addfield(self, pkt: Packet, s: bytes, val: str | None) -> bytes:
        return s

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, str]:
        return s, str(self.default)


class Malformed(Raw):
    """Bytes that do not parse as what they should be, to the end of the structure that holds them, and why."""

    name = "Malformed"
    fields_desc = [_NoteField("why", "no whole header"), XStrField("load", b"")]

    def mysummary(self) -> str:
        """The size, in bytes."""
        return f"malformed, {len(self.load)} B"


class Opaque(Raw):
    """Bytes whose meaning they do not tell themselves: part of a message, or of an unknown type."""

    name = "Opaque"
    fields_desc = [XStrField("load", b"")]

    def mysummary(self) -> str:
        """The size, in bytes."""
        return f"opaque, {len(self.load)} B"


class Exact(Packet):
    """A layer that builds back to the bytes it was dissected from, until it or anything inside it is altered.

    As everywhere in Scapy, the length fields of a dissected layer keep their values when it is altered; `del` one to
    have it computed.
    """

    name = "Exact"
    fields_desc = []

    def _raw_packet_cache_field_value(self, fld: Any, val: Any, copy: bool = False) -> Any:
        # What tells whether a field was altered since. Scapy looks one level into the layers of a list; ours nest
        # deeper. Their bytes tell.
        if fld.holds_packets and val is not None:
            return [raw(item) for item in val]
        return super()._raw_packet_cache_field_value(fld, val, copy)


class PacketsField(PacketListField):
    """A list of layers that takes all of its bytes in one go, without Scapy's limit of 100.

    `split` gets the layer that holds the field and the bytes, and must raise nothing but ValueError.
    Values may be given as layers, as bytes (which become Opaque), or as a list of these.
    """

    __slots__ = ["split"]

    def __init__(
        self,
        name: str,
        split: Callable[[Packet, bytes], list[Packet]],
        length_from: Callable[[Packet], int] | None = None,
    ) -> None:
        super().__init__(name, [], Packet, length_from=length_from)
        self.split = split

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        items = x if isinstance(x, list) else [x]
        return super().any2i(pkt, [Opaque(load=item) if isinstance(item, bytes) else item for item in items])

    def getfield(self, pkt: Packet, s: bytes) -> Any:
        size = len(s) if self.length_from is None else self.length_from(pkt)
        found = self.split(pkt, s[:size])
        for item in found:
            item.add_parent(pkt)
        return s[size:], found


def dissect_exactly(cls: type[Packet], data: bytes, **options: Any) -> Packet:
    """`data` as one `cls`, or Malformed unless all of it is accounted for. Raises nothing.

    The test: the values found, with every length computed anew, build to `data`. So no length lies, nothing is cut
    short and nothing follows. `options` go to the class.
    """
    # Scapy's fields raise whatever Python does when bytes run out: struct.error, IndexError, TypeError, ...
    with contextlib.suppress(Exception):
        # Internal to a packet: Scapy's hooks for a finished dissection, which may act on sessions, are not called.
        found = cls(data, _internal=1, **options)
        canonical = cls(_internal=1, **options)
        canonical.fields = {name: value for name, value in found.fields.items() if not _is_length(cls, name)}
        canonical.explicit = 1  # no value is drawn at random, so Scapy need not clone it to build it
        if raw(canonical) == data:
            return found
    return Malformed(load=data, why=f"not exactly one {cls._name}")


def _is_length(cls: type[Packet], name: str) -> bool:
    """Whether a field holds a length; the extensions of Scapy call it `len` if it is no FieldLenField."""
    return name == "len" or any(f.name == name and isinstance(f, FieldLenField) for f in cls.fields_desc)
