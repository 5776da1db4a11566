"""Check that programs link against CUDA's libraries by their plain names, and find them and their headers."""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check

# Each library with a function of it.
FUNCTIONS = {
    "cublas": "cublasCreate_v2",
    "cublasLt": "cublasLtGetVersion",
    "cudart": "cudaRuntimeGetVersion",
    "cudnn": "cudnnGetVersion",
    "cufft": "cufftGetVersion",
    "curand": "curandGetVersion",
    "cusolver": "cusolverGetVersion",
    "cusparse": "cusparseCreate",
    "nccl": "ncclGetVersion",
    "nvrtc": "nvrtcVersion",
}
HEADERS = ("cublas_v2.h", "cuda_runtime_api.h", "cudnn.h", "curand.h", "cusparse.h", "nccl.h", "nvrtc.h")
# The driver's library is a stub where no GPU is: a program links against it, and cannot run.
DRIVER = {"cuda": "cuInit"}


def link(compiler: str, folder: Path, functions: dict[str, str], env: dict[str, str]) -> Path:
    """Link a program that holds the address of each function.

    Raises:
        CheckError: the linker does not find something.
    """
    source, program = folder / "main.c", folder / "main"
    declared = "".join(f"extern int {name}();\n" for name in functions.values())
    uses = " + ".join(f"(long){name}" for name in functions.values())
    source.write_text(
        f"{declared}int main(void) {{ volatile long all = {uses}; return all == 0; }}\n", "utf-8"
    )
    words = [compiler, str(source), "-o", str(program), *(f"-l{name}" for name in functions)]
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "cannot find" in line or "undefined" in line]
        raise CheckError("; ".join(lines[:3] or done.stderr.strip().splitlines()[-2:]))
    return program


def check_headers(compiler: str, folder: Path, home: Path, headers: list[str]) -> None:
    """Include each header.

    Raises:
        CheckError: one is not there.
    """
    source = folder / "headers.c"
    source.write_text("".join(f"#include <{name}>\n" for name in headers), "utf-8")
    words = [compiler, "-E", "-I", str(home / "include"), str(source), "-o", "/dev/null"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise CheckError(done.stderr.strip().splitlines()[0])


def check() -> Facts:
    """Link with the image's variables, and without any as a build system may do; run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", default="gcc")
    parser.add_argument("--functions", nargs="+", metavar="LIBRARY=FUNCTION", help="instead of CUDA's")
    parser.add_argument("--headers", nargs="*", default=list(HEADERS))
    options = parser.parse_args()
    home = Path(os.environ.get("CUDA_HOME") or "/usr/local/cuda")
    require((home / "lib64").is_dir(), f"no {home}/lib64")
    given = dict(pair.split("=", 1) for pair in options.functions or ())
    functions, driver = given or FUNCTIONS, {} if given else DRIVER
    bare = {"PATH": os.environ["PATH"]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_headers(options.compiler, folder, home, options.headers)
        link(options.compiler, folder, functions | driver, dict(os.environ))
        program = link(options.compiler, folder, functions, bare)
        done = subprocess.run([str(program)], env=bare, capture_output=True, text=True)
        require(done.returncode == 0, f"the program does not start: {done.stderr.strip()}")
    return {"libraries": [*functions, *driver], "headers": len(options.headers)}


if __name__ == "__main__":
    run_check(check)
