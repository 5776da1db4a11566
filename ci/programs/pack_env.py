#!/usr/bin/env python3
"""Exports a conda environment with conda-pack, as a folder for an image layer or as a relocatable archive.

    pack_env.py /opt/env --dest-prefix /opt/env --to-dir /layer/opt/env
    pack_env.py /opt/env --archive env.tar.zst        unpack anywhere, then bin/conda-unpack (.tar.gz, .tar too)

conda-pack says which files belong to the environment and how prefixes are rewritten; the writing is done here:
files that need no rewriting are copied by the kernel, nothing is ever hard-linked to the package cache, no
archive lies on disk in between, and with SOURCE_DATE_EPOCH two exports of one environment are the same bytes.
What pip or uv changed in conda's packages is an error, not a surprise: see --allow-replaced.
Needs: conda-pack (PyPI); for .tar.zst also zstandard (PyPI) or the zstd program.
"""

# The loops here run over tens of thousands of files: plain strings and os functions, no Path objects.
# ruff: noqa: PTH101, PTH103, PTH114, PTH115, PTH116, PTH118, PTH120, PTH123, PTH211, PTH113

from __future__ import annotations

import argparse
import codecs
import contextlib
import fnmatch
import hashlib
import importlib.util
import json
import os
import stat
import struct
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from conda_pack import formats  # type: ignore[import-untyped,unused-ignore]
from conda_pack.core import CondaEnv, CondaPackException, File, Packer  # type: ignore[import-untyped,unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CHUNK = 1 << 20
HEAD = 1 << 16
# what an earlier conda-unpack leaves behind in an environment
LEFTOVERS = ("bin/conda-unpack", "bin/conda_unpack_progress.py")
# conda-unpack's list of files to edit begins with this line; conda-pack leaves bin/python* out of it
UNPACK_RECORDS = "_prefix_records = [\n"


class UserError(Exception):
    """What the person who runs the program can mend; printed as one line."""


class Writer(Protocol):
    """What a tar is written into."""

    def write(self, data: bytes, /) -> object: ...


class Sink(Protocol):
    """conda-pack's archive interface: what its Packer writes to."""

    def add(self, source: str, target: str) -> None: ...

    def add_bytes(self, source: str, data: bytes, target: str) -> None: ...


# --- times --------------------------------------------------------------------------------------------------


def source_date_epoch() -> int | None:
    value = os.environ.get("SOURCE_DATE_EPOCH")
    return int(value) if value else None


def fresh_pyc(source: str, epoch: int) -> bytes | None:
    """A .pyc with its source's new time in it, or None where it holds none (or was stale already).

    Setting all times to one makes every .pyc that names its source's time stale: each start would compile again.
    """
    with open(source, "rb") as file:
        data = file.read()
    if len(data) < 16 or data[4:8] != b"\0\0\0\0":  # hash-based: no time inside
        return None
    try:
        origin = importlib.util.source_from_cache(source)
        when = int(os.stat(origin).st_mtime) & 0xFFFFFFFF
    except (ValueError, NotImplementedError, OSError):
        return None
    if struct.unpack("<I", data[8:12])[0] != when:
        return None
    return data[:8] + struct.pack("<I", epoch & 0xFFFFFFFF) + data[12:]


# --- sinks ------------------------------------------------------------------------------------------


def kernel_copy(source: str, target: str) -> None:
    """Copies a file's bytes without taking them through this process."""
    with open(source, "rb", buffering=0) as reader, open(target, "xb", buffering=0) as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0 and (
                done := os.copy_file_range(reader.fileno(), writer.fileno(), min(left, 1 << 30))
            ):
                left -= done
        except OSError:  # not between these two file systems; sendfile goes on where it stopped
            pass
        while os.sendfile(writer.fileno(), reader.fileno(), None, 1 << 30):
            pass


