"""What a reset of the LM3S6965 in QEMU leaves alone, and how to put it back: qtest commands.

QEMU's reset does the processor with NVIC, SysTick and MPU, the clocks, and GPIO. It leaves SRAM, the UARTs and the
timers (GPTM) as they were, which is mended here, and devices for which the protocol has no use: a chip whose firmware
has touched those is not used again. It starts the watchdog's timer, which start-up does not; stopped, it reads as 0,
not as 0xffffffff, until the firmware loads it. Nothing else tells a scrubbed chip from a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

UARTS: Final = (0x4000C000, 0x4000D000, 0x4000E000)
FIFO: Final = 16
"""Bytes that a UART holds."""
_TIMERS: Final = (0x40030000, 0x40031000, 0x40032000, 0x40033000)
_WATCHDOG: Final = 0x40000000


def _registers(base: int, values: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    for offset, value in values.items():
        yield base + offset, value


_ADC_SEQUENCES: Final = {0x40 + 0x20 * n + register: 0 for n in range(4) for register in (0, 4)}
UNTOUCHED: Final = dict(
    (
        # system control: LDO, interrupts, causes of a reset
        *_registers(0x400FE000, {0x34: 0, 0x54: 0, 0x5C: 0, 0x160: 0}),
        *_registers(0x40038000, {0: 0, 8: 0, 0x10: 0, 0x14: 0, 0x18: 0, 0x20: 0, 0x30: 0} | _ADC_SEQUENCES),
        # I2C, SSI, Ethernet
        *_registers(0x40020000, {0: 0, 4: 0x20, 8: 0, 0x0C: 1, 0x10: 0, 0x14: 0, 0x20: 0}),
        *_registers(0x40008000, {0: 0, 4: 0, 0x0C: 3, 0x10: 0, 0x14: 0, 0x18: 8}),
        *_registers(0x40048000, {0: 0, 4: 0x7F, 8: 8, 0x0C: 0, 0x14: 0x12005452, 0x18: 0x5634, 0x1C: 0x3F}),
        *_registers(0x40048000, {0x20: 0, 0x24: 0x80, 0x2C: 0, 0x30: 0, 0x34: 0, 0x38: 0}),
    )
)
"""Registers that nothing here puts back, by address, with what a new chip has in them."""


def _write(base: int, *registers: tuple[int, int]) -> Iterator[str]:
    for offset, value in registers:
        yield f"writel {base + offset:#x} {value:#x}"


def _read(addresses: Iterable[int]) -> Iterator[str]:
    for address in addresses:
        yield f"readl {address:#x}"


def _before() -> Iterator[str]:
    yield "memset 0x20000000 0x10000 0x00"
    for timer in _TIMERS:
        # CTL off, CFG, interrupts off and cleared, modes, loads, matches, prescalers
        yield from _write(timer, (0x0C, 0), (0x00, 0), (0x18, 0), (0x24, 0x70F), (0x04, 0), (0x08, 0), (0x28, 0))
        yield from _write(timer, (0x2C, 0), (0x30, 0), (0x34, 0), (0x38, 0), (0x3C, 0), (0x40, 0))
        yield from _write(timer, (0x0C, 1), (0x0C, 0))  # its last tick is now the moment 0
    for uart in UARTS:
        # interrupts off and cleared, CR, FIFO off and on: empty
        yield from _write(uart, (0x38, 0), (0x44, 0x7FF), (0x30, 0x300), (0x2C, 0), (0x2C, 0x10))
        # divisors, low power, FIFO levels, DMA
        yield from _write(uart, (0x24, 0), (0x28, 0), (0x20, 0), (0x34, 0x12), (0x48, 0))


def _fifos() -> Iterator[str]:
    for uart in UARTS:
        yield from _read([uart] * FIFO)
        yield from _write(uart, (0x2C, 0), (0x44, 0x7FF))


READ_UNTOUCHED: Final = tuple(_read(UNTOUCHED))
BEFORE_RESET: Final = tuple(_before())
"""All but the UARTs' FIFOs, which are now on and empty. Their cells still hold the last bytes, and a firmware that
reads too much would see those; so `FIFO` zero bytes have to come in, and then `FIFOS_FULL` follows."""
FIFO_FLAGS: Final = tuple(_read(uart + 0x18 for uart in UARTS))
FIFO_IS_FULL: Final = 0x40
"""In each of those answers."""
FIFOS_FULL: Final = tuple(_fifos())
AFTER_RESET: Final = tuple(_write(_WATCHDOG, (0x00, 0), (0x0C, 1)))
"""A load of zero stops the watchdog's timer, and the next load does not start it."""
