"""All that a QEMU holds, taken apart: memory, and each field of each device, by name.

QEMU writes it as if the machine moved to another host (`migrate`), with a description of every field at the end.
"""

from __future__ import annotations

import json
import shlex
import struct
from pathlib import Path
from typing import Any

from conformance.targets.machine import Machine

_SUBSECTION = 5


def read_state(machine: Machine, scratch: Path, *, goes_on: bool = True) -> dict[str, bytes]:
    """What the machine holds. Call it while the firmware sleeps, or is stopped."""
    ask = machine._monitor.ask
    ask("stop", 10)
    file = scratch / "state"
    ask("migrate", 10, uri=f"exec:cat > {shlex.quote(str(file))}")
    while (status := ask("query-migrate", 10)["status"]) not in ("completed", "failed"):
        pass
    assert status == "completed"
    if goes_on:
        ask("cont", 10)
    return _taken_apart(file.read_bytes())


def _taken_apart(stream: bytes) -> dict[str, bytes]:
    described = stream.rindex(b'{"page_size"')
    state: dict[str, bytes] = {}
    end = 0
    for device in json.loads(stream[described:].rstrip(b"\0"))["devices"]:
        name = device["name"].encode()
        header = bytes([len(name)]) + name + struct.pack(">II", device["instance_id"], device["version"])
        start = stream.index(header, end)
        if not state:
            state["memory"] = stream[:start]
        start += len(header)
        label = f"{device['name']}#{device['instance_id']}"
        if "fields" in device:
            end = _fields(device, stream, start, label, state)
        else:
            end = start + device["size"]
            state[label] = stream[start:end]
    return state


def _fields(described: dict[str, Any], stream: bytes, at: int, label: str, state: dict[str, bytes]) -> int:
    """Put the fields that begin at `at` into `state`; returns where they end."""
    for field in described["fields"]:
        count = field.get("array_len", 1)
        for number in range(count):
            index = field.get("index", number if count > 1 else None)
            name = f"{label}.{field['name']}" + ("" if index is None else f"[{index}]")
            if "struct" in field:
                at = _fields(field["struct"], stream, at, name, state)
            else:
                state[name] = stream[at : at + field["size"]]
                at += field["size"]
    for part in described.get("subsections", ()):
        assert stream[at] == _SUBSECTION
        at += 2 + stream[at + 1] + 4  # mark, name, version
        at = _fields(part, stream, at, f"{label}/{part['vmsd_name']}", state)
    return at