@dataclass
class FolderSink:
    """Writes files below a folder: new files always, so that nothing here shares bytes with the package cache."""

    root: str
    epoch: int | None
    rewrite_link: Callable[[str], str]
    folders: set[str] = field(default_factory=set)
    files: int = 0
    size: int = 0

    def place(self, target: str) -> str:
        path = f"{self.root}/{target}"
        folder = os.path.dirname(path)
        if folder not in self.folders:
            os.makedirs(folder, exist_ok=True)
            while len(folder) > len(self.root) and folder not in self.folders:
                self.folders.add(folder)
                folder = os.path.dirname(folder)
        return path

    def stamp(self, path: str, status: os.stat_result) -> None:
        if self.epoch is None:
            os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)
        else:
            os.utime(path, (self.epoch, self.epoch), follow_symlinks=False)

    def add(self, source: str, target: str) -> None:
        status = os.lstat(source)
        path = self.place(target)
        if stat.S_ISDIR(status.st_mode):
            os.makedirs(path, exist_ok=True)
            self.folders.add(path)
            return
        self.files += 1
        if stat.S_ISLNK(status.st_mode):
            os.symlink(self.rewrite_link(os.readlink(source)), path)
        elif self.epoch is not None and target.endswith(".pyc") and (data := fresh_pyc(source, self.epoch)):
            self.write(path, data, status)
        else:
            kernel_copy(source, path)
            os.chmod(path, stat.S_IMODE(status.st_mode) & 0o777)
            self.size += status.st_size
        self.stamp(path, status)

    def add_bytes(self, source: str, data: bytes, target: str) -> None:
        status = os.stat(source)
        path = self.place(target)
        self.files += 1
        self.write(path, data, status)
        self.stamp(path, status)

    def write(self, path: str, data: bytes, status: os.stat_result) -> None:
        with open(path, "xb", buffering=0) as file:
            file.write(data)
        os.chmod(path, stat.S_IMODE(status.st_mode) & 0o777)
        self.size += len(data)

    def finish(self) -> None:
        """The folders' times, last: writing into a folder changes its time."""
        for folder in (*self.folders, self.root):
            os.chmod(folder, 0o755)  # noqa: S103 (a folder that all may read)
            if self.epoch is not None:
                os.utime(folder, (self.epoch, self.epoch))


@dataclass
class TarSink:
    """Writes a tar: everything root's, times clamped, links as links."""

    tar: tarfile.TarFile
    epoch: int | None
    rewrite_link: Callable[[str], str]
    finish_script: Callable[[bytes], bytes]
    files: int = 0
    size: int = 0

    def info(self, status: os.stat_result, target: str) -> tarfile.TarInfo:
        info = tarfile.TarInfo(target)
        info.mode = stat.S_IMODE(status.st_mode) & 0o777
        info.mtime = int(status.st_mtime) if self.epoch is None else self.epoch
        info.uname = info.gname = "root"
        return info

    def add(self, source: str, target: str) -> None:
        status = os.lstat(source)
        info = self.info(status, target)
        if stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
            info.mode = 0o755
            self.tar.addfile(info)
        elif stat.S_ISLNK(status.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, self.rewrite_link(os.readlink(source))
            self.tar.addfile(info)
            self.files += 1
        elif target == LEFTOVERS[0]:
            with open(source, "rb") as script:
                self.add_bytes(source, self.finish_script(script.read()), target)
        elif self.epoch is not None and target.endswith(".pyc") and (data := fresh_pyc(source, self.epoch)):
            self.add_bytes(source, data, target)
        else:
            info.size = status.st_size
            with open(source, "rb", buffering=0) as file:
                self.tar.addfile(info, file)
            self.files += 1
            self.size += info.size

    def add_bytes(self, source: str, data: bytes, target: str) -> None:
        info = self.info(os.stat(source), target)
        info.size = len(data)
        self.tar.addfile(info, BytesIO(data))
        self.files += 1
        self.size += info.size


class Counted:
    """A stream that can say how far it is: what tarfile asks of a pipe or a compressor."""

    def __init__(self, writer: Writer) -> None:
        self.writer, self.position = writer, 0

    def write(self, data: bytes) -> int:
        self.writer.write(data)
        self.position += len(data)
        return len(data)

    def tell(self) -> int:
        return self.position


@contextlib.contextmanager
def compressor(
    file: IO[bytes], name: str, level: int | None, threads: int, epoch: int | None
) -> Iterator[Writer]:
    """The stream to write a tar into, by the archive's name. conda-pack's own zst ignores level and threads."""
    if name.endswith(".tar"):
        yield file
    elif name.endswith((".tar.gz", ".tgz")):
        gzip: Any = formats.ParallelGzipFileWriter(
            file, compresslevel=6 if level is None else level, n_threads=threads, mtime=epoch or 0
        )
        yield gzip
        gzip.close()
    else:
        level = 3 if level is None else level
        try:
            import zstandard
        except ImportError:
            with zstd_program(file, level, threads) as writer:
                yield writer
            return
        stream: Any = zstandard.ZstdCompressor(
            level=level, threads=threads, write_checksum=True
        ).stream_writer(file, closefd=False)
        yield stream
        stream.close()


@contextlib.contextmanager
def zstd_program(file: IO[bytes], level: int, threads: int) -> Iterator[Writer]:
    command = ["zstd", "-q", "-c", f"-{level}", f"-T{threads}"]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file)
    except FileNotFoundError as error:
        raise UserError("for .tar.zst install the zstandard module or the zstd program") from error
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        process.stdin.close()
        if process.wait():
            raise UserError(f"zstd failed ({process.returncode})")


