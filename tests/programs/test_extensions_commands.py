"""extensions/commands.py, tasks.py: command lines that two Pythons share, both ways compiled by real compilers."""

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import compile_wheels
from extensions import commands
from tests.stand_ins.wheel_parts import nvcc_and_torch

WORDS = (
    *("g++", "-Wall", "-g", "-O3", "-fdebug-prefix-map=/a=/b", "-fPIC", "-Werror=format", "-Wl,-x"),
    *("-DX", "-Icsrc", "-I/env/torch/include", "-I/env/include/python3.14"),
    *("-c", "csrc/a.cpp", "-o", "a.o", "-Wno-sign-compare"),
)


def test_what_names_python_is_left_out() -> None:
    kept = commands.without_python(WORDS, {"/env/include/python3.14"})
    left_out = {"-Wall", "-g", "-fdebug-prefix-map=/a=/b", "-I/env/include/python3.14"}
    assert kept == tuple(word for word in WORDS if word not in left_out)


def test_torch_is_found_at_a_path_that_does_not_name_python() -> None:
    found = commands.with_torch_at(WORDS, Path("/env/torch"), Path("/link/torch"))
    assert commands.include_folders(found) == ["csrc", "/link/torch/include", "/env/include/python3.14"]


def test_narrow_headers_come_before_all_others() -> None:
    folders = commands.include_folders(commands.with_headers_first(WORDS, Path("/narrow")))
    assert folders == ["/narrow", "csrc", "/env/torch/include", "/env/include/python3.14"]


# ---- a small package compiled by nvcc and g++ with torch's real headers --------------------------------------------

SETUP = """
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension
setup(
    name="twice", version="1.0", packages=["twice"],
    ext_modules=[CUDAExtension("twice._ops", ["csrc/wide.cpp", "csrc/twice.cu"])],
    cmdclass={"build_ext": BuildExtension.with_options(no_python_abi_suffix=True)},
)
"""
# No header has the name of this operator: with narrow headers it is unknown.
WIDE = """
#include <Python.h>
#include <torch/types.h>
torch::Tensor &square_out(torch::Tensor &out, torch::Tensor x) { return at::matmul_out(out, x, x); }
"""
KERNEL = """
#include <Python.h>
#include <torch/types.h>
template <typename T> __global__ void kernel(const T *in, T *out, int64_t n) {
  int64_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = in[i] + in[i];
}
torch::Tensor twice(torch::Tensor x) {
  if (!x.is_cuda()) return torch::cat({x, torch::zeros_like(x)}).mul(2).slice(0, 0, x.size(0));
  auto out = torch::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "twice", [&] {
    kernel<scalar_t><<<(x.numel() + 255) / 256, 256>>>(x.data_ptr<scalar_t>(), out.data_ptr<scalar_t>(), x.numel());
  });
  return out;
}
"""


def device_code(made: Path) -> bytes:
    """Return an object's GPU code."""
    section = made.with_suffix(".section")
    words = ["objcopy", "-O", "binary", "--only-section=.nv_fatbin", str(made), str(section)]
    subprocess.run(words, check=True)
    return section.read_bytes()


def called_operators(made: Path) -> set[str]:
    """Return the operators of torch that an object calls, with their overloads."""
    done = subprocess.run(["nm", "-Cu", str(made)], check=True, capture_output=True, text=True)
    return set(re.findall(r"at::_ops::\S+", done.stdout))


def compile_twice(work: Path, way: str, *words: str) -> tuple[dict[str, Path], dict[str, Any], str]:
    """Compile the sources of the package; return the objects by the source's name, the report, and what was printed."""
    top, real = work / "twice-1.0", nvcc_and_torch()
    texts = {"setup.py": SETUP, "csrc/wide.cpp": WIDE, "csrc/twice.cu": KERNEL}
    for name, text in texts.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text, encoding="utf-8")
    (work / "sdists").mkdir(exist_ok=True)
    with tarfile.open(work / "sdists/twice-1.0.tar.gz", "w:gz") as tar:
        tar.add(top, "twice-1.0")
    command = [sys.executable, compile_wheels.__file__, "--sdists", work / "sdists", "--work", work / "work"]
    command += ["--cuda-home", real / "nvidia/cu13", "--arch-list", "8.0+PTX", "--no-ccache", "--only", "*"]
    command += ["--out", work / "out", *words]
    env = {**os.environ, "PYTHONPATH": str(real), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(w) for w in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    (made,) = (work / "work/build/twice").glob("temp*/csrc")
    objects = {one.stem: one for one in made.rename(work / way).glob("*.o")}
    return objects, json.loads((work / "out/report.json").read_text(encoding="utf-8")), done.stdout


def test_both_headers_give_the_same_device_code_and_operators(tmp_path: Path) -> None:
    ways = {"narrow": (), "full": ("--full-headers", "--only", "*.cu")}
    # In the same folder: nvcc puts a digest of the path into names of the GPU code.
    done = [compile_twice(tmp_path, way, *words) for way, words in ways.items()]
    (narrow, report, printed), (full, other, _) = done
    # What does not compile with narrow headers is compiled with torch's own, and counted so.
    assert report["objects"] == {"narrow": 1, "full": 1, "cached": 0}
    kinds = {one["source"]: one["kind"] for one in report["compiled"]}
    assert kinds == {"csrc/twice.cu": "cu", "csrc/wide.cpp": "full_cpp"}
    assert re.search(r"wide.cpp \d+ s, not with narrow headers,", printed)
    assert "at::_ops::matmul_out::call" in str(called_operators(narrow["wide"]))
    assert other["objects"] == {"narrow": 0, "full": 1, "cached": 0}
    assert len(device_code(full["twice"])) > 1000
    assert device_code(narrow["twice"]) == device_code(full["twice"])
    assert "at::_ops::slice_Tensor::call" in str(called_operators(full["twice"]))
    assert called_operators(narrow["twice"]) == called_operators(full["twice"])


def test_this_python_s_own_folders_are_known() -> None:
    assert f"python{sys.version_info[0]}.{sys.version_info[1]}" in " ".join(commands.python_includes())
