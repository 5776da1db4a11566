"""Make, verify and compare bundles: folders with all inputs of some images, each content once and named by its hash.

    make_bundle.py make OUT --collected DIR --sources NAME --cell ID...     from folders that were collected
    make_bundle.py verify DIR                                               read every byte and print what is wrong
    make_bundle.py diff ONE OTHER                                           print the files that differ

The contents are `blobs/sha256/HASH`; `KIND/SET/NAME` are links to them, which pip, apt and conda can read too; the
manifest `bundle.json` lists both, sorted and without a date: the same contents are the same bundle.

The module and the engine's set-up import this file too, so it imports nothing from `common`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SCHEMA = 1
MANIFEST = "bundle.json"
BLOBS = "blobs/sha256"
# Base images, Debian packages, Python packages, their sources, conda packages, single files, the engine's own parts.
KINDS = ("images", "debs", "wheels", "sdists", "channel", "files", "engine")
LONGEST = 500
MOST_FILES = 1_000_000

_WORD = re.compile(r"[A-Za-z0-9@][A-Za-z0-9@._+!~%=-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._-]{0,99}")


class BundleError(Exception):
    """A bundle that is damaged, described in one line."""


@dataclass(frozen=True, order=True)
class Entry:
    """A file of a bundle: the path by which it is used, and its content."""

    path: str
    sha256: str
    size: int

    @property
    def kind(self) -> str:
        """Return the kind of input, one of `KINDS`."""
        return self.path.split("/", 1)[0]

    @property
    def name(self) -> str:
        """Return the file's name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def blob(self) -> str:
        """Return the path of the content in the bundle."""
        return f"{BLOBS}/{self.sha256}"

    @property
    def link(self) -> str:
        """Return the target of the link at the path."""
        return "../" * self.path.count("/") + self.blob


@dataclass(frozen=True)
class Manifest:
    """The contents of a bundle: its sources, cells, sets (which may be empty) and files."""

    sources: str
    cells: tuple[str, ...]
    sets: tuple[str, ...]
    files: tuple[Entry, ...]

    def below(self, folder: str) -> tuple[Entry, ...]:
        """Return the files below a folder."""
        return tuple(entry for entry in self.files if entry.path.startswith(f"{folder}/"))

    def text(self) -> str:
        """Return the manifest as JSON; the same contents give the same text."""
        rows = [
            {"path": one.path, "kind": one.kind, "name": one.name, "sha256": one.sha256, "size": one.size}
            for one in sorted(self.files)
        ]
        whole = {
            "schema": SCHEMA,
            "sources": self.sources,
            "cells": sorted(self.cells),
            "sets": sorted(self.sets),
            "files": rows,
        }
        return json.dumps(whole, indent=1) + "\n"


