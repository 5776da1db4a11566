"""Strip symbols from the shared libraries and executables below a folder, and keep every file that strip breaks.

    strip_libs.py /opt/env [--mode unneeded|debug] [--jobs N] [--report report.json]

binutils' strip can silently damage a library (2.40 does, to libraries that patchelf edited). So each file is stripped
into a copy beside it; the copy replaces the original only if its segments can still be mapped and if a child process
loads it as it loaded the original. Files with nothing to strip are not touched; the RECORD lines of changed files get
their new hash and size.
Needs: strip (Debian's binutils), and a Python that the libraries were made for.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from common.elf import ET_DYN, PT_DYNAMIC, Elf, NotElfError, read_elf, read_interpreter
from common.errors import UserError, run_main
from common.records import update_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PAGE = 4096
BATCH_FILES, BATCH_BYTES = 16, 1 << 29
DEBUG_SECTIONS = (".debug_", ".zdebug_", ".stab")

MODES = {"unneeded": "--strip-unneeded", "debug": "--strip-debug"}

# Runs in a child: loads each library whose path it is sent, and prints a line before and after.
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


# --- files ------------------------------------------------------------------------------------------------------


@dataclass
class Candidate:
    """One file to strip, under all the names that hard links give it below the root."""

    names: list[Path]
    elf: Elf
    interpreter: str | None
    status: os.stat_result

    @property
    def path(self) -> Path:
        """Return the first name."""
        return self.names[0]

    @property
    def is_library(self) -> bool:
        """Return whether dlopen is the way to load it: a program that the kernel starts names an interpreter."""
        dynamic = any(segment.kind == PT_DYNAMIC for segment in self.elf.segments)
        return self.elf.kind == ET_DYN and self.interpreter is None and dynamic


def is_strippable(elf: Elf, mode: str) -> bool:
    """Return whether a mode would take anything out of a file."""
    debug = any(section.name.startswith(DEBUG_SECTIONS) and section.size for section in elf.sections)
    return debug or (mode == "unneeded" and elf.size_of(".symtab") > 0)


def has_appended_data(path: Path, elf: Elf) -> bool:
    """Return whether data follows what the headers describe; strip drops it. patchelf leaves zero bytes there."""
    if elf.size <= elf.end:
        return False
    with path.open("rb") as file:
        file.seek(elf.end)
        return any(file.read())


def find_files(root: Path) -> list[tuple[list[Path], os.stat_result]]:
    """Return the regular files that may be programs or libraries, each with all its names below the root."""
    names_of: dict[tuple[int, int], list[Path]] = {}
    status_of: dict[tuple[int, int], os.stat_result] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith((".a", ".o", ".py", ".pyc", ".h", ".pyi")):
                continue
            path = Path(folder, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_size >= 64:
                key = (status.st_dev, status.st_ino)
                names_of.setdefault(key, []).append(path)
                status_of[key] = status
    return [(sorted(names), status_of[key]) for key, names in names_of.items()]


def find_candidates(root: Path, mode: str) -> tuple[list[Candidate], dict[str, int]]:
    """Return the files to strip, and how many were left alone for which reason."""
    candidates: list[Candidate] = []
    skipped = {"nothing to strip": 0, "appended data": 0}
    for names, status in find_files(root):
        try:
            elf = read_elf(names[0])
            interpreter = read_interpreter(names[0], elf)
        except (NotElfError, ValueError):
            continue
        if not elf.is_program:
            continue
        if not is_strippable(elf, mode):
            skipped["nothing to strip"] += 1
        elif has_appended_data(names[0], elf):
            skipped["appended data"] += 1  # a program that carries its data behind it would lose it
        else:
            candidates.append(Candidate(names, elf, interpreter, status))
    return sorted(candidates, key=lambda candidate: candidate.path), skipped


def split_batches(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """Group files into batches of limited number and size."""
    batch: list[Candidate] = []
    size = 0
    for candidate in candidates:
        if batch and (len(batch) == BATCH_FILES or size + candidate.elf.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(candidate)
        size += candidate.elf.size
    if batch:
        yield batch


# --- checks -----------------------------------------------------------------------------------------------------


def layout_damage(before: Elf, after: Elf) -> str | None:
    """Say why a stripped file cannot be mapped although the original could: binutils 2.40's silent damage."""
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
    """Load libraries in child processes, many to a child; one that ends its child does not fail the others."""

    def __init__(self, python: str, timeout: float = 300.0) -> None:  # seconds for a batch
        self.python, self.timeout = python, timeout

    def failures(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Return the libraries that cannot be loaded, with the reason; failures of a batch are tried again alone."""
        suspects = list(self._batch(paths))
        out: dict[Path, str] = {}
        for path in suspects:
            out.update(self._batch([path]))
        return out

    def _batch(self, paths: Sequence[Path]) -> dict[Path, str]:
        out: dict[Path, str] = {}
        todo = list(paths)
        while todo:
            printed, ended = self._load(todo)
            started = 0
            answered = True
            for line in printed.splitlines():
                if line.startswith("? "):
                    started, answered = started + 1, False
                elif line == "+":
                    answered = True
                elif line.startswith("- "):
                    out[todo[started - 1]] = line[2:]
                    answered = True
            if not started:
                raise UserError(f"{self.python} does not run: {ended}")
            if not answered:
                out[todo[started - 1]] = ended
            elif started < len(todo):  # it stopped between two libraries
                out[todo[started]] = ended
                started += 1
            todo = todo[started:]
        return out

    def _load(self, paths: Sequence[Path]) -> tuple[str, str]:
        """Load libraries in one child; return what it printed, and how it ended."""
        environment = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "LD_PRELOAD")}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
        try:
            child = subprocess.run(
                [self.python, "-S", "-c", LOADER],
                input="".join(f"{path}\n" for path in paths).encode(),
                capture_output=True,
                timeout=self.timeout,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return (error.stdout or b"").decode(errors="replace"), f"not loaded after {self.timeout:.0f} s"
        ended = f"the process that loaded it ended with {child.returncode}"
        return child.stdout.decode(errors="replace"), ended


def program_failure(path: Path, interpreter: str | None) -> str | None:
    """Say why the loader refuses a program, asked without running it; None if it does not."""
    if interpreter is None or not Path(interpreter).exists():
        return None
    done = subprocess.run([interpreter, "--list", str(path)], capture_output=True, text=True, check=False)
    return (done.stderr or done.stdout).strip().splitlines()[-1] if done.returncode else None


# --- stripping --------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What became of one file; sizes are in bytes."""

    path: str
    before: int
    after: int
    kept: str | None = None  # why the original was kept
    loaded: bool = False  # whether loading was part of the check: it was loadable alone before
    outside_links: int = 0  # names of the same file outside the root: they keep the unstripped one
    names: list[str] = field(default_factory=list)


def strip_copy(candidate: Candidate, mode: str, strip: str) -> tuple[Path, str | None]:
    """Strip into a new file beside the original; return it, and what is wrong with it."""
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
        after = read_elf(copy)
    except NotElfError as error:
        return copy, str(error)
    if after.size >= candidate.elf.size:
        return copy, "not smaller"
    return copy, layout_damage(candidate.elf, after)


def replace(candidate: Candidate, copy: Path) -> None:
    """Put the copy in place under all names, with the original's mode, owner and times."""
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
    """Strip files, and keep the original of each that the checks refuse."""
    copies: dict[Path, Path] = {}  # original: stripped copy
    try:
        before = loader.failures([item.path for item in batch if item.is_library])
        kept: dict[Path, str] = {}
        for item in batch:
            copies[item.path], damage = strip_copy(item, mode, strip)
            if damage is None and not item.is_library:
                damage = program_damage(item, copies[item.path])
            if damage is not None:
                kept[item.path] = damage
        loadable = [
            item for item in batch if item.is_library and item.path not in before and item.path not in kept
        ]
        after = loader.failures([copies[item.path] for item in loadable])
        for item in loadable:
            if failure := after.get(copies[item.path]):
                kept[item.path] = f"does not load: {failure}"
        return [
            finish(item, copies[item.path], root, kept.get(item.path), loaded=item in loadable)
            for item in batch
        ]
    finally:
        for copy in copies.values():
            copy.unlink(missing_ok=True)


def program_damage(item: Candidate, copy: Path) -> str | None:
    """Say why the loader refuses a stripped program although it took the original."""
    if program_failure(item.path, item.interpreter) is not None:
        return None
    copy.chmod(0o700)
    return program_failure(copy, item.interpreter)


def finish(item: Candidate, copy: Path, root: Path, kept: str | None, *, loaded: bool) -> Outcome:
    """Replace the original unless there is a reason to keep it, and return the outcome."""
    size = item.elf.size
    outcome = Outcome(item.path.relative_to(root).as_posix(), size, size, kept, loaded)
    outcome.names = [name.relative_to(root).as_posix() for name in item.names]
    outcome.outside_links = item.status.st_nlink - len(item.names)
    if kept is None:
        outcome.after = copy.stat().st_size
        replace(item, copy)
    return outcome


# --- all of it --------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What was done to a tree."""

    root: str
    mode: str
    files: list[Outcome]
    skipped: dict[str, int]
    records: int
    seconds: float

    @property
    def stripped(self) -> list[Outcome]:
        """Return the files that were replaced."""
        return [o for o in self.files if o.kept is None]

    @property
    def restored(self) -> list[Outcome]:
        """Return the files that strip would have broken."""
        return [o for o in self.files if o.kept not in (None, "not smaller")]

    def as_json(self) -> str:
        """Return the report as JSON."""
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


def folder_times(root: Path) -> dict[str, int]:
    """Return when each folder changed, in ns: a file that is stripped changes no folder in a layer."""
    return {folder: Path(folder).stat().st_mtime_ns for folder, _, _ in os.walk(root)}


def strip_tree(root: Path, mode: str, jobs: int, python: str, strip: str = "strip") -> Report:
    """Strip all files below a folder, `jobs` batches at a time."""
    start = time.monotonic()
    before = folder_times(root)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder")
    if shutil.which(strip) is None:
        raise UserError(f"{strip} is not installed here (Debian: binutils)")
    root = root.resolve()
    candidates, skipped = find_candidates(root, mode)
    loader = Loader(python)
    with ThreadPoolExecutor(jobs) as pool:
        batches = split_batches(candidates)
        done = pool.map(lambda batch: strip_batch(batch, root, mode, strip, loader), batches)
        outcomes = [outcome for batch in done for outcome in batch]
    skipped["not smaller"] = sum(outcome.kept == "not smaller" for outcome in outcomes)
    changed = {root / name for outcome in outcomes if outcome.kept is None for name in outcome.names}
    records = update_records(root.rglob("*.dist-info/RECORD"), changed=changed) if changed else 0
    for folder, when in before.items():
        os.utime(folder, ns=(when, when))
    return Report(str(root), mode, outcomes, skipped, records, time.monotonic() - start)


def default_python(root: Path) -> str:
    """Return the environment's own Python, for which its libraries were made; else this one."""
    for name in ("bin/python3", "bin/python"):
        if (root / name).exists():
            return str(root / name)
    return sys.executable


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
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


def work(options: argparse.Namespace) -> None:
    """Strip, write the report, and print what was done."""
    python = options.python or default_python(options.root)
    report = strip_tree(options.root, options.mode, max(1, options.jobs), python, options.strip)
    if options.report:
        options.report.write_text(report.as_json())
    before, after = (
        sum(getattr(outcome, name) for outcome in report.stripped) for name in ("before", "after")
    )
    count, seconds = len(report.stripped), report.seconds
    print(f"{count} files: {before / 1e6:.1f} MB became {after / 1e6:.1f} MB in {seconds:.1f} s")
    for outcome in report.restored:
        print(f"kept as it was: {outcome.path}: {outcome.kept}")
    if outside := sum(outcome.outside_links > 0 for outcome in report.stripped):
        print(f"{outside} files have other names outside {report.root}: those keep the unstripped file")


def main(argv: Sequence[str] | None = None) -> int:
    """Strip a tree; return the exit status."""
    options = parse(argv)
    return run_main("strip_libs.py", lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
