"""Check that Triton compiles a kernel to machine code for a GPU, which need not exist here."""

from __future__ import annotations

import argparse
import os
import tempfile

import triton  # type: ignore[import-not-found,unused-ignore]
import triton.language as tl  # type: ignore[import-not-found,unused-ignore]
from check import Facts, require, run_check
from triton.backends.compiler import GPUTarget  # type: ignore[import-not-found,unused-ignore]
from triton.compiler import ASTSource  # type: ignore[import-not-found,unused-ignore]


@triton.jit  # type: ignore[misc,untyped-decorator,unused-ignore]
def add(x, y, out, n, block: tl.constexpr):  # type: ignore[no-untyped-def]
    at = tl.program_id(0) * block + tl.arange(0, block)
    inside = at < n
    tl.store(out + at, tl.load(x + at, mask=inside) + tl.load(y + at, mask=inside), mask=inside)


def check() -> Facts:
    """Compile a kernel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capability", type=int, default=80, help="of the GPU: 80 for sm_80")
    target = GPUTarget("cuda", parser.parse_args().capability, 32)
    kinds = {"x": "*fp32", "y": "*fp32", "out": "*fp32", "n": "i32", "block": "constexpr"}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRITON_CACHE_DIR"] = folder  # an empty cache
        source = ASTSource(fn=add, signature=kinds, constexprs={"block": 128})
        found = triton.compile(source, target=target).asm
        cubin, ptx = found.get("cubin", b""), found.get("ptx", "")
    require(cubin[:4] == b"\x7fELF", f"no machine code among {', '.join(found)}")
    return {"triton": triton.__version__, "cubin": len(cubin), "ptx": len(ptx)}


if __name__ == "__main__":
    run_check(check)
