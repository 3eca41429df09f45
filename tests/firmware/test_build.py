"""What the makefile makes: the same program everywhere, within the chip's memory, and nothing from a libc heap."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

from bench import FIRMWARE, build, make

FLASH, SRAM = 0x3F000, 0x10000


def sections(elf: Path) -> dict[str, tuple[int, int]]:
    """Address and size of the sections that are in memory on the chip."""
    listing = subprocess.run(["arm-none-eabi-size", "-A", "-d", elf], capture_output=True, text=True, check=True).stdout
    fields = [line.split() for line in listing.splitlines()]
    return {f[0]: (int(f[2]), int(f[1])) for f in fields if len(f) == 3 and f[0].startswith(".") and f[1].isdigit()}


def test_another_checkout_gives_the_same_program(tmp_path: Path) -> None:
    """Debug information and the library included, whatever the folder, its blanks, the time, locale, umask, jobs."""
    checkout = tmp_path / "another checkout"
    shutil.copytree(FIRMWARE, checkout / "firmware")
    (checkout / "build").mkdir()
    (checkout / "build" / "mbedtls").symlink_to(FIRMWARE.parent / "build" / "mbedtls")
    for source in checkout.glob("firmware/**/*.[ch]"):
        os.utime(source, (1, 1))
    strange = {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "tr",
        "TZ": "Pacific/Chatham",
        "USER": "x",
        "HOSTNAME": "y",
    }
    there = subprocess.run(
        ["make", "-j", "5", "BUILD=../else-where/x"],
        cwd=checkout / "firmware",
        env=strange,
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )
    assert there.returncode == 0, there.stderr
    here = build(tmp_path / "here", "-j1")
    assert (checkout / "else-where" / "x" / "controller.elf").read_bytes() == here.read_bytes()
    assert str(tmp_path).encode() not in here.read_bytes()
    assert str(FIRMWARE).encode() not in here.read_bytes()


def test_another_source_gives_another_program(tmp_path: Path) -> None:
    shutil.copytree(FIRMWARE / "src", tmp_path / "src")
    scewl = tmp_path / "src" / "scewl.c"
    scewl.write_text(scewl.read_text().replace("*at == 'C'", "*at == 'D'"))
    assert build(tmp_path / "first").read_bytes() != build(tmp_path / "second", f"SRC={tmp_path / 'src'}").read_bytes()


def test_it_fits_the_chip_and_leaves_the_provisioning_image_its_place(tmp_path: Path) -> None:
    found = sections(build(tmp_path))
    in_flash = sum(found.get(name, (0, 0))[1] for name in (".vectors", ".text", ".ARM.exidx", ".data"))
    assert 60_000 < in_flash <= 96 * 1024 < FLASH
    in_sram = sorted((*place, name) for name, place in found.items() if place[0] >= 0x2000_0000)
    end = 0x2000_0000
    for address, size, name in in_sram:
        assert 0 <= address - end < 8, f"a gap before {name}, or an overlap"
        end = address + size
    assert end == 0x2000_0000 + SRAM
    assert [name for *_, name in in_sram] == [".guard", ".stack", ".data", ".messages", ".arena", ".bss", ".unused"]
    assert found[".messages"][1] == 2 * 16_384 + 8, "one of the two has a byte more"
    assert found[".arena"][1] == 16_384


def test_it_takes_at_most_96_kb_of_flash(tmp_path: Path) -> None:
    """Of the 252 KB below the provisioning image."""
    told = subprocess.run(["arm-none-eabi-size", build(tmp_path)], capture_output=True, text=True, check=True).stdout
    text, data = map(int, told.splitlines()[1].split()[:2])
    assert text + data <= 96 * 1024


def test_nothing_can_allocate_but_the_arena(tmp_path: Path) -> None:
    names = subprocess.run(["arm-none-eabi-nm", build(tmp_path)], capture_output=True, text=True, check=True).stdout
    symbols = {line.split()[-1] for line in names.splitlines()}
    assert {"main", "dtls_setup", "dtls_send_message", "dtls_send_message_to_sss", "dtls_handle_packet"} <= symbols
    assert {"dtls_check_timers", "dtls_teardown", "dtls_fatal_error", "handle_sss_recv", "handle_scewl_recv"} <= symbols
    assert not symbols & {"malloc", "calloc", "free", "_sbrk", "_malloc_r", "printf"}


def test_the_vector_table_is_at_address_0(tmp_path: Path) -> None:
    data = build(tmp_path).read_bytes()
    first, size, count = struct.unpack_from("<I", data, 28)[0], *struct.unpack_from("<HH", data, 42)
    segments = [struct.unpack_from("<IIII", data, first + i * size) for i in range(count)]
    (offset,) = (at for kind, at, _, address in segments if kind == 1 and address == 0)
    stack, entry = struct.unpack_from("<II", data, offset)
    assert stack == 0x2000_0000 + 256 + 4_096, "above the guard, at the bottom of SRAM"
    assert entry & 1, "Thumb"


def test_missing_sources_of_mbedtls_are_named(tmp_path: Path) -> None:
    done = make(f"BUILD={tmp_path}", f"MBEDTLS_DIR={tmp_path / 'nowhere'}")
    assert done.returncode != 0
    assert "no Mbed TLS sources" in done.stderr
    assert "fetch-mbedtls.sh" in done.stderr


def test_each_line_of_mbedtls_configuration_has_its_reason() -> None:
    lines = (FIRMWARE / "mbedtls_config.h").read_text("utf-8").splitlines()
    defines = [n for n, line in enumerate(lines) if line.startswith("#define MBEDTLS_")]
    assert len(defines) > 40
    bare = [lines[n] for n in defines if "/*" not in lines[n] and not lines[n - 1].startswith("/*")]
    assert bare == []
