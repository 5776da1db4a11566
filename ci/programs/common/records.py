"""Keep the lists of files of Python packages (`*.dist-info/RECORD`) true when files change or go."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Set


def update_records(
    records: Iterable[Path], *, changed: Set[Path] = frozenset(), removed: Set[Path] = frozenset()
) -> int:
    """Renew hash and size of changed files, and leave out removed ones; return how many lines that were.

    Paths are absolute, in folders without symbolic links; `changed` are files that exist. Lines without a hash
    (RECORD's own, compiled files) are kept. A RECORD keeps its mode, owner and times, and becomes a file of its own:
    a hard link to a package cache is not written through.
    """
    return sum(_update(record, changed, removed) for record in sorted(records))


def record_hash(path: Path) -> str:
    """Return a file's hash as RECORD has it: SHA-256 in URL-safe base64 without padding."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _update(record: Path, changed: Set[Path], removed: Set[Path]) -> int:
    site = record.parent.parent
    lines = record.read_text("utf-8").splitlines(keepends=True)
    fresh, count = [], 0
    for line in lines:
        row = next(csv.reader([line]), [])
        path = _real_path(site, row[0]) if row else None
        if path is not None and path in removed:
            count += 1
        elif path is not None and _real_file(path) in changed and len(row) == 3 and row[1]:
            fresh.append(_line([row[0], record_hash(path), path.stat().st_size]))
            count += 1
        else:
            fresh.append(line)
    if fresh != lines:
        replace_text(record, "".join(fresh))
    return count


def _real_path(site: Path, name: str) -> Path:
    """Return the path of a RECORD's entry; packages may be reached through a link to their folder."""
    folder, base = os.path.split(name)
    return Path(_real_folder(str(site / folder)), base)


def _real_file(path: Path) -> Path:
    """Return the file that a path leads to; a package's file may be a link."""
    return path.resolve() if path.is_symlink() else path


@cache
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _line(row: list[str | int]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(row)
    return out.getvalue()


def replace_text(record: Path, text: str) -> None:
    """Write a list of files anew, with the mode, owner and times that it has; a hard link is not written through."""
    partial = record.with_name(f"{record.name}.partial")
    partial.write_text(text, "utf-8")
    status = record.stat()
    os.chown(partial, status.st_uid, status.st_gid)
    shutil.copystat(record, partial)
    partial.replace(record)
