"""The CUDA code inside the compiled extensions is for the GPUs that the image promised.

A module's .nv_fatbin section is a row of containers (magic number, header, entries); an entry's header says whether
it is machine code or PTX, and for which architecture. It is read here: a runtime image need not have cuobjdump.
"""

from __future__ import annotations

import argparse
import re
import struct
from importlib import metadata
from pathlib import Path

from promise import Facts, PromiseError, keep

EXTENSIONS = ("torch-scatter", "torch-sparse", "torch-cluster", "torch-spline-conv")
MAGIC = struct.pack("<IH", 0xBA55ED50, 1)
PTX, CUBIN = 1, 2


def section(data: bytes, wanted: bytes) -> bytes:
    """The contents of a section of a 64-bit little-endian ELF file; empty where there is none."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise PromiseError("not a 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<HHH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", data, table + index * size) for index in range(count)]
    for name, _, _, _, offset, length in headers:
        start = headers[names][4] + name
        if data[start : start + len(wanted) + 1] == wanted + b"\0":
            return data[offset : offset + length]
    return b""


def architectures(fatbin: bytes) -> set[str]:
    """sm_80 for machine code, compute_80 for PTX."""
    found, start = set(), fatbin.find(MAGIC)
    while start >= 0:
        header, length = struct.unpack_from("<HQ", fatbin, start + 6)
        entry, end = start + header, start + header + length
        while entry < end:
            kind, _, size, payload = struct.unpack_from("<HHIQ", fatbin, entry)
            (number,) = struct.unpack_from("<I", fatbin, entry + 28)
            if kind in (PTX, CUBIN):
                found.add(f"{'compute' if kind == PTX else 'sm'}_{number}")
            entry += size + payload
        start = fatbin.find(MAGIC, end)
    return found


def promised(arch_list: str) -> set[str]:
    """What a TORCH_CUDA_ARCH_LIST such as '8.0;9.0+PTX' stands for."""
    wanted = set()
    for word in re.split(r"[;\s]+", arch_list.strip()):
        match = re.fullmatch(r"(\d+)\.(\d)[af]?(\+PTX)?", word)
        if not match:
            raise PromiseError(f"{word!r} in the list of architectures: not like 8.0 or 9.0+PTX")
        wanted.add(f"sm_{match[1]}{match[2]}")
        if match[3]:
            wanted.add(f"compute_{match[1]}{match[2]}")
    return wanted


def modules(package: str) -> list[Path]:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise PromiseError(f"{package} is not installed") from error
    return sorted(Path(str(file.locate())) for file in files if file.name.endswith("_cuda.so"))


def check() -> Facts:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extensions", nargs="*", default=EXTENSIONS)
    parser.add_argument(
        "--expect", default="", metavar="ARCH_LIST", help="e.g. '8.0;9.0+PTX'; without it they are only read"
    )
    options = parser.parse_args()
    facts: dict[str, list[str]] = {}
    for package in options.extensions:
        for path in modules(package):
            found = architectures(section(path.read_bytes(), b".nv_fatbin"))
            if not found:
                continue  # a module of host code only, like _version_cuda.so
            if options.expect and found != promised(options.expect):
                raise PromiseError(
                    f"{path.name} of {package} is for {' '.join(sorted(found))}, not for {options.expect}"
                )
            facts[package] = sorted(found.union(facts.get(package, ())))
        if package not in facts:
            raise PromiseError(f"{package} has no CUDA code")
    return {"architectures": facts}


if __name__ == "__main__":
    keep(check)
