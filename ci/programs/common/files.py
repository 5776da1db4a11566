"""Hash files, and read the time that reproducible files get."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:  # noqa: PTH123 - also called for tens of thousands of plain strings
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_date_epoch() -> int | None:
    """Return the time in seconds that SOURCE_DATE_EPOCH sets for all files, or None if it is unset or empty."""
    value = os.environ.get("SOURCE_DATE_EPOCH")
    return int(value) if value else None
