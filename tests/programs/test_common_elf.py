"""common/elf.py on files that gcc makes, against what readelf prints."""

import mmap
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.elf import (
    ET_DYN,
    PT_LOAD,
    SHT_NOBITS,
    SHT_SYMTAB,
    NotElfError,
    is_program,
    parse_elf,
    read_elf,
    read_interpreter,
    read_needed,
)

pytestmark = pytest.mark.skipif(
    not (shutil.which("readelf") and shutil.which("gcc")), reason="no binutils or gcc"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elf")
    source = folder / "one.c"
    source.write_text(
        "#include <math.h>\nstatic int table[99]; int shown(int i) { return table[i] + (int)lgamma(i); }\n"
    )
    path = folder / "one.so"
    options = ["-g", "-shared", "-fPIC", "-Wl,--no-as-needed"]
    subprocess.run(["gcc", *options, "-o", path, source, "-lm"], check=True)
    return path


def readelf(option: str, path: Path) -> str:
    return subprocess.check_output(["readelf", "-W", option, path], text=True, stderr=subprocess.DEVNULL)


def test_sections_and_segments_are_those_that_readelf_prints(library: Path) -> None:
    elf = read_elf(library)
    rows = re.findall(
        r"^  \[ *\d+\] (\S+) +\S+ +\w+ (\w+) (\w+) (\w\w)", readelf("-S", library), re.MULTILINE
    )
    found = [(s.name, f"{s.offset:06x}", f"{s.size:06x}", f"{s.entry_size:02x}") for s in elf.sections[1:]]
    assert len(rows) > 20
    assert found == rows
    loads = re.findall(r"^  LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", readelf("-l", library), re.MULTILINE)
    assert [(f"{s.offset:06x}", f"{s.address:016x}", f"{s.file_size:06x}") for s in elf.loads] == loads
    assert {segment.kind for segment in elf.loads} == {PT_LOAD}
    assert elf.kind == ET_DYN
    symbols = next(section for section in elf.sections if section.kind == SHT_SYMTAB)
    assert symbols.entries == int(re.findall(r"'.symtab' contains (\d+)", readelf("-s", library))[0])


def test_what_a_library_needs_is_what_readelf_prints(library: Path) -> None:
    assert read_needed(library) == re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("-d", library))
    assert "libm.so.6" in read_needed(library)


def test_a_memory_map_gives_the_same(library: Path) -> None:
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert parse_elf(data) == read_elf(library)


def test_the_end_is_that_of_the_file_unless_data_is_appended(library: Path, tmp_path: Path) -> None:
    elf = read_elf(library)
    assert elf.end == elf.size == library.stat().st_size
    longer = tmp_path / "longer.so"
    longer.write_bytes(library.read_bytes() + b"data")
    assert read_elf(longer).end == elf.end
    nobits = [section for section in elf.sections if section.kind == SHT_NOBITS]
    assert nobits
    assert nobits[-1].size > 99  # which takes no bytes of the file


def test_a_program_names_its_interpreter_and_a_library_none(library: Path) -> None:
    python = Path(sys.executable).resolve()
    assert read_interpreter(library, read_elf(library)) is None
    loader = read_interpreter(python, read_elf(python))
    assert loader is not None
    assert f"interpreter: {loader}]" in readelf("-l", python)


def test_more_sections_than_the_header_can_count(tmp_path: Path) -> None:
    source = tmp_path / "many.s"
    source.write_text("".join(f'.section .s{i},"a"\n.byte 1\n' for i in range(66_000)))
    subprocess.run(["as", "-o", tmp_path / "many.o", source], check=True)
    sections = read_elf(tmp_path / "many.o").sections
    assert len(sections) > 66_000
    assert sum(section.size for section in sections if re.fullmatch(r"\.s\d+", section.name)) == 66_000


def damaged(data: bytes) -> Iterator[bytes]:
    yield data[:63]
    yield data[:50]
    yield data[: len(data) // 2]
    yield b"\x7fELF\x01\x01" + data[6:]  # 32 bit
    yield b"\x7fELF\x02\x02" + data[6:]  # big-endian
    yield data[:40] + b"\xff" * 8 + data[48:]  # the table of sections beyond the file
    yield data[:60] + b"\x00\x00" + data[62:62] + b"\xff\xff" + data[64:]
    yield b"\x7fELF\x02\x01" + b"\xff" * 200


def test_damaged_files_are_none(library: Path, tmp_path: Path) -> None:
    for number, data in enumerate(damaged(library.read_bytes())):
        (path := tmp_path / f"{number}.so").write_bytes(data)
        with pytest.raises(NotElfError):
            read_elf(path)
        assert read_needed(path) == []


def test_programs_and_libraries_are_told_from_objects_and_links(library: Path, tmp_path: Path) -> None:
    subprocess.run(["gcc", "-c", "-o", tmp_path / "one.o", library.with_name("one.c")], check=True)
    (tmp_path / "link").symlink_to(library)
    (tmp_path / "text").write_text("#!/bin/sh\n")
    assert is_program(library)
    assert is_program(Path(sys.executable).resolve())
    assert not any(is_program(tmp_path / name) for name in ("one.o", "link", "text", "none"))
