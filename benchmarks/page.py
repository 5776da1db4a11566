"""BENCHMARKS.md: each benchmark writes its own part and leaves the others as they are."""

import os
import platform
import re

from tests.engine.conftest import ROOT

PAGE = ROOT / "BENCHMARKS.md"
HEAD = """# Benchmarks

Written by the programs in `benchmarks`; every number was measured on the machine that it names.
"""


def marked(name: str) -> re.Pattern[str]:
    """Return the pattern of a part with its marks; its group is the text between them."""
    return re.compile(rf"<!-- {re.escape(name)}: begin -->\n(.*)<!-- {re.escape(name)}: end -->\n", re.DOTALL)


def part_of_page(name: str) -> str:
    """Return the text of a part, empty where the page has none."""
    found = marked(name).search(PAGE.read_text("utf-8"))
    return found[1] if found else ""


def put(name: str, text: str, after: str = "") -> None:
    """Write a part of the page, in place of its former text, or behind another part, or at the end."""
    part = f"<!-- {name}: begin -->\n{text.strip()}\n<!-- {name}: end -->\n"
    page = PAGE.read_text("utf-8") if PAGE.exists() else HEAD
    former = marked(name)
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
