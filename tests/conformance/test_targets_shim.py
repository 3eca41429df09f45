"""Building the virtual-time shim."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conformance.targets.base import HarnessError
from conformance.targets.shim import SOURCE, build_shim


def test_it_is_compiled_once_per_version_of_the_source(tmp_path: Path) -> None:
    source = tmp_path / "shim.c"
    source.write_text("int version(void) { return 1; }\n")
    first = build_shim(source, tmp_path / "cache")
    made_at = first.stat().st_mtime_ns
    assert build_shim(source, tmp_path / "cache") == first
    assert first.stat().st_mtime_ns == made_at
    source.write_text("int version(void) { return 2; }\n")
    assert build_shim(source, tmp_path / "cache") != first
    assert len(list((tmp_path / "cache").iterdir())) == 2, "no scratch files are left"


def test_the_real_source_compiles_without_a_warning(tmp_path: Path) -> None:
    assert build_shim(SOURCE, tmp_path).read_bytes().startswith(b"\x7fELF")


def test_several_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: build_shim(SOURCE, tmp_path), range(4)))
    assert len(set(paths)) == 1
    assert list(tmp_path.iterdir()) == [paths[0]]


def test_without_a_compiler_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="apt install gcc"):
        build_shim(SOURCE, tmp_path, compiler="gcc-of-nowhere")
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_refuses_is_quoted(tmp_path: Path) -> None:
    source = tmp_path / "shim.c"
    source.write_text("int unused(int x) { return 1; }\n")
    with pytest.raises(HarnessError, match=r"cannot compile shim\.c") as caught:
        build_shim(source, tmp_path / "cache")
    assert any("unused parameter" in line for line in caught.value.evidence)
    assert not list((tmp_path / "cache").iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(HarnessError, match=r"cannot write to .*file"):
        build_shim(SOURCE, tmp_path / "file")
