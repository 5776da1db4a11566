"""BENCHMARKS.md: each benchmark writes its own part and leaves the others as they are."""

import os
import platform
import re

from tests.engine.conftest import ROOT

PAGE = ROOT / "BENCHMARKS.md"
HEAD = """# Benchmarks

Written by the programs in `tests/bench`; every number was measured on the machine that it names.
"""


def put(name: str, text: str, after: str = "") -> None:
    """Write a part of the page, in place of its former text, or behind another part, or at the end."""
    part = f"<!-- {name}: begin -->\n{text.strip()}\n<!-- {name}: end -->\n"
    page = PAGE.read_text("utf-8") if PAGE.exists() else HEAD
    former = re.compile(rf"<!-- {re.escape(name)}: begin -->.*<!-- {re.escape(name)}: end -->\n", re.DOTALL)
    ahead = f"<!-- {after}: end -->\n"
    if former.search(page):
        page = former.sub(lambda _: part, page)
    elif after and ahead in page:
        page = page.replace(ahead, f"{ahead}\n{part}")
    else:
        page = f"{page}\n{part}"
    PAGE.write_text(page, "utf-8")


def machine() -> str:
    """Name the machine's size."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores, {memory:.0f} GB of memory, {platform.system()}"
