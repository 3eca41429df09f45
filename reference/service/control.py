"""Commands to a running service, through a socket in the deployment's folder that only its owner reaches (0700).

A command is one line of JSON, `{"do": "status"}` or `{"do": "revoke", "device": 10}`; so is the answer, which holds
`error` if it could not be carried out.
"""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

from reference.service.listen import CONTROL, ListenError, short
from reference.service.server import Service
from reference.service.store import StoreError

_LINE = 4_096
"""Bytes of a command, at the most."""
_PATIENCE = 10.0
"""Seconds that either side waits for the other."""


async def answer(
    service: Service, extra: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one connection's one command. `extra` is what a status holds beside what the service knows."""
    try:
        async with asyncio.timeout(_PATIENCE):
            line = await reader.readline()
            writer.write(json.dumps(await _carry_out(service, extra, line)).encode() + b"\n")
            await writer.drain()
    except (OSError, ValueError, TimeoutError):  # it left, said too much, or nothing
        pass
    finally:
        writer.close()


async def _carry_out(service: Service, extra: dict[str, Any], line: bytes) -> dict[str, Any]:
    try:
        command = json.loads(line)
        what, device = command["do"], int(command.get("device", 0))
    except (ValueError, TypeError, KeyError, AttributeError):
        return {"error": "this is no command"}
    if what == "status":
        return extra | service.shown()
    if what == "revoke" and device in service.deployment.seds:
        try:
            return {"was_registered": await service.revoke(device)}
        except StoreError as error:
            return {"error": str(error)}
    return {"error": f"there is no command {what!r} for device {device}"}


def ask(folder: Path, command: dict[str, Any]) -> dict[str, Any] | None:
    """Give a running service a command and return its answer; None if none runs. Raises ListenError."""
    path = str(folder / CONTROL)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client, short(path) as reachable:
            client.settimeout(_PATIENCE)
            client.connect(reachable)
            client.sendall(json.dumps(command).encode() + b"\n")
            with client.makefile("rb") as answers:
                line = answers.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as error:
        raise ListenError(f"{path}: the running service does not answer ({error}): look into its log") from error
    if not line:
        raise ListenError(f"{path}: the running service ended before it answered: try again")
    answered: dict[str, Any] = json.loads(line)
    return answered
