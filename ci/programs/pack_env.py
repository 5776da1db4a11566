"""Export a conda environment with conda-pack, as a folder for an image layer or as a relocatable archive.

    pack_env.py /opt/env --dest-prefix /opt/env --to-dir /layer/opt/env
    pack_env.py /opt/env --archive env.tar.zst        unpack anywhere, then bin/conda-unpack (.tar.gz, .tar too)

conda-pack lists the files of the environment and rewrites prefixes; this program writes the files: it copies those
without a prefix in the kernel, hard-links nothing to the package cache, keeps no intermediate archive on disk, and with
SOURCE_DATE_EPOCH two exports of one environment are the same bytes.
It refuses to export files of conda packages that pip or uv replaced: see --allow-replaced.
Needs: conda-pack (PyPI); for .tar.zst also zstandard (PyPI) or the zstd program.
"""

# The loops here run over tens of thousands of files: plain strings and os functions, no Path objects.
# ruff: noqa: PTH114, PTH115, PTH116, PTH118, PTH123, PTH113

from __future__ import annotations

import argparse
import codecs
import contextlib
import fnmatch
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

from common.errors import UserError, run_main
from common.files import sha256_of, source_date_epoch
from common.trees import TreeWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CHUNK = 1 << 20
HEAD = 1 << 16
# Left behind in an environment by an earlier conda-unpack.
LEFTOVERS = ("bin/conda-unpack", "bin/conda_unpack_progress.py")
# The first line of conda-unpack's list of files to edit; conda-pack leaves bin/python* out of it.
UNPACK_RECORDS = "_prefix_records = [\n"


class Writer(Protocol):
    """A stream that a tar is written into."""

    def write(self, data: bytes, /) -> object: ...


class Sink(Protocol):
    """conda-pack's interface for archives: its Packer calls these two."""

    def add(self, source: str, target: str) -> None: ...

    def add_bytes(self, source: str, data: bytes, target: str) -> None: ...


# --- times ------------------------------------------------------------------------------------------------------


def fresh_pyc(source: str, epoch: int) -> bytes | None:
    """Return a .pyc with its source's new time in it; None if it holds no time, or was stale already.

    Without this, giving all files one time makes every .pyc stale that holds its source's time, and each start of
    Python would compile again.
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


# --- sinks ------------------------------------------------------------------------------------------------------


class FolderSink(TreeWriter):
    """Write files below a folder."""

    def __init__(self, root: str, epoch: int | None, rewrite_link: Callable[[str], str]) -> None:
        super().__init__(root, epoch)
        self.rewrite_link = rewrite_link

    def add(self, source: str, target: str) -> None:
        """Write a file, link or folder as it is."""
        status = os.lstat(source)
        if stat.S_ISDIR(status.st_mode):
            self.add_folder(target)
        elif stat.S_ISLNK(status.st_mode):
            self.add_link(target, self.rewrite_link(os.readlink(source)), status)
        elif self.epoch is not None and target.endswith(".pyc") and (data := fresh_pyc(source, self.epoch)):
            self.write_file(target, data, status)
        else:
            self.copy_file(source, target, status)

    def add_bytes(self, source: str, data: bytes, target: str) -> None:
        """Write a file with other contents than its source's."""
        self.write_file(target, data, os.stat(source))


@dataclass
class TarSink:
    """Write a tar in which everything is root's, and links stay links."""

    tar: tarfile.TarFile
    epoch: int | None
    rewrite_link: Callable[[str], str]
    finish_script: Callable[[bytes], bytes]
    files: int = 0
    size: int = 0

    def info(self, status: os.stat_result, target: str) -> tarfile.TarInfo:
        """Return the header of a member."""
        info = tarfile.TarInfo(target)
        info.mode = stat.S_IMODE(status.st_mode) & 0o777
        info.mtime = int(status.st_mtime) if self.epoch is None else self.epoch
        info.uname = info.gname = "root"
        return info

    def add(self, source: str, target: str) -> None:
        """Write a file, link or folder as it is; bin/conda-unpack as `finish_script` changes it."""
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
        """Write a file with other contents than its source's."""
        info = self.info(os.stat(source), target)
        info.size = len(data)
        self.tar.addfile(info, BytesIO(data))
        self.files += 1
        self.size += info.size


class Counted:
    """A stream that knows its position, which tarfile asks for and a compressor does not know."""

    def __init__(self, writer: Writer) -> None:
        self.writer, self.position = writer, 0

    def write(self, data: bytes) -> int:
        """Write bytes on."""
        self.writer.write(data)
        self.position += len(data)
        return len(data)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.position


@contextlib.contextmanager
def compressor(
    file: IO[bytes], name: str, level: int | None, threads: int, epoch: int | None
) -> Iterator[Writer]:
    """Open the stream to write a tar into, by the archive's name.

    conda-pack's own stream for .tar.zst ignores level and threads.
    """
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
    """Compress with the zstd program."""
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


# --- the environment --------------------------------------------------------------------------------------------


