"""Read the headers of ELF files: segments, sections, needed libraries (64-bit, little-endian)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"\x7fELF"
ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
SHT_SYMTAB, SHT_STRTAB, SHT_DYNAMIC, SHT_NOBITS = 2, 3, 6, 8
SHF_EXECINSTR = 4
DT_NEEDED, DT_RPATH = 1, 15
SHN_XINDEX = 0xFFFF


class NotElfError(Exception):
    """A file that is not a whole 64-bit little-endian ELF file."""


class Readable(Protocol):
    """A file that is open for reading bytes, or a memory map."""

    def read(self, size: int = ..., /) -> bytes: ...

    def seek(self, offset: int, whence: Literal[0, 1, 2] = ..., /) -> object: ...

    def tell(self) -> int: ...


@dataclass(frozen=True)
class Segment:
    """A segment: what is mapped when the file is loaded, in bytes."""

    kind: int
    offset: int
    address: int
    file_size: int
    align: int


@dataclass(frozen=True)
class Section:
    """A section, in bytes; `link` is the number of another section, such as its table of strings."""

    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    entry_size: int

    @property
    def entries(self) -> int:
        """Return the number of entries of a table."""
        return self.size // self.entry_size if self.entry_size else 0


@dataclass(frozen=True)
class Elf:
    """The headers of an ELF file; `headers_end` is the end of the two tables that list segments and sections."""

    kind: int
    size: int
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    headers_end: int

    @property
    def is_program(self) -> bool:
        """Return whether the file is an executable or a shared library, not an object file."""
        return self.kind in (ET_EXEC, ET_DYN)

    @property
    def loads(self) -> list[Segment]:
        """Return the segments that are mapped into memory."""
        return [segment for segment in self.segments if segment.kind == PT_LOAD]

    @property
    def end(self) -> int:
        """Return where the part of the file ends that its headers describe; data may be appended behind it."""
        ends = [segment.offset + segment.file_size for segment in self.segments]
        ends += [section.offset + section.size for section in self.sections if section.kind != SHT_NOBITS]
        return max([self.headers_end, *ends])

    def size_of(self, *names: str) -> int:
        """Return the bytes of all sections of these names."""
        return sum(section.size for section in self.sections if section.name in names)


def read_elf(path: Path) -> Elf:
    """Read the headers of a file.

    Raises:
        NotElfError: It is no ELF file, or a damaged one.
    """
    with path.open("rb") as file:
        return parse_elf(file)


def parse_elf(file: Readable) -> Elf:
    """Read the headers of an open file or of a memory map; only they are read.

    Raises:
        NotElfError: It is no ELF file, or a damaged one.
    """
    try:
        return _parse(file)
    except (struct.error, IndexError, ValueError) as error:
        raise NotElfError(f"damaged headers: {error}") from error


def is_program(path: Path) -> bool:
    """Return whether a path is an executable or a shared library, of any width; not a link, not a `.o` file."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(18)
    return head[:4] == MAGIC and int.from_bytes(head[16:18], "little") in (ET_EXEC, ET_DYN)


def read_needed(path: Path) -> list[str]:
    """Return the names of the libraries that a library needs (DT_NEEDED), none for a file that is not ELF."""
    return _read_dynamic(path, DT_NEEDED)


def read_rpath(path: Path) -> list[str]:
    """Return where a program has the loader look for libraries (DT_RPATH), also for those that it loads later.

    The newer DT_RUNPATH counts for what the program itself needs, and is left out.
    """
    return [folder for folders in _read_dynamic(path, DT_RPATH) for folder in folders.split(":")]


def _read_dynamic(path: Path, wanted: int) -> list[str]:
    with path.open("rb") as file:
        try:
            elf = parse_elf(file)
        except NotElfError:
            return []
        dynamic = next((section for section in elf.sections if section.kind == SHT_DYNAMIC), None)
        if dynamic is None:
            return []
        strings = elf.sections[dynamic.link]
        names = _read_at(file, elf.size, strings.offset, strings.size)
        entries = struct.iter_unpack("<qQ", _read_at(file, elf.size, dynamic.offset, dynamic.size))
        return [_text(names, at) for tag, at in entries if tag == wanted]


def read_interpreter(path: Path, elf: Elf) -> str | None:
    """Return the loader that a program names, None for a library."""
    segment = next((segment for segment in elf.segments if segment.kind == PT_INTERP), None)
    if segment is None:
        return None
    with path.open("rb") as file:
        return _read_at(file, elf.size, segment.offset, segment.file_size).rstrip(b"\0").decode()


def _parse(file: Readable) -> Elf:
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    head = file.read(64)
    if len(head) < 64 or head[:4] != MAGIC or head[4] != 2 or head[5] != 1:
        raise NotElfError("not a 64-bit little-endian ELF file")
    (kind,) = struct.unpack_from("<H", head, 16)
    segments_at, sections_at = struct.unpack_from("<QQ", head, 32)
    entry, count = struct.unpack_from("<HH", head, 54)
    table = _read_at(file, size, segments_at, entry * count)
    segments = tuple(_segment(table, i * entry) for i in range(count))
    sections = (
        _sections(file, size, sections_at, *struct.unpack_from("<HHH", head, 58)) if sections_at else ()
    )
    ends = (64, segments_at + len(table), sections_at + len(sections) * struct.unpack_from("<H", head, 58)[0])
    return Elf(kind, size, segments, sections, headers_end=max(ends))


def _segment(table: bytes, at: int) -> Segment:
    kind, _, offset, address, _, file_size, _, align = struct.unpack_from("<IIQQQQQQ", table, at)
    return Segment(kind, offset, address, file_size, align)


def _sections(
    file: Readable, size: int, start: int, entry: int, count: int, names_at: int
) -> tuple[Section, ...]:
    first = _read_at(file, size, start, entry)
    if count == 0:  # more than 65279: the first entry has the number
        (count,) = struct.unpack_from("<Q", first, 32)
    if names_at == SHN_XINDEX:
        (names_at,) = struct.unpack_from("<I", first, 40)
    table = _read_at(file, size, start, entry * count)
    rows = [struct.unpack_from("<IIQQQQIIQQ", table, i * entry) for i in range(count)]
    names = _read_at(file, size, rows[names_at][4], rows[names_at][5])
    return tuple(
        Section(_text(names, name), kind, flags, offset, length, link, entry_size)
        for name, kind, flags, _, offset, length, link, _, _, entry_size in rows
    )


def _read_at(file: Readable, size: int, offset: int, length: int) -> bytes:
    if offset + length > size:
        raise ValueError("a table ends beyond the file")
    file.seek(offset)
    return file.read(length)


def _text(strings: bytes, start: int) -> str:
    return strings[start : strings.index(b"\0", start)].decode(errors="replace")