# --- what the environment holds ---------------------------------------------------------------------------


@dataclass
class Managed:
    """A conda package as conda-meta tells it, and what became of its files."""

    name: str
    version: str
    source: Path
    rows: dict[str, dict[str, Any]]
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    @property
    def replaced(self) -> bool:
        return bool(self.missing or self.changed)


def sha256_file(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differs(path: str, row: dict[str, Any], cached: Path) -> bool:
    """Whether an installed file is not what conda put there."""
    if row.get("path_type") == "softlink":
        return not os.path.islink(path)
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        return not stat.S_ISDIR(status.st_mode)
    with contextlib.suppress(OSError):
        if os.path.samestat(status, os.lstat(cached)):
            return False
    size = row.get("size_in_bytes")
    if size is not None and "prefix_placeholder" not in row and status.st_size != size:
        return True
    expected = row.get("sha256_in_prefix") or (None if "prefix_placeholder" in row else row.get("sha256"))
    return expected is not None and sha256_file(path) != expected


def audit(prefix: Path) -> list[Managed]:
    """Every conda package with the files of it that are gone or changed; an error where the cache lacks one."""
    packages, uncached = [], []
    for path in sorted((prefix / "conda-meta").glob("*.json")):
        data = json.loads(path.read_text())
        source = (data.get("link") or {}).get("source") or ""
        if not source or not (Path(source) / "info").is_dir():
            uncached.append(f"{data['name']} {data['version']}")
            continue
        rows = {row["_path"]: row for row in data["paths_data"]["paths"]}
        package = Managed(data["name"], data["version"], Path(source), rows)
        for name, row in rows.items():
            if name.endswith(".pyc"):
                continue  # Python writes these again when it likes; conda's own is exported if there is one
            file = f"{prefix}/{name}"
            if not os.path.lexists(file):
                package.missing.append(name)
            elif differs(file, row, package.source / cached_name(name)):
                package.changed.append(name)
        packages.append(package)
    if uncached:
        names = ", ".join(uncached[:4]) + (f" and {len(uncached) - 4} more" if len(uncached) > 4 else "")
        raise UserError(
            f"the package cache lacks {names}: binaries would keep the prefix {prefix};"
            " run make_env.py fill-cache first, or mount the cache"
        )
    if not packages:
        raise UserError(f"{prefix} is not a conda environment (nothing in conda-meta)")
    return packages


def cached_name(installed: str) -> str:
    """Where a noarch package keeps what is installed in lib/pythonX.Y/site-packages."""
    parts = installed.split("/")
    if (
        len(parts) > 3
        and parts[0] == "lib"
        and parts[1].startswith("python3")
        and parts[2] == "site-packages"
    ):
        return "/".join(parts[2:])
    return installed


def refuse_replaced(packages: Sequence[Managed], allowed: Sequence[str]) -> list[Managed]:
    """The replaced packages that are allowed to be; an error for the others."""
    replaced = [p for p in packages if p.replaced]
    bad = [p for p in replaced if not any(fnmatch.fnmatch(p.name, a) for a in allowed)]
    if bad:
        told = []
        for p in bad:
            names = [*p.missing, *p.changed]
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            count = f"{len(p.missing)} gone, {len(p.changed)} changed"
            told.append(f"{p.name} {p.version} ({count}: {', '.join(names[:2])}{more})")
        raise UserError(
            f"files of conda packages were replaced, by pip or uv or by hand: {'; '.join(told)}."
            f" If they are meant to be exported as they are now: --allow-replaced {' '.join(p.name for p in bad)}"
        )
    return replaced


def as_installed(env: CondaEnv, replaced: Sequence[Managed], relocatable: bool) -> None:
    """Takes the files of replaced packages from the environment: conda-pack would take the cache's old ones."""
    rows = {name: (p, row) for p in replaced for name, row in p.rows.items()}
    if not rows:
        return
    files = []
    for f in env.files:
        package, row = rows.get(f.target, (None, {}))
        if package is None:
            files.append(f)
            continue
        mode, placeholder = "unknown", None
        if row.get("file_mode") == "binary":
            if relocatable and f.target in package.changed:
                raise UserError(
                    f"{f.target} of {package.name} was changed and holds the prefix: a relocatable archive"
                    " needs it as conda installed it"
                )
            mode, placeholder = "binary", str(env.prefix)
        source = os.path.join(env.prefix, f.target)
        files.append(File(source, f.target, is_conda=True, file_mode=mode, prefix_placeholder=placeholder))
    env.files = files


# --- packing ------------------------------------------------------------------------------------------------


def is_text(path: str) -> bytes | None:
    """A file's bytes if it is text as conda-pack means it (valid UTF-8), else None, mostly after one small read."""
    with open(path, "rb", buffering=0) as file:
        head = file.read(HEAD)
        if head.startswith(b"\x7fELF"):
            return None
        try:
            codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD)
            data = head + file.read() if len(head) == HEAD else head
            data.decode()
        except UnicodeDecodeError:
            return None
    return data


