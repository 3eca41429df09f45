"""Import Scapy and leave the home directory alone.

Scapy makes `~/.config`, `~/.cache` and `~/.local/share` and writes 1 MB of tables into a cache there as soon as one of
its modules is imported. A tool that reads captures must not write where it was not told to. Without folders Scapy keeps
the tables in memory, which costs about 30 ms. Nothing happens if the process has imported Scapy before.
"""

from __future__ import annotations

import importlib
import os

_FOLDERS = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
_NOWHERE = os.path.join(os.devnull, "scapy")  # noqa: PTH118
"""Below a device, so Scapy's attempt to make it fails, which it takes for a home that cannot be written."""


def import_scapy() -> None:
    """Let Scapy look for its folders, once, where there are none. Afterwards the environment is as it was."""
    before = {name: os.environ.get(name) for name in _FOLDERS}
    os.environ.update(dict.fromkeys(_FOLDERS, _NOWHERE))
    try:
        importlib.import_module("scapy.main")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
