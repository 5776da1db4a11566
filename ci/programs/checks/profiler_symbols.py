"""Check that profilers find names: torch's libraries have symbols, and torch's profiler sees an operator."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from check import CheckError, Facts, require, run_check

from common.elf import SHT_SYMTAB, NotElfError, read_elf


def count_symbols(library: Path) -> int:
    """Return the number of entries of a library's symbol table, 0 if it was stripped (strip keeps .dynsym)."""
    try:
        sections = read_elf(library).sections
    except NotElfError as error:
        raise CheckError(f"{library}: {error}") from error
    return sum(section.entries for section in sections if section.kind == SHT_SYMTAB)


def profile_operators() -> list[str]:
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
    """Count the symbols of the libraries, and profile an operator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("libraries", nargs="*", type=Path, help="default: torch's")
    chosen: list[Path] = parser.parse_args().libraries
    operators: list[str] = []
    libraries = chosen
    if not libraries:
        spec = find_spec("torch")
        require(spec is not None and spec.origin is not None, "no torch")
        folder = Path(str(spec and spec.origin)).parent / "lib"
        libraries = [
            path for name in ("libtorch_cpu.so", "libtorch_cuda.so") if (path := folder / name).exists()
        ]
        operators = profile_operators()
        require("aten::mm" in operators, f"torch's profiler saw {', '.join(operators) or 'nothing'}")
    found = {library.name: count_symbols(library) for library in libraries}
    bare = [name for name, count in found.items() if not count]
    require(not bare, f"no symbols in {', '.join(bare)}")
    require(bool(found), "no libraries")
    return {"symbols": found, "operators": len(operators)}


if __name__ == "__main__":
    run_check(check)
