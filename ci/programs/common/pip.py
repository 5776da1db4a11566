"""Let pip say why an index did not answer: of such an index it says only that it has no such package."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def explain_pip() -> Iterator[list[str]]:
    """Yield options for pip; if the block in which it runs fails, print which addresses could not be fetched."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "pip.log"
        try:
            yield ["--log", str(log)]
        except Exception:
            if log.exists():
                said = log.read_text(encoding="utf-8", errors="replace")
                print("\n".join(re.findall(r"Could not fetch URL .*", said)), file=sys.stderr)
            raise