def read_manifest(text: str) -> Manifest:
    """Parse the text of a manifest, and check all of it.

    Raises:
        BundleError: It is no manifest; the message says what was expected.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BundleError(f"{MANIFEST} is not JSON: the bundle is damaged or was not finished") from None
    if not isinstance(found, dict) or set(found) != {"schema", "sources", "cells", "sets", "files"}:
        raise BundleError(f"{MANIFEST} is not the list of a bundle")
    if found["schema"] != SCHEMA or isinstance(found["schema"], bool):
        raise BundleError(f"{MANIFEST} has schema {str(found['schema'])[:20]!r}, expected {SCHEMA}")
    sources = _matching(found["sources"], _NAME, "sources")
    cells = tuple(_matching(cell, _NAME, "cells") for cell in _listed(found["cells"], "cells"))
    sets = tuple(_path(one, "sets", 2) for one in _listed(found["sets"], "sets"))
    files = tuple(_entry(row) for row in _listed(found["files"], "files"))
    paths = [entry.path for entry in files]
    for names, what in ((paths, "files"), (sets, "sets"), (cells, "cells")):
        if len(set(names)) != len(names):
            raise BundleError(f"{MANIFEST}: {what} names one twice")
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    if both := folders & set(paths):
        raise BundleError(f"{MANIFEST}: {min(both)} is a file and a folder")
    sizes: dict[str, int] = {}
    for entry in files:
        if sizes.setdefault(entry.sha256, entry.size) != entry.size:
            raise BundleError(f"{MANIFEST}: {entry.sha256} has two sizes")
    return Manifest(sources, cells, sets, files)


def _listed(value: object, what: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST_FILES:
        raise BundleError(f"{MANIFEST}: {what} is not a list")
    return value


def _matching(value: object, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BundleError(f"{MANIFEST}: {what} has {str(value)[:60]!r}")
    return value


def _path(value: object, what: str, least: int) -> str:
    """Require a path below the folder of a kind, with no way out of it."""
    parts = value.split("/") if isinstance(value, str) else []
    sound = least <= len(parts) <= 40 and parts[0] in KINDS and all(map(_WORD.fullmatch, parts))
    if not isinstance(value, str) or not sound or len(value) > LONGEST:
        raise BundleError(f"{MANIFEST}: {what} has the path {str(value)[:60]!r}")
    return value


def _entry(row: object) -> Entry:
    if not isinstance(row, dict) or set(row) != {"path", "kind", "name", "sha256", "size"}:
        raise BundleError(f"{MANIFEST}: files has {str(row)[:60]!r}")
    entry = Entry(
        path=_path(row["path"], "files", 3),
        sha256=_matching(row["sha256"], _SHA256, "sha256"),
        size=row["size"],
    )
    if not isinstance(entry.size, int) or isinstance(entry.size, bool) or entry.size < 0:
        raise BundleError(f"{MANIFEST}: {entry.path} has the size {str(entry.size)[:20]!r}")
    if (row["kind"], row["name"]) != (entry.kind, entry.name):
        raise BundleError(f"{MANIFEST}: kind and name of {entry.path} are not those of its path")
    return entry


def manifest_of(folder: Path) -> Manifest:
    """Read the manifest of a bundle.

    Raises:
        BundleError: There is none, or it is damaged.
    """
    try:
        text = (folder / MANIFEST).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST} that can be read") from None
    return read_manifest(text)


# --- make -------------------------------------------------------------------------------------------------------


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the path below a folder of every file, in order, with the file; links are left out."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path


def keep(folder: Path, source: Path, sha256: str) -> None:
    """Copy a content into the bundle unless it is there; it gets its name when it is complete."""
    target = folder / BLOBS / sha256
    if target.is_file() and target.stat().st_size == source.stat().st_size and sha256_of(target) == sha256:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{sha256}.partial")
    shutil.copyfile(source, partial)
    partial.replace(target)


def add(folder: Path, manifest: Manifest, sets: Iterable[str], files: Mapping[str, Path]) -> Manifest:
    """Add files to a bundle and rewrite its manifest, which comes last and is never half written."""
    entries = {entry.path: entry for entry in manifest.files}
    for path, source in files.items():
        entry = Entry(path, sha256_of(source), source.stat().st_size)
        keep(folder, source, entry.sha256)
        entries[path] = entry
    made = Manifest(
        manifest.sources,
        manifest.cells,
        tuple(sorted({*manifest.sets, *sets})),
        tuple(sorted(entries.values())),
    )
    made = read_manifest(made.text())  # a manifest that cannot be read back is not written
    finish(folder, made)
    return made


def finish(folder: Path, manifest: Manifest) -> None:
    """Make the links, delete files that the manifest does not list, and write the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in manifest.files:
        link = folder / entry.path
        if link.is_symlink() and os.readlink(link) == entry.link:  # noqa: PTH115 - the text itself is compared
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(entry.link)
    for path in extra(folder, manifest):
        (folder / path).unlink()
    partial = folder / f".{MANIFEST}.partial"
    partial.write_text(manifest.text(), "utf-8")
    partial.replace(folder / MANIFEST)


def index_debs(folder: Path) -> None:
    """Rename Debian packages as in a pool, and write the index that apt reads."""
    blocks = []
    for deb in sorted(folder.glob("*.deb")):
        command = ["dpkg-deb", "--field", str(deb)]
        control = subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip("\n")
        fields = dict(line.split(": ", 1) for line in control.splitlines() if re.match(r"[A-Za-z-]+: ", line))
        version = fields["Version"].rpartition(":")[2]  # an epoch is in no file name
        name = f"{fields['Package']}_{version}_{fields['Architecture']}.deb"
        deb = deb.rename(folder / name)
        location = f"Filename: ./{name}\nSize: {deb.stat().st_size}\nSHA256: {sha256_of(deb)}"
        blocks.append((fields["Package"], f"{control}\n{location}\n"))
    (folder / "Packages").write_text("\n".join(block for _, block in sorted(blocks)), "utf-8")


def make(out: Path, collected: Path, sources: str, cells: Sequence[str]) -> Manifest:
    """Make a bundle of collected files, which are in a folder KIND/SET for each set."""
    sets = [f"{folder.parent.name}/{folder.name}" for folder in sorted(collected.glob("*/*"))]
    for folder in sorted(collected.glob("debs/*")):
        index_debs(folder)
    empty = Manifest(sources, tuple(cells), (), ())
    return add(out, empty, sets, dict(files_below(collected)))


# --- verify, diff -----------------------------------------------------------------------------------------------


def extra(folder: Path, manifest: Manifest) -> list[str]:
    """Return the files in a bundle's folder that its manifest does not list."""
    known = {MANIFEST, *(entry.path for entry in manifest.files), *(entry.blob for entry in manifest.files)}
    found = []
    for root, folders, names in os.walk(folder):
        links = [name for name in folders if Path(root, name).is_symlink()]
        found += [Path(root, name).relative_to(folder).as_posix() for name in (*names, *links)]
    return sorted(set(found) - known)


