"""No recursion of ours, no call through a pointer, no stack that grows by a variable: from the compiler's call graphs.

The compiler writes, for each of our files, which function calls which and how much stack each takes. Mbed TLS is seen
from outside: it calls us only through the functions that we give it, and none of these may lead back into a session.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from bench import build, change

NODE = re.compile(r'node: \{ title: "([^"]+)" label: "([^"]*)"')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
STACK = re.compile(r"\\n(\d+) bytes \((\w+(?:,\w+)?)\)")
CALLBACKS = {
    "send_datagram",
    "receive_record",
    "set_timer",
    "get_timer",
    "verify_peer",
    "cookie_was_checked",
    "mbedtls_aes_setkey_enc",
    "mbedtls_internal_aes_encrypt",
}
"""What only Mbed TLS calls."""
ENTRIES = {"reset_entry", "hard_fault_entry", "fault_entry", "fault_report", "timer0_interrupt"} | {
    f"uart{n}_interrupt" for n in range(3)
}
"""What the processor calls, or assembly."""
BOUND = 2_048
"""Bytes of stack that our functions take at the most, one calling the other; Mbed TLS takes its part in between."""


class Graph:
    """Calls among functions, by the compiler's names; `stack` has bytes and kind of the frame of each of ours."""

    def __init__(self, folder: Path) -> None:
        self.stack: dict[str, tuple[int, str]] = {}
        self.calls: dict[str, set[str]] = {}
        for file in folder.glob("*.ci"):
            text = file.read_text("utf-8")
            for name, label in NODE.findall(text):
                if size := STACK.search(label):
                    self.stack[name] = (int(size[1]), size[2])
            for source, target in EDGE.findall(text):
                self.calls.setdefault(source, set()).add(target)

    def reach(self, start: str) -> set[str]:
        """All that a function calls, by whatever way."""
        seen: set[str] = set()
        todo = [start]
        while todo:
            new = self.calls.get(todo.pop(), set()) - seen
            seen |= new
            todo += new
        return seen

    def recursive(self) -> set[str]:
        """Functions that lead back to themselves."""
        return {name for name in self.calls if name in self.reach(name)}

    def roots(self) -> dict[str, str]:
        """Our functions that none of ours calls: the compiler's name by the name in the source."""
        called = {target for targets in self.calls.values() for target in targets}
        return {name.rpartition(":")[2]: name for name in self.stack.keys() - called}

    def depth(self, name: str) -> int:
        """Bytes of stack of a function and of what it calls, ours only. There must be no recursion."""
        below = (self.depth(called) for called in self.calls.get(name, ()) if called in self.stack)
        return self.stack[name][0] + max(below, default=0)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    folder = tmp_path_factory.mktemp("graph")
    build(folder)
    return Graph(folder)


def test_all_of_our_functions_are_in_the_graph(graph: Graph) -> None:
    assert len(graph.stack) > 80
    assert {"main", "dtls_handle_packet", "scewl_pump", "port_read", "hello_parse"} <= set(graph.stack)
    assert "mbedtls_ssl_handshake" in graph.reach("main")
    inlined = {"record_big24"}
    assert set(graph.roots()) == CALLBACKS | ENTRIES | inlined


def test_nothing_calls_itself(graph: Graph) -> None:
    assert graph.recursive() == set()


def test_no_call_goes_through_a_pointer(graph: Graph) -> None:
    assert {name for name, called in graph.calls.items() if "__indirect_call" in called} == set()


def test_what_mbedtls_calls_does_not_lead_back_into_a_session(graph: Graph) -> None:
    for name in [graph.roots()[name] for name in CALLBACKS] + ["rng_random"]:  # which ours call, too
        reached = graph.reach(name)
        assert not {called for called in reached if called.startswith(("mbedtls_ssl_", "session_", "dtls_handle"))}, (
            name
        )


def test_our_stack_has_a_bound(graph: Graph) -> None:
    assert {kind for _, kind in graph.stack.values()} == {"static"}
    roots = graph.roots()
    main = graph.depth(roots["reset_entry"])
    callback = max(graph.depth(roots[name]) for name in CALLBACKS)
    interrupt = 32 + max(graph.depth(roots[name]) for name in ENTRIES if name.endswith("_interrupt"))
    assert 200 < main + callback + interrupt <= BOUND


def test_a_recursion_is_found(tmp_path: Path) -> None:
    """Through two files: credentials_discard, hello_free, credentials_discard."""
    source = change(
        tmp_path, "credentials.c", "    registered = false;\n}", "    registered = false;\n    hello_free();\n}"
    )
    head = '#include "credentials.h"\n'
    (source / "credentials.c").write_text(
        (source / "credentials.c").read_text().replace(head, head + '#include "hello.h"\n')
    )
    hello = source / "hello.c"
    hello.write_text(
        hello.read_text().replace(
            "void hello_free(void) {\n",
            "void credentials_discard(void);\nvoid hello_free(void) {\n    credentials_discard();\n",
        )
    )
    build(tmp_path / "build", f"SRC={source}")
    assert {"credentials_discard", "hello_free"} <= Graph(tmp_path / "build").recursive()


FORBIDDEN = re.compile(
    r"_?_?(malloc|calloc|realloc|free|memalign|sbrk|alloca|printf|snprintf|puts|fopen|time|exit|abort)(_r)?"
)


@pytest.mark.parametrize("settings", [(), ("DEFINES=-DSCEWL_REPORT_MEMORY",)], ids=["release", "reporting"])
def test_nothing_of_a_libc_is_in_the_image_but_memory_and_text_functions(
    tmp_path: Path, settings: tuple[str, ...]
) -> None:
    """No heap, no files, no clock; and what reports memory is only where it was asked for."""
    elf = build(tmp_path, *settings)
    listing = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True).stdout
    symbols = {line.split()[-1] for line in listing.splitlines()}
    assert not {name for name in symbols if FORBIDDEN.fullmatch(name)}
    reporting = {"port_stack_peak", "port_paint", "mbedtls_memory_buffer_alloc_max_get"} & symbols
    assert bool(reporting) == bool(settings), reporting
    assert (b"scewl: memory:" in elf.read_bytes()) == bool(settings)