def feed(env: CondaEnv, packer: Packer, sink: Sink, dest_prefix: str | None) -> None:
    """conda-pack's own loop, with a short way for files in which there is nothing to rewrite."""
    prefix = str(env.prefix)
    in_place = dest_prefix == prefix
    needle = prefix.encode()
    for file in env.files:
        if file.target in LEFTOVERS:
            continue
        plain = (
            file.file_mode == "unknown" and not os.path.islink(file.source) and os.path.isfile(file.source)
        )
        if plain:
            data = None if in_place else is_text(file.source)
            if data is None:
                sink.add(file.source, file.target)
                continue
            if needle not in data:
                sink.add_bytes(file.source, data, file.target)
                continue
        try:
            packer.add(file)
        except ValueError as error:
            if "padding" not in str(error):
                raise
            room = len(file.prefix_placeholder or "")
            raise UserError(
                f"the destination is too long for {file.target}: at most {room} characters"
            ) from error
    packer.finish()


def load(prefix: Path, allowed: Sequence[str], exclude: Sequence[str], relocatable: bool) -> CondaEnv:
    if not prefix.is_absolute():
        raise UserError(f"the prefix {prefix} is not absolute")
    replaced = refuse_replaced(audit(prefix), allowed)
    try:
        env = CondaEnv.from_prefix(str(prefix), on_missing_cache="raise", ignore_missing_files=True)
    except CondaPackException as error:
        raise UserError(" ".join(str(error).split())) from error
    as_installed(env, replaced, relocatable)
    for pattern in exclude:
        env = env.exclude(pattern)
    return env


def link_rewriter(prefix: str, dest: str | None) -> Callable[[str], str]:
    """Absolute links into the prefix follow it; conda-pack leaves them."""

    def rewrite(link: str) -> str:
        if dest is not None and (link == prefix or link.startswith(prefix + "/")):
            return dest + link[len(prefix) :]
        return link

    return rewrite


