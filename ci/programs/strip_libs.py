#!/usr/bin/env python3
"""Strips symbols from the shared libraries and executables below a folder, and keeps every file that strip breaks.

    strip_libs.py /opt/env [--mode unneeded|debug] [--jobs N] [--report report.json]

binutils' strip can damage a library and say nothing (2.40 does, to libraries that patchelf edited). So each file is
stripped into a copy beside it, the copy is looked at (every segment must still be mappable) and loaded in a child
process, and only what loads as the original did takes its place. Files with nothing to strip are not touched;
RECORD lines of the wheels that own changed files are brought up to date.
Needs: strip (Debian's binutils), and a Python that the libraries were made for.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# the ELF format, 64 bit little-endian
ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
SHT_NOBITS = 8
PAGE = 4096
BATCH_FILES, BATCH_BYTES = 16, 1 << 29

MODES = {"unneeded": "--strip-unneeded", "debug": "--strip-debug"}

# What a child runs: it loads each library whose path it is sent and says so before and after
LOADER = """
import ctypes, sys
for line in sys.stdin:
    path = line.rstrip("\\n")
    print("?", path, flush=True)
    try:
        ctypes.CDLL(path)
    except OSError as error:
        print("-", str(error).replace("\\n", " "), flush=True)
    else:
        print("+", flush=True)
import os
os._exit(0)
"""


class UserError(Exception):
    """What the person who runs the program can mend; printed as one line."""


class NotElfError(Exception):
    """Not a 64-bit little-endian ELF file that is whole."""


@dataclass(frozen=True)
class Segment:
    kind: int
    offset: int
    address: int
    file_size: int
    align: int


@dataclass(frozen=True)
class Elf:
    """What must be known of an ELF file to strip it and to see whether it survived."""

    kind: int
    size: int
    appended: bool  # data behind all that the headers speak of (strip drops it)
    segments: tuple[Segment, ...]
    sections: dict[str, int]  # name: size
    interpreter: str | None

    @classmethod
    def read(cls, path: Path) -> Elf:
        try:
            with path.open("rb") as file:
                return cls._read(file, os.fstat(file.fileno()).st_size)
        except (struct.error, IndexError, ValueError) as error:
            raise NotElfError(f"damaged headers: {error}") from error

    @classmethod
    def _read(cls, file: io.BufferedReader, size: int) -> Elf:
        head = file.read(64)
        if len(head) < 64 or head[:4] != b"\x7fELF" or head[4] != 2 or head[5] != 1:
            raise NotElfError("not a 64-bit little-endian ELF file")
        kind = struct.unpack_from("<H", head, 16)[0]
        phoff, shoff = struct.unpack_from("<QQ", head, 32)
        phsize, phnum, shsize, shnum, shstrndx = struct.unpack_from("<HHHHH", head, 54)

        file.seek(phoff)
        table = file.read(phsize * phnum)
        segments = []
        for i in range(phnum):
            p_type, _, offset, address, _, file_size, _, align = struct.unpack_from(
                "<IIQQQQQQ", table, i * phsize
            )
            segments.append(Segment(p_type, offset, address, file_size, align))
        interpreter = None
        for s in segments:
            if s.kind == PT_INTERP:
                file.seek(s.offset)
                interpreter = file.read(s.file_size).rstrip(b"\0").decode()

        sections: dict[str, int] = {}
        end = max([64, phoff + len(table), *(s.offset + s.file_size for s in segments)])
        if shoff:
            file.seek(shoff)
            first = file.read(shsize)
            if shnum == 0:  # more than 65279: the first entry says how many
                shnum = struct.unpack_from("<Q", first, 32)[0]
            if shstrndx == 0xFFFF:
                shstrndx = struct.unpack_from("<I", first, 40)[0]
            table = first + file.read(shsize * (shnum - 1))
            rows = [struct.unpack_from("<IIQQQQ", table, i * shsize) for i in range(shnum)]
            file.seek(rows[shstrndx][4])
            names = file.read(rows[shstrndx][5])
            for name, sh_type, _, _, offset, length in rows:
                label = names[name : names.index(b"\0", name)].decode(errors="replace")
                sections[label] = sections.get(label, 0) + length
                if sh_type != SHT_NOBITS:
                    end = max(end, offset + length)
            end = max(end, shoff + shsize * shnum)
        file.seek(end)
        appended = size > end and any(file.read())  # patchelf leaves a zero byte there
        return cls(kind, size, appended, tuple(segments), sections, interpreter)

    @property
    def program(self) -> bool:
        return self.kind in (ET_EXEC, ET_DYN)

    @property
    def loads(self) -> list[Segment]:
        return [s for s in self.segments if s.kind == PT_LOAD]

    @property
    def library(self) -> bool:
        """Whether dlopen is the way to load it (a program that the kernel starts names an interpreter)."""
        return (
            self.kind == ET_DYN
            and self.interpreter is None
            and any(s.kind == PT_DYNAMIC for s in self.segments)
        )

    def strippable(self, mode: str) -> bool:
        debug = any(
            n.startswith((".debug_", ".zdebug_", ".stab")) and size for n, size in self.sections.items()
        )
        return debug or (mode == "unneeded" and self.sections.get(".symtab", 0) > 0)


# --- the guards -----------------------------------------------------------------------------------


def layout_damage(before: Elf, after: Elf) -> str | None:
    """What makes the stripped file impossible to map although the original was not: binutils 2.40's silent damage."""
    if len(after.loads) != len(before.loads):
        return f"{len(before.loads)} loadable segments became {len(after.loads)}"
    for old, new in zip(before.loads, after.loads, strict=True):
        if new.offset + new.file_size > after.size:
            return f"the segment at {new.address:#x} ends beyond the file"
        for align in {PAGE, max(new.align, 1)}:
            was = (old.offset - old.address) % align == 0
            if was and (new.offset - new.address) % align:
                return f"the segment at {new.address:#x} is no longer aligned to {align:#x}"
    return None


