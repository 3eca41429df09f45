"""A prompt that what arrives does not disturb."""

from __future__ import annotations

from collections.abc import AsyncIterator

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.patch_stdout import patch_stdout

_COMMANDS = ("send", "send-hex", "send-file", "register", "deregister", "wait", "stay", "status", "help", "quit")


async def lines(sed_id: int) -> AsyncIterator[str]:
    """What a person types, line by line, with the keys that a shell has, until Ctrl-D. Ctrl-C drops the line."""
    session: PromptSession[str] = PromptSession(
        f"{sed_id}> ", completer=WordCompleter(list(_COMMANDS), sentence=True), complete_while_typing=False
    )
    with patch_stdout(raw=True):
        while True:
            try:
                # The program has its own opinion of SIGINT; while a line is typed, Ctrl-C is a key.
                yield await session.prompt_async(handle_sigint=False)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
