"""A profiler finds names: torch's libraries have their symbols, and torch's own profiler sees an operator."""

from __future__ import annotations

import argparse
import struct
from importlib.util import find_spec
from pathlib import Path

from promise import Facts, PromiseError, expect, keep

SYMTAB = 2  # the type of a section that holds all symbols; .dynsym, which strip leaves, has another


def symbols(library: Path) -> int:
    """Count the entries of a library's symbol table, 0 where it was stripped."""
    with library.open("rb") as data:
        head = data.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            raise PromiseError(f"{library} is not a 64-bit ELF file")
        (table,) = struct.unpack_from("<Q", head, 0x28)
        size, count = struct.unpack_from("<HH", head, 0x3A)
        data.seek(table)
        sections = data.read(size * count)
    for start in range(0, size * count, size):
        kind, _, _, _, length, _, _, _, entry = struct.unpack_from("<IQQQQIIQQ", sections, start + 4)
        if kind == SYMTAB and entry:
            return int(length // entry)
    return 0


def profiled() -> list[str]:
    """Return the operators that torch's profiler sees."""
    import torch  # type: ignore[import-not-found,unused-ignore]
    from torch.profiler import (  # type: ignore[import-not-found,unused-ignore]
        ProfilerActivity,
        profile,
    )

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        torch.ones(8, 8) @ torch.ones(8, 8)
    return [event.key for event in seen.key_averages()]


def check() -> Facts:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("libraries", nargs="*", type=Path, help="default: torch's")
    chosen: list[Path] = parser.parse_args().libraries
    operators: list[str] = []
    libraries = chosen
    if not libraries:
        spec = find_spec("torch")
        expect(spec is not None and spec.origin is not None, "no torch")
        folder = Path(str(spec and spec.origin)).parent / "lib"
        libraries = [
            one for name in ("libtorch_cpu.so", "libtorch_cuda.so") if (one := folder / name).exists()
        ]
        operators = profiled()
        expect("aten::mm" in operators, f"torch's profiler saw {', '.join(operators) or 'nothing'}")
    found = {one.name: symbols(one) for one in libraries}
    bare = [name for name, count in found.items() if not count]
    expect(not bare, f"no symbols in {', '.join(bare)}")
    expect(bool(found), "no libraries")
    return {"symbols": found, "operators": len(operators)}


if __name__ == "__main__":
    keep(check)