class Loader:
    """Loads libraries in child processes, many to a child; one that breaks its child does not take others along."""

    def __init__(self, python: str, timeout: float = 300.0) -> None:
        self.python, self.timeout = python, timeout

    def failures(self, paths: Sequence[Path]) -> dict[Path, str]:
        """The libraries that cannot be loaded, each with the reason; judged alone where a batch said no."""
        suspects = list(self._batch(paths))
        out: dict[Path, str] = {}
        for path in suspects:
            out.update(self._batch([path]))
        return out

    def _batch(self, paths: Sequence[Path]) -> dict[Path, str]:
        out: dict[Path, str] = {}
        todo = list(paths)
        while todo:
            environment = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "LD_PRELOAD")}
            environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
            try:
                child = subprocess.run(
                    [self.python, "-S", "-c", LOADER],
                    input="".join(f"{p}\n" for p in todo).encode(),
                    capture_output=True,
                    timeout=self.timeout,
                    env=environment,
                    check=False,
                )
                told, died = child.stdout, f"the process that loaded it ended with {child.returncode}"
            except subprocess.TimeoutExpired as error:
                told, died = error.stdout or b"", f"not loaded after {self.timeout:.0f} s"
            lines = told.decode(errors="replace").splitlines()
            started = 0
            answered = True
            for line in lines:
                if line.startswith("? "):
                    started, answered = started + 1, False
                elif line == "+":
                    answered = True
                elif line.startswith("- "):
                    out[todo[started - 1]] = line[2:]
                    answered = True
            if not started:
                raise UserError(f"{self.python} does not run: {died}")
            if not answered:
                out[todo[started - 1]] = died
            elif started < len(todo):  # it stopped between two libraries
                out[todo[started]] = died
                started += 1
            todo = todo[started:]
        return out


def program_failure(path: Path, elf: Elf) -> str | None:
    """Why the loader refuses a program, asked without running it."""
    if elf.interpreter is None or not Path(elf.interpreter).exists():
        return None
    done = subprocess.run([elf.interpreter, "--list", str(path)], capture_output=True, text=True, check=False)
    return (done.stderr or done.stdout).strip().splitlines()[-1] if done.returncode else None


# --- stripping ------------------------------------------------------------------------------------


@dataclass
class Candidate:
    """One file, under all the names that hard links give it below the root."""

    names: list[Path]
    elf: Elf
    status: os.stat_result

    @property
    def path(self) -> Path:
        return self.names[0]


@dataclass
class Outcome:
    path: str
    before: int
    after: int
    kept: str | None = None  # why the original was kept
    loaded: bool = False  # whether loading was part of the check: it was loadable alone before
    outside_links: int = 0  # names of the same file outside the root: they keep the unstripped one
    names: list[str] = field(default_factory=list)