def verify(folder: Path) -> list[str]:
    """Read every byte of a bundle; return a line for each file that is missing, damaged or not listed."""
    try:
        manifest = manifest_of(folder)
    except BundleError as error:
        return [str(error)]
    problems = []
    users: dict[str, list[Entry]] = {}
    for entry in manifest.files:
        users.setdefault(entry.sha256, []).append(entry)
        link = folder / entry.path
        if not link.is_symlink():
            problems.append(f"missing: {entry.path}, a link to {entry.link}")
        elif os.readlink(link) != entry.link:  # noqa: PTH115 - the text itself is compared
            problems.append(f"damaged: {entry.path} leads elsewhere, expected {entry.link}")
    for sha256, entries in sorted(users.items()):
        blob, used = folder / BLOBS / sha256, entries[0].path
        if blob.is_symlink() or not blob.is_file():
            problems.append(f"missing: {entries[0].blob} ({used}), {entries[0].size} bytes")
        elif (size := blob.stat().st_size) != entries[0].size:
            problems.append(
                f"damaged: {entries[0].blob} ({used}) has {size} bytes, expected {entries[0].size}"
            )
        elif sha256_of(blob) != sha256:
            problems.append(f"damaged: {entries[0].blob} ({used}) has another SHA-256 than its name")
    return problems + [f"not in the list: {printable(path)}" for path in extra(folder, manifest)]


def diff(one: Manifest, other: Manifest) -> list[str]:
    """Return what changed from one bundle to another: a line for each file, and the bytes to be transferred."""
    lines = []
    if one.sources != other.sources:
        lines.append(f"sources: {one.sources}, then {other.sources}")
    for what, before, after in (("cell", one.cells, other.cells), ("set", one.sets, other.sets)):
        lines += [f"- {what} {name}" for name in sorted(set(before) - set(after))]
        lines += [f"+ {what} {name}" for name in sorted(set(after) - set(before))]
    old, new = ({entry.path: entry for entry in side.files} for side in (one, other))
    for path in sorted({*old, *new}):
        before_, after_ = old.get(path), new.get(path)
        if before_ == after_:
            continue
        lines += [f"- {path} ({before_.size} bytes)"] if before_ else []
        lines += [f"+ {path} ({after_.size} bytes)"] if after_ else []
    have = {entry.sha256 for entry in one.files}
    blobs = {entry.sha256: entry.size for entry in other.files if entry.sha256 not in have}
    gone = {entry.sha256: entry.size for entry in one.files} | {}
    for entry in other.files:
        gone.pop(entry.sha256, None)
    if lines:
        lines.append(
            f"{len(blobs)} contents more ({sum(blobs.values())} bytes), "
            f"{len(gone)} fewer ({sum(gone.values())} bytes)"
        )
    return lines


def printable(text: str) -> str:
    """Return text without control characters, cut to 200 characters."""
    return "".join(char if char.isprintable() else "?" for char in text)[:200]


def describe(manifest: Manifest) -> str:
    """Describe a bundle in one line."""
    blobs = {entry.sha256: entry.size for entry in manifest.files}
    return (
        f"{len(manifest.files)} files in {len(blobs)} contents, {sum(blobs.values()) / 1e6:.0f} MB, of the "
        f"{manifest.sources} sources, for {', '.join(sorted(manifest.cells))}"
    )


# --- the program ------------------------------------------------------------------------------------------------


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bundle", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="make a bundle of collected files")
    making.add_argument("out", type=Path)
    making.add_argument("--collected", type=Path, required=True, help="has a folder KIND/SET for each set")
    making.add_argument("--sources", required=True, help="name of the sources")
    making.add_argument("--cell", action="append", required=True, help="a cell that can be built from it")
    verifying = commands.add_parser("verify", help="read every byte and print what is wrong")
    verifying.add_argument("bundle", type=Path)
    comparing = commands.add_parser("diff", help="print the files that differ")
    comparing.add_argument("one", type=Path)
    comparing.add_argument("other", type=Path)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Make, verify or compare; return the exit status: 0, 1 for a problem, 2 for a wrong call (argparse)."""
    options = parse(argv)
    try:
        if options.command == "make":
            print(describe(make(options.out, options.collected, options.sources, options.cell)))
            return 0
        if options.command == "verify":
            problems = verify(options.bundle)
            print("\n".join(problems) if problems else f"whole: {describe(manifest_of(options.bundle))}")
            return 1 if problems else 0
        lines = diff(manifest_of(options.one), manifest_of(options.other))
        print("\n".join(lines) if lines else "the same")
    except (BundleError, OSError, subprocess.CalledProcessError) as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
