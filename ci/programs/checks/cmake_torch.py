"""Check that CMake finds the CUDA toolkit with its libraries, and with --torch also PyTorch, and that programs link.

torch's files for CMake refuse a compiler of another CUDA version than the headers': without --torch they are left out.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check

TARGETS = ("cudart", "cublas", "cufft", "curand", "cusolver", "cusparse", "nvrtc", "cuda_driver")
PROJECT = """\
cmake_minimum_required(VERSION 3.18)
project(checked LANGUAGES CXX)
find_package(CUDAToolkit REQUIRED)
add_executable(toolkit main.cpp)
target_link_libraries(toolkit PRIVATE {targets})
"""
TORCH = """\
find_package(Torch REQUIRED)
add_executable(model main.cpp)
target_link_libraries(model PRIVATE ${TORCH_LIBRARIES})
"""


def run(words: list[str]) -> None:
    """Run CMake.

    Raises:
        CheckError: it fails; with what it says after its first `Error`.
    """
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        text = done.stdout + done.stderr
        at = max(text.find("Error"), 0)
        raise CheckError(f"{' '.join(words[:2])}: {text[at : at + 500]}")


def check() -> Facts:
    """Configure and build a project."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--archs", default="8.0", help="GPUs that torch's files set flags for")
    parser.add_argument("--project", help="the project's text instead of the usual")
    options = parser.parse_args()
    require(shutil.which("cmake") is not None, "no cmake")
    text = PROJECT.format(targets=" ".join(f"CUDA::{name}" for name in TARGETS))
    words = []
    if options.torch:
        program = "import torch; print(torch.utils.cmake_prefix_path)"
        found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        require(found.returncode == 0, f"no torch: {found.stderr.strip()[-200:]}")
        text += TORCH
        words = [f"-DCMAKE_PREFIX_PATH={found.stdout.strip()}", f"-DTORCH_CUDA_ARCH_LIST={options.archs}"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "main.cpp").write_text("int main() { return 0; }\n", "utf-8")
        (folder / "CMakeLists.txt").write_text(options.project or text, "utf-8")
        run(["cmake", "-S", str(folder), "-B", str(folder / "build"), *words])
        run(["cmake", "--build", str(folder / "build")])
    return {"targets": len(TARGETS), "torch": options.torch}


if __name__ == "__main__":
    run_check(check)
