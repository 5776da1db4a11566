"""Find macros whose presence could change what a source means without an error, and guard narrow headers with them.

A source may ask `#if CUDA_VERSION < 8000`: where no header defined the macro, it counts as 0 and nothing tells it. For
every macro in such a condition that torch's own headers define, narrow headers refuse to be used without it.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

_DEFINED_IN = {"CUDA_VERSION": "cuda.h"}  # headers that are cheap to include
_CONDITION = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b((?:\\\n|[^\n])*)", re.MULTILINE)
_NAME = re.compile(r"\b[A-Za-z_]\w*")
_DEFINE = re.compile(r"^#define[ \t]+(\w+)", re.MULTILINE)


def names_in_conditions(text: str) -> set[str]:
    """Return the names that a source's conditions ask for, without those of the compiler (`__…`).

    >>> sorted(names_in_conditions("#if defined(A) && B < 3\\n#ifdef __CUDA_ARCH__\\nint c;"))
    ['A', 'B']
    """
    found = {name for condition in _CONDITION.findall(text) for name in _NAME.findall(condition)}
    return {name for name in found if not name.startswith("__")} - {"defined"}


def guard(names: Collection[str]) -> str:
    """Return lines for the end of a narrow header that define macros, or stop the compiler where one is not defined."""
    headers = "".join(f"#include <{header}>\n" for name, header in _DEFINED_IN.items() if name in set(names))
    return headers + "".join(
        f"#ifndef {name}\n#error torch's own headers define {name}, which this source asks for\n#endif\n"
        for name in sorted(names)
    )


def probe_command(words: Sequence[str], probe: Path, out: Path, cuda: bool) -> list[str]:
    """Return an object's command, changed so that it lists the macros after the source `probe`, in the file `out`."""
    kept = list(words)
    kept[kept.index("-c") + 1] = str(probe)
    kept[kept.index("-c")] = "-E"
    kept[kept.index("-o") + 1] = str(out)
    return [*kept, *(("-Xcompiler", "-dM") if cuda else ("-dM",))]


def read_macros(
    command: Sequence[str], cwd: Path, out: Path, env: Mapping[str, str]
) -> frozenset[str] | None:
    """Run a command of `probe_command`; return the names of all macros, or None if it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False)
    if done.returncode:
        return None
    return frozenset(_DEFINE.findall(out.read_text(encoding="utf-8", errors="replace")))
