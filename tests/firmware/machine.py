"""The firmware's own machine code of AES, run instruction by instruction, with every register that it writes.

The program is the linked image. Only the generator of masks is replaced: the caller gives the masks. Each register that
an instruction writes is one sample, the Hamming weight of the new value; or, as a sample of another kind, the Hamming
distance to the value that it replaces. Buses, pipeline and memory have transitions of their own, which are not seen.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import capstone
import numpy as np
import numpy.typing as npt
import unicorn
from capstone import arm_const as names
from host_aes import MASKS, Bytes
from unicorn import arm_const as arm

FLASH, FLASH_BYTES, SRAM, SRAM_BYTES = 0, 0x40000, 0x2000_0000, 0x10000
STACK = SRAM + 256 + 4_096
BENCH = SRAM + SRAM_BYTES
"""Memory that the chip does not have, for what is given to AES."""
CONTEXT, KEY, INPUT, OUTPUT, RETURN = BENCH, BENCH + 0x200, BENCH + 0x240, BENCH + 0x280, BENCH + 0x300
R0, R1, LR = arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_LR
REGISTERS = [R0 + n for n in range(13)] + [LR]
POSITION = {names.ARM_REG_R0 + n: n for n in range(13)} | {names.ARM_REG_LR: 13}


class Writes(dict[int, list[int]]):
    """Which of REGISTERS the instruction at an address writes."""

    def __init__(self, flash: bytes) -> None:
        super().__init__()
        self._flash = flash
        self._decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        self._decoder.detail = True

    def __missing__(self, address: int) -> list[int]:
        instruction = next(self._decoder.disasm(self._flash[address : address + 4], address, 1))
        self[address] = sorted(POSITION[r] for r in instruction.regs_access()[1] if r in POSITION)
        return self[address]


class Machine:
    """A Cortex-M3 with a firmware in its flash."""

    def __init__(self, elf: Path) -> None:
        self._cpu = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._cpu.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M3)
        for start, length in ((FLASH, FLASH_BYTES), (SRAM, SRAM_BYTES), (BENCH, 0x1000)):
            self._cpu.mem_map(start, length)
        self._load(elf.read_bytes())
        listing = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True).stdout
        symbols = {f[2]: int(f[0], 16) for f in map(str.split, listing.splitlines()) if len(f) == 3}
        self._setkey, self._encrypt = symbols["mbedtls_aes_setkey_enc"], symbols["mbedtls_internal_aes_encrypt"]
        self._refresh, self._draw = symbols["masks_refresh"], symbols["masks_draw"]
        self._writes = Writes(bytes(self._cpu.mem_read(FLASH, FLASH_BYTES)))
        self._masks = b""
        self._held = [0] * len(REGISTERS)
        self._written: list[int] = []
        self._new: list[int] = []
        self._replaced: list[int] = []
        self.instructions = 0
        """Of the last block, without its masks' making."""
        self._cpu.hook_add(unicorn.UC_HOOK_CODE, self._step)

    def _load(self, elf: bytes) -> None:
        """Segments, to where they lie in flash and to where the start-up code copies them."""
        first, size, count = struct.unpack_from("<I", elf, 28)[0], *struct.unpack_from("<HH", elf, 42)
        for i in range(count):
            kind, offset, virtual, physical, length = struct.unpack_from("<IIIII", elf, first + i * size)
            if kind == 1 and length:
                for address in {virtual, physical}:
                    self._cpu.mem_write(address, elf[offset : offset + length])

    def _step(self, cpu: unicorn.Uc, address: int, _size: int, _data: object) -> None:
        """Before each instruction: what did the one before it write?"""
        self.instructions += 1
        if self._written:
            values = cpu.reg_read_batch([REGISTERS[n] for n in self._written])
            for number, value in zip(self._written, values, strict=True):
                self._new.append(value)
                self._replaced.append(self._held[number])
                self._held[number] = value
        self._written = self._writes[address]
        if address in (self._refresh, self._draw):
            to, length, back = cpu.reg_read_batch([R0, R1, LR])
            if address == self._draw:
                cpu.mem_write(to, self._masks[:length])
                self._masks = self._masks[length:]
            cpu.reg_write(R0, 0)
            cpu.reg_write(arm.UC_ARM_REG_PC, back)
            self._written = []

    def _call(self, function: int, *arguments: int) -> None:
        for number, register in enumerate(REGISTERS):
            self._cpu.reg_write(register, arguments[number] if number < len(arguments) else 0)
        self._cpu.reg_write(arm.UC_ARM_REG_SP, STACK)
        self._cpu.reg_write(LR, RETURN | 1)
        self._held = list(self._cpu.reg_read_batch(REGISTERS))
        self._written, self._new, self._replaced, self.instructions = [], [], [], 0
        self._cpu.emu_start(function | 1, RETURN)
        assert self._cpu.reg_read(R0) == 0, "AES refused"

    def _block(self, block: bytes, masks: bytes) -> bytes:
        self._cpu.mem_write(INPUT, block)
        self._masks = masks
        self._call(self._encrypt, CONTEXT, INPUT, OUTPUT)
        return bytes(self._cpu.mem_read(OUTPUT, 16))

    def _set_key(self, key: bytes, masks: bytes) -> None:
        self._cpu.mem_write(KEY, key)
        self._masks = masks
        self._call(self._setkey, CONTEXT, KEY, 8 * len(key))

    def traces(self, key: Bytes, inputs: Bytes, masks: Bytes) -> tuple[Bytes, Bytes, Bytes]:
        """Weights and distances (blocks x register writes), and ciphertexts, of blocks under one key.

        Left out are the input's words where they are loaded and the ciphertext's where they are made: what an attacker
        knows anyway.
        """
        assert masks.shape == (len(inputs), MASKS)
        self._set_key(key.tobytes(), masks[0].tobytes())
        weights, distances, ciphers = [], [], []
        secret: npt.NDArray[np.bool_] | None = None
        for block, set_of_masks in zip(inputs, masks, strict=True):
            cipher = np.frombuffer(self._block(block.tobytes(), set_of_masks[MASKS // 2 :].tobytes()), np.uint8)
            new, replaced = np.array(self._new, np.uint32), np.array(self._replaced, np.uint32)
            if secret is None:
                secret = ~np.isin(new, np.concatenate([block, cipher]).view(np.uint32))
            weights.append(_weights(new[secret]))
            distances.append(_weights((new ^ replaced)[secret]))
            ciphers.append(cipher)
        return np.stack(weights), np.stack(distances), np.stack(ciphers)


def _weights(words: npt.NDArray[np.uint32]) -> Bytes:
    return np.unpackbits(words.view(np.uint8).reshape(-1, 4), axis=1).sum(axis=1, dtype=np.uint8)