def pack_folder(
    prefix: Path, folder: Path, dest_prefix: str, allowed: Sequence[str], exclude: Sequence[str]
) -> FolderSink:
    if not dest_prefix.startswith("/"):
        raise UserError(f"--dest-prefix {dest_prefix} is not absolute")
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty")
    if folder.resolve().is_relative_to(prefix.resolve()):
        raise UserError(f"{folder} lies inside the environment")
    dest_prefix = dest_prefix.rstrip("/")
    env = load(prefix, allowed, exclude, relocatable=False)
    folder.mkdir(parents=True, exist_ok=True)
    sink = FolderSink(str(folder), source_date_epoch(), link_rewriter(str(prefix), dest_prefix))
    feed(env, Packer(str(prefix), sink, dest_prefix), sink, dest_prefix)
    sink.finish()
    return sink


def pack_archive(
    prefix: Path,
    archive: Path,
    level: int | None,
    threads: int,
    allowed: Sequence[str],
    exclude: Sequence[str],
) -> TarSink:
    if not archive.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst")):
        raise UserError(f"{archive.name}: expected .tar.zst, .tar.gz or .tar")
    env = load(prefix, allowed, exclude, relocatable=True)
    epoch = source_date_epoch()
    archive = archive.absolute()
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_name(archive.name + ".partial")
    try:
        with partial.open("wb") as file, compressor(file, archive.name, level, threads, epoch) as stream:
            out: Any = Counted(stream)
            # copybufsize is what TarFile takes; the stubs of open() do not know it
            options: Any = {"format": tarfile.PAX_FORMAT, "copybufsize": CHUNK}
            with tarfile.open(fileobj=out, mode="w", **options) as tar:

                def finish_script(script: bytes) -> bytes:
                    return with_python_config(script, packer.prefixes)

                sink = TarSink(tar, epoch, link_rewriter(str(prefix), None), finish_script)
                packer = Packer(str(prefix), sink)
                feed(env, packer, sink, None)
        partial.chmod(0o644)
        partial.replace(archive)
    finally:
        partial.unlink(missing_ok=True)
    return sink


def with_python_config(script: bytes, prefixes: Sequence[tuple[str, str, str]]) -> bytes:
    """conda-unpack that also edits bin/python*-config: conda-pack leaves out all that is named bin/python*."""
    head, found, tail = script.decode().partition(UNPACK_RECORDS)
    if not found:
        raise UserError("this conda-pack writes a conda-unpack that pack_env.py does not know")
    left_out = [p for p in prefixes if p[0].startswith("bin/python") and p[0].endswith("-config")]
    return (head + found + "".join(f"{p!r},\n" for p in left_out) + tail).encode()


# --- command line -------------------------------------------------------------------------------------------


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pack_env.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("prefix", type=Path, help="the environment, an absolute path")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--to-dir", type=Path, metavar="DIR", help="place the files here (an empty folder)")
    where.add_argument("--archive", type=Path, metavar="FILE", help=".tar.zst, .tar.gz or .tar, relocatable")
    parser.add_argument("--dest-prefix", help="the path at which the files of --to-dir will lie")
    parser.add_argument("--level", type=int, help="compression level (zst: 3, gz: 6)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="compression threads (all)")
    parser.add_argument("--allow-replaced", nargs="+", action="extend", default=[], metavar="NAME",
                        help="conda packages (globs) whose changed files are exported as they are now")  # fmt: skip
    parser.add_argument("--exclude", nargs="+", action="extend", default=[], metavar="GLOB",
                        help="files to leave out, by their path in the environment")  # fmt: skip
    args = parser.parse_args(argv)
    if args.to_dir and not args.dest_prefix:
        parser.error("--to-dir needs --dest-prefix")
    if args.archive and args.dest_prefix:
        parser.error("--archive is relocatable: it takes no --dest-prefix")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    start = time.monotonic()
    os.umask(0o022)
    sink: FolderSink | TarSink
    try:
        prefix = Path(os.path.normpath(args.prefix))
        if args.to_dir:
            sink = pack_folder(prefix, args.to_dir, args.dest_prefix, args.allow_replaced, args.exclude)
        else:
            sink = pack_archive(
                prefix, args.archive, args.level, args.threads, args.allow_replaced, args.exclude
            )
    except UserError as error:
        print(f"pack_env.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"pack_env.py: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - start
    print(f"{args.to_dir or args.archive}: {sink.files} files, {sink.size / 1e6:.0f} MB in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
