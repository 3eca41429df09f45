"""A controller as a third party might have one: of the historic system, as a program of its own.

It is the reference with the settings of 2021 (RSA key exchange, the 22-byte registration layout, names such as
`10_PROVISION`), one hardening rule less (SES-9: both messages are lost in glare) and one thing that no rule allows: it
passes the CPU's broadcasts to the radio (FRM-6). It speaks the protocol of `firmware/port/host/main.c`.
"""

from __future__ import annotations

import struct
import sys
from typing import BinaryIO

from model.alphabet import BROADCAST, Link
from reference import records
from reference.controller import Controller
from reference.dialect import RSA_AES_256, Dialect
from reference.endings import How
from reference.frame import Frame
from reference.records import Record

HISTORIC = Dialect(RSA_AES_256, "{id}_PROVISION", wide_response=True)
COMMAND = struct.Struct("<IIQ")
ANSWER = struct.Struct("<QQ3Bx4I4x")
BOOT, SEND, ADVANCE = range(3)
STREAMS = (Link.CPU, Link.SSS, Link.RADIO)
NEVER = 2**64 - 1


class Historic(Controller):
    """What is different from the reference."""

    def _take_hello(self, source: int, record: Record, now: int) -> None:
        if not self._is_unanswered():
            super()._take_hello(source, record, now)
            return
        hello = records.client_hello(record)
        valid = hello is not None and self._cookies.is_valid(str(source).encode(), hello.cookie)
        if hello is not None and not valid and source == self._peer:
            self._end(How.REFUSED, "glare")  # fed to our client, which fails

    def _take_cpu(self, frame: Frame, now: int) -> None:
        if frame.target == BROADCAST:
            self._outgoing.append((Link.RADIO, frame.encode()))
        super()._take_cpu(frame, now)


def main(commands: BinaryIO, answers: BinaryIO) -> None:
    controller, now = None, 0
    while len(head := commands.read(COMMAND.size)) == COMMAND.size:
        kind, link, number = COMMAND.unpack(head)
        if kind == BOOT:
            controller, now = Historic(commands.read(number), dialect=HISTORIC), 0
        assert controller is not None
        if kind == SEND:
            controller.receive(STREAMS[link], commands.read(number), now)
        elif kind == ADVANCE:
            end = now + number
            while (due := controller.deadline()) is not None and due <= end:
                now = max(now, due)
                controller.on_time(now)
            now = end
        streams = dict.fromkeys(STREAMS, b"")
        for stream, frame in controller.outgoing():
            streams[stream] += frame
        debug = f"scewl: fatal: {controller.fatal}\n".encode() if kind == BOOT and controller.fatal else b""
        deadline = controller.deadline()
        parts = [*streams.values(), debug]
        answers.write(ANSWER.pack(now, NEVER if deadline is None else deadline, 0, 0, 0, *map(len, parts)))
        answers.write(b"".join(parts))
        answers.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