def scan(root: Path, mode: str) -> tuple[list[Candidate], dict[str, int]]:
    """The files to strip, and how many were left alone for which reason."""
    by_inode: dict[tuple[int, int], list[Path]] = {}
    statuses: dict[tuple[int, int], os.stat_result] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith((".a", ".o", ".py", ".pyc", ".h", ".pyi")):
                continue
            path = Path(folder, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_size >= 64:
                key = (status.st_dev, status.st_ino)
                by_inode.setdefault(key, []).append(path)
                statuses[key] = status
    candidates: list[Candidate] = []
    skipped = {"nothing to strip": 0, "appended data": 0}
    for key, paths in by_inode.items():
        try:
            elf = Elf.read(min(paths))
        except NotElfError:
            continue
        if not elf.program:
            continue
        if not elf.strippable(mode):
            skipped["nothing to strip"] += 1
        elif elf.appended:
            skipped["appended data"] += 1  # a program that carries its data behind it loses it
        else:
            candidates.append(Candidate(sorted(paths), elf, statuses[key]))
    return sorted(candidates, key=lambda c: c.path), skipped


def batches(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    batch: list[Candidate] = []
    size = 0
    for c in candidates:
        if batch and (len(batch) == BATCH_FILES or size + c.elf.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(c)
        size += c.elf.size
    if batch:
        yield batch


def strip_copy(candidate: Candidate, mode: str, strip: str) -> tuple[Path, str | None]:
    """Strips into a new file beside the original; returns it, and what is wrong with it."""
    handle, name = tempfile.mkstemp(
        prefix=f".{candidate.path.name}.", suffix=".stripped", dir=candidate.path.parent
    )
    os.close(handle)
    copy = Path(name)
    done = subprocess.run(
        [strip, MODES[mode], "-o", str(copy), str(candidate.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return copy, f"strip: {(done.stderr.strip().splitlines() or ['failed'])[-1]}"
    try:
        after = Elf.read(copy)
    except NotElfError as error:
        return copy, str(error)
    if after.size >= candidate.elf.size:
        return copy, "not smaller"
    return copy, layout_damage(candidate.elf, after)


def replace(candidate: Candidate, copy: Path) -> None:
    """Puts the copy in place under all names, with the original's mode, owner and times."""
    status = candidate.status
    os.chown(copy, status.st_uid, status.st_gid)
    shutil.copystat(candidate.path, copy)
    for other in candidate.names[1:]:
        link = other.with_name(f".{other.name}.{os.getpid()}.link")
        link.hardlink_to(copy)
        link.replace(other)
    copy.replace(candidate.path)


def strip_batch(
    batch: Sequence[Candidate], root: Path, mode: str, strip: str, loader: Loader
) -> list[Outcome]:
    copies: dict[Path, Path] = {}  # original: stripped copy
    kept: dict[Path, str] = {}
    try:
        before = loader.failures([c.path for c in batch if c.elf.library])
        for c in batch:
            copy, damage = strip_copy(c, mode, strip)
            copies[c.path] = copy
            if damage is None and not c.elf.library and program_failure(c.path, c.elf) is None:
                copy.chmod(0o700)
                damage = program_failure(copy, c.elf)
            if damage is not None:
                kept[c.path] = damage
        loadable = [c for c in batch if c.elf.library and c.path not in before and c.path not in kept]
        after = loader.failures([copies[c.path] for c in loadable])
        kept |= {
            c.path: f"does not load: {after[copies[c.path]]}" for c in loadable if copies[c.path] in after
        }
        outcomes = []
        for c in batch:
            size = c.elf.size
            outcome = Outcome(c.path.relative_to(root).as_posix(), size, size, kept.get(c.path))
            outcome.names = [n.relative_to(root).as_posix() for n in c.names]
            outcome.outside_links = c.status.st_nlink - len(c.names)
            outcome.loaded = c in loadable
            if outcome.kept is None:
                outcome.after = copies[c.path].stat().st_size
                replace(c, copies[c.path])
            outcomes.append(outcome)
        return outcomes
    finally:
        for copy in copies.values():
            copy.unlink(missing_ok=True)


# --- RECORD ---------------------------------------------------------------------------------------


def record_hash(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@cache
def real(folder: str) -> str:
    """A folder without links in its path: packages may lie behind one."""
    return os.path.realpath(folder)


def update_records(root: Path, changed: set[Path]) -> int:
    """Renews hash and size of changed files in the RECORD files below root; returns how many lines."""
    count = 0
    for record in sorted(root.rglob("*.dist-info/RECORD")):
        site = record.parent.parent
        lines = record.read_text().splitlines(keepends=True)
        fresh = list(lines)
        for i, line in enumerate(lines):
            row = next(csv.reader([line]), [])
            if len(row) != 3 or not row[1]:
                continue
            folder, name = os.path.split(row[0])
            path = Path(real(str(site / folder)), name)
            if path in changed:
                out = io.StringIO()
                ending = line[len(line.rstrip("\r\n")) :]
                csv.writer(out, lineterminator=ending).writerow(
                    [row[0], record_hash(path), path.stat().st_size]
                )
                fresh[i] = out.getvalue()
                count += 1
        if fresh != lines:
            partial = record.with_name("RECORD.partial")
            partial.write_text("".join(fresh))
            shutil.copystat(record, partial)
            status = record.stat()
            os.chown(partial, status.st_uid, status.st_gid)
            partial.replace(record)
    return count


# --- all of it ------------------------------------------------------------------------------------


@dataclass
class Report:
    root: str
    mode: str
    files: list[Outcome]
    skipped: dict[str, int]
    records: int
    seconds: float

    @property
    def stripped(self) -> list[Outcome]:
        return [o for o in self.files if o.kept is None]

    @property
    def restored(self) -> list[Outcome]:
        return [o for o in self.files if o.kept not in (None, "not smaller")]

    def as_json(self) -> str:
        data = {
            "root": self.root,
            "mode": self.mode,
            "stripped": [
                {
                    "path": o.path,
                    "names": o.names,
                    "before": o.before,
                    "after": o.after,
                    "loaded": o.loaded,
                    "links_outside": o.outside_links,
                }
                for o in self.stripped
            ],
            "restored": [{"path": o.path, "reason": o.kept} for o in self.restored],
            "skipped": self.skipped,
            "bytes_before": sum(o.before for o in self.stripped),
            "bytes_after": sum(o.after for o in self.stripped),
            "record_lines": self.records,
            "seconds": round(self.seconds, 1),
        }
        return json.dumps(data, indent=1) + "\n"


def times(root: Path) -> dict[str, int]:
    """When each folder was changed, in ns: stripping a file is no change that a layer should tell."""
    return {folder: Path(folder).stat().st_mtime_ns for folder, _, _ in os.walk(root)}


def strip_tree(root: Path, mode: str, jobs: int, python: str, strip: str = "strip") -> Report:
    start = time.monotonic()
    before = times(root)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder")
    if shutil.which(strip) is None:
        raise UserError(f"{strip} is not installed here (Debian: binutils)")
    root = root.resolve()
    candidates, skipped = scan(root, mode)
    loader = Loader(python)
    with ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda batch: strip_batch(batch, root, mode, strip, loader), batches(candidates))
        outcomes = [o for batch in done for o in batch]
    skipped["not smaller"] = sum(o.kept == "not smaller" for o in outcomes)
    changed = {root / name for o in outcomes if o.kept is None for name in o.names}
    records = update_records(root, changed) if changed else 0
    for folder, when in before.items():
        os.utime(folder, ns=(when, when))
    return Report(str(root), mode, outcomes, skipped, records, time.monotonic() - start)


def default_python(root: Path) -> str:
    """The environment's own Python, for which its libraries were made; else this one."""
    for name in ("bin/python3", "bin/python"):
        if (root / name).exists():
            return str(root / name)
    return sys.executable


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="strip_libs.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("root", type=Path, help="the folder below which to strip")
    parser.add_argument("--mode", choices=sorted(MODES), default="unneeded",
                        help="all symbols that loading does not need (default), or debug sections only")  # fmt: skip
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time (all cores)"
    )
    parser.add_argument("--python", help="loads the libraries for the check (default: ROOT/bin/python3)")
    parser.add_argument("--strip", default="strip", help="the strip program")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was done as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    try:
        python = args.python or default_python(args.root)
        report = strip_tree(args.root, args.mode, max(1, args.jobs), python, args.strip)
        if args.report:
            args.report.write_text(report.as_json())
    except UserError as error:
        print(f"strip_libs.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"strip_libs.py: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 1
    before, after = (sum(getattr(o, k) for o in report.stripped) for k in ("before", "after"))
    print(
        f"{len(report.stripped)} files: {before / 1e6:.1f} MB became {after / 1e6:.1f} MB in {report.seconds:.1f} s"
    )
    for outcome in report.restored:
        print(f"kept as it was: {outcome.path}: {outcome.kept}")
    outside = sum(o.outside_links > 0 for o in report.stripped)
    if outside:
        print(f"{outside} files have other names outside {report.root}: those keep the unstripped file")
    return 0


if __name__ == "__main__":
    sys.exit(main())
