"""Read for which GPU architectures a library holds CUDA code, and lists of architectures as torch writes them.

The section .nv_fatbin is a row of containers (magic number, header, entries); an entry's header says whether it is
machine code (`sm_80`) or PTX (`compute_80`), and for which architecture.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap

SECTION = ".nv_fatbin"
_MAGIC = struct.pack("<IH", 0xBA55ED50, 1)
_PTX, _CUBIN = 1, 2
_ENTRY = 64  # bytes of an entry's header


def count_code(data: bytes | mmap.mmap, start: int = 0, length: int | None = None) -> Counter[str]:
    """Return the bytes of CUDA code by architecture, in a part of a file."""
    found: Counter[str] = Counter()
    stop = len(data) if length is None else min(start + length, len(data))
    at = data.find(_MAGIC, start, stop)
    while 0 <= at <= stop - 16:
        header, total = struct.unpack_from("<HQ", data, at + 6)
        entry, end = at + header, min(at + header + total, stop)
        while entry + _ENTRY <= end:
            kind, _, size, payload = struct.unpack_from("<HHIQ", data, entry)
            (number,) = struct.unpack_from("<I", data, entry + 28)
            if not size:
                break
            if kind in (_PTX, _CUBIN):
                found[f"{'compute' if kind == _PTX else 'sm'}_{number}"] += size + payload
            entry += size + payload
        at = data.find(_MAGIC, max(end, at + 1), stop)
    return found


def parse_architectures(arch_list: str) -> set[str]:
    """Return the architectures of a TORCH_CUDA_ARCH_LIST.

    >>> sorted(parse_architectures("8.0;9.0+PTX"))
    ['compute_90', 'sm_80', 'sm_90']

    Raises:
        ValueError: A word is not an architecture; the message quotes it.
    """
    found = set()
    for word in re.split(r"[;\s]+", arch_list.strip()):
        match = re.fullmatch(r"(\d+)\.(\d)[af]?(\+PTX)?", word)
        if not match:
            raise ValueError(f"{word!r} in the list of architectures: not like 8.0 or 9.0+PTX")
        found.add(f"sm_{match[1]}{match[2]}")
        if match[3]:
            found.add(f"compute_{match[1]}{match[2]}")
    return found