@dataclass
class Managed:
    """A conda package from conda-meta, and which of its files are missing or changed."""

    name: str
    version: str
    source: Path
    rows: dict[str, dict[str, Any]]
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    @property
    def replaced(self) -> bool:
        """Return whether pip, uv or somebody else changed its files."""
        return bool(self.missing or self.changed)


def differs(path: str, row: dict[str, Any], cached: Path) -> bool:
    """Return whether an installed file is not the one that conda installed."""
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
    return expected is not None and sha256_of(path) != expected


def audit(prefix: Path) -> list[Managed]:
    """Return every conda package with its missing and changed files.

    Raises:
        UserError: The package cache lacks a package, or the prefix is no conda environment.
    """
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
    """Return the path in the package of an installed file: noarch packages have site-packages at their top."""
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
    """Return the replaced packages, all of which must be allowed to be (globs of names)."""
    replaced = [p for p in packages if p.replaced]
    bad = [p for p in replaced if not any(fnmatch.fnmatch(p.name, a) for a in allowed)]
    if bad:
        described = []
        for p in bad:
            names = [*p.missing, *p.changed]
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            count = f"{len(p.missing)} gone, {len(p.changed)} changed"
            described.append(f"{p.name} {p.version} ({count}: {', '.join(names[:2])}{more})")
        raise UserError(
            f"files of conda packages were replaced, by pip or uv or by hand: {'; '.join(described)}."
            f" If they are meant to be exported as they are now: --allow-replaced {' '.join(p.name for p in bad)}"
        )
    return replaced


def use_installed_files(env: CondaEnv, replaced: Sequence[Managed], relocatable: bool) -> None:
    """Take the files of replaced packages from the environment; conda-pack would take those of the package cache."""
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


# --- packing ----------------------------------------------------------------------------------------------------


def read_text(path: str) -> bytes | None:
    """Return a file's bytes if conda-pack takes it for text (valid UTF-8), else None, mostly after one small read."""
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
    """Give the environment's files to conda-pack's packer, but those without a prefix directly to the sink."""
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
            data = None if in_place else read_text(file.source)
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
    """Audit an environment and return its files as conda-pack lists them."""
    if not prefix.is_absolute():
        raise UserError(f"the prefix {prefix} is not absolute")
    replaced = refuse_replaced(audit(prefix), allowed)
    try:
        env = CondaEnv.from_prefix(str(prefix), on_missing_cache="raise", ignore_missing_files=True)
    except CondaPackException as error:
        raise UserError(" ".join(str(error).split())) from error
    use_installed_files(env, replaced, relocatable)
    for pattern in exclude:
        env = env.exclude(pattern)
    return env


def link_rewriter(prefix: str, dest: str | None) -> Callable[[str], str]:
    """Return a function that moves absolute links into the prefix to its destination; conda-pack leaves them."""

    def rewrite(link: str) -> str:
        if dest is not None and (link == prefix or link.startswith(prefix + "/")):
            return dest + link[len(prefix) :]
        return link

    return rewrite


def pack_folder(
    prefix: Path, folder: Path, dest_prefix: str, allowed: Sequence[str], exclude: Sequence[str]
) -> FolderSink:
    """Export an environment into an empty folder, for use at another prefix."""
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
    """Export an environment as an archive that becomes usable anywhere by its bin/conda-unpack."""
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
    """Let conda-unpack also edit bin/python*-config; conda-pack leaves out all files named bin/python*."""
    head, found, tail = script.decode().partition(UNPACK_RECORDS)
    if not found:
        raise UserError("this conda-pack writes a conda-unpack that pack_env.py does not know")
    left_out = [p for p in prefixes if p[0].startswith("bin/python") and p[0].endswith("-config")]
    return (head + found + "".join(f"{p!r},\n" for p in left_out) + tail).encode()


# --- command line -----------------------------------------------------------------------------------------------


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="pack_env.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("prefix", type=Path, help="the environment, an absolute path")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--to-dir", type=Path, metavar="DIR", help="place the files here (an empty folder)")
    where.add_argument("--archive", type=Path, metavar="FILE", help=".tar.zst, .tar.gz or .tar, relocatable")
    parser.add_argument("--dest-prefix", help="the path at which the files of --to-dir will be used")
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


def work(options: argparse.Namespace) -> None:
    """Export, and print how much was exported."""
    start = time.monotonic()
    prefix = Path(os.path.normpath(options.prefix))
    allowed, exclude = options.allow_replaced, options.exclude
    sink: FolderSink | TarSink
    if options.to_dir:
        sink = pack_folder(prefix, options.to_dir, options.dest_prefix, allowed, exclude)
    else:
        sink = pack_archive(prefix, options.archive, options.level, options.threads, allowed, exclude)
    seconds = time.monotonic() - start
    where = options.to_dir or options.archive
    print(f"{where}: {sink.files} files, {sink.size / 1e6:.0f} MB in {seconds:.1f} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Export an environment; return the exit status."""
    options = parse(argv)
    os.umask(0o022)
    return run_main("pack_env.py", lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
