"""What the QEMU target must know of an ELF file before it runs it."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from conformance.targets.base import HarnessError

_HEADER = struct.Struct("<16sHHIIIIIHHH")
"""Identification, type, machine, version, entry, offsets of program and section headers, flags, size of this header,
size and number of program headers (System V ABI, 32-bit)."""
_SEGMENT = struct.Struct("<8I")
"""Type, offset, virtual and physical address, bytes in the file and in memory, flags, alignment."""
_SECTION = struct.Struct("<10I")
"""Name, type, flags, address, offset, size, link, info, alignment, size of an entry."""
_SYMBOL = struct.Struct("<IIIBBH")
"""Name, value, size, type and binding, visibility, section."""
_ARM, _LOAD = 40, 1
_SYMBOLS = 2
_WRITE = re.compile(r"Invalid write at addr 0x([0-9A-Fa-f]+)\b")


class Elf:
    """A 32-bit little-endian ARM executable."""

    def __init__(self, path: Path) -> None:
        """Raises HarnessError if `path` is not one."""
        self.path = path
        try:
            status, data = path.stat(), path.read_bytes()
        except OSError as error:
            raise HarnessError(
                f"cannot read the firmware {path}: {error.strerror}; build it with `make firmware`"
            ) from error
        if len(data) < 52 or data[:4] != b"\x7fELF":
            raise HarnessError(f"{path} is not an ELF file; give the linked firmware, not a binary or hex image of it")
        _, _, machine, _, _, table, _, _, _, size, number = _HEADER.unpack_from(data)
        if data[4:6] != b"\x01\x01" or machine != _ARM:
            raise HarnessError(f"{path} is not for 32-bit little-endian ARM; build it with arm-none-eabi-gcc")
        starts = [table + size * n for n in range(number)]
        if any(start + _SEGMENT.size > len(data) for start in starts):
            raise HarnessError(f"{path} is cut off: its program headers lie behind its end; build it again")
        self.version = (str(path.resolve()), status.st_ino, status.st_size, status.st_mtime_ns)
        """Another build under the same name has another."""
        self._data = data
        segments = [_SEGMENT.unpack_from(data, start) for start in starts]
        self._cleared = [(s[3] + s[4], s[3] + s[5]) for s in segments if s[0] == _LOAD and s[5] > s[4]]

    def is_cleared_by_the_loader(self, line: str) -> bool:
        """Whether a line of QEMU's log is about QEMU's own loader, not about the firmware.

        Where a segment takes more room in memory than in the file, the loader clears the rest at the segment's *load*
        address. Some linkers put `.bss` behind `.data` so that this is flash, and QEMU reports its own write to it.
        """
        write = _WRITE.search(line)
        return write is not None and any(start <= int(write[1], 16) < end for start, end in self._cleared)

    def symbol(self, name: str) -> tuple[int, int] | None:
        """Address and size in bytes of a variable or function; None if the symbol table, if there is one, does not name
        it exactly once."""
        (table,) = struct.unpack_from("<I", self._data, 32)
        size, number = struct.unpack_from("<HH", self._data, 46)
        found: set[tuple[int, int]] = set()
        try:
            sections = [_SECTION.unpack_from(self._data, table + size * n) for n in range(number)]
            for section in sections:
                if section[1] != _SYMBOLS:
                    continue
                names = sections[section[6]][4]
                for offset in range(section[4], section[4] + section[5], _SYMBOL.size):
                    where, value, extent, *_ = _SYMBOL.unpack_from(self._data, offset)
                    end = self._data.index(b"\0", names + where)
                    if self._data[names + where : end] == name.encode():
                        found.add((value, extent))
        except (struct.error, IndexError, ValueError):  # cut off, or damaged
            return None
        return found.pop() if len(found) == 1 else None
