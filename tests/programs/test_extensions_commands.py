"""extensions/commands.py, tasks.py: command lines that two Pythons share, both ways compiled by real compilers."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import compile_wheels
from extensions import commands

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
    found = commands.with_torch_at(WORDS, Path("/env/torch"), Path("/work/torch"))
    assert commands.include_folders(found) == ["csrc", "/work/torch/include", "/env/include/python3.14"]


def test_narrow_headers_come_before_all_others() -> None:
    folders = commands.include_folders(commands.with_headers_first(WORDS, Path("/narrow")))
    assert folders == ["/narrow", "csrc", "/env/torch/include", "/env/include/python3.14"]


# ---- a small package compiled by nvcc and g++ against a real torch -------------------------------------------------

PYTHON, CUDA_HOME = os.environ.get("CSLR_TEST_TORCH_PYTHON", ""), os.environ.get("CSLR_TEST_CUDA_HOME", "")
SETUP = """
from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension
setup(
    name="twice", version="1.0", packages=["twice"],
    ext_modules=[CUDAExtension("twice._ops", ["csrc/ops.cpp", "csrc/twice.cu"])],
    cmdclass={"build_ext": BuildExtension.with_options(no_python_abi_suffix=True)},
)
"""
OPS = """
#include <Python.h>
#include <torch/script.h>
torch::Tensor twice_cuda(torch::Tensor x);
torch::Tensor twice(torch::Tensor x) {
  return x.is_cuda() ? twice_cuda(x) : torch::cat({x, torch::zeros_like(x)}).mul(2).slice(0, 0, x.size(0));
}
static auto registry = torch::RegisterOperators().op("twice::twice", &twice);
"""
KERNEL = """
#include <ATen/cuda/CUDAContext.h>
#include <torch/torch.h>
template <typename T> __global__ void kernel(const T *in, T *out, int64_t n) {
  int64_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = in[i] + in[i];
}
torch::Tensor twice_cuda(torch::Tensor x) {
  auto out = torch::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES_AND_HALF(x.scalar_type(), "twice", [&] {
    kernel<scalar_t><<<(x.numel() + 255) / 256, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
        x.data_ptr<scalar_t>(), out.data_ptr<scalar_t>(), x.numel());
  });
  return out;
}
"""
LOAD = """
import sys, torch
torch.ops.load_library(sys.argv[1])
print(torch.ops.twice.twice(torch.tensor([3.0])).item())
print(*sorted(s for s in map(str, torch._C._jit_get_all_schemas()) if s.startswith("twice::")), sep="\\n")
"""


@pytest.mark.skipif(
    not (PYTHON and CUDA_HOME),
    reason="CSLR_TEST_TORCH_PYTHON and CSLR_TEST_CUDA_HOME name no Python and toolkit",
)
def test_both_headers_give_the_same_device_code_and_operators(tmp_path: Path) -> None:
    top = tmp_path / "twice-1.0"
    for name, text in {
        "setup.py": SETUP,
        "csrc/ops.cpp": OPS,
        "csrc/twice.cu": KERNEL,
        "twice/__init__.py": "",
    }.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text, encoding="utf-8")
    (tmp_path / "sdists").mkdir()
    with tarfile.open(tmp_path / "sdists/twice-1.0.tar.gz", "w:gz") as tar:
        tar.add(top, "twice-1.0")
    found = {}
    for way in ("", "--full-headers"):
        out = tmp_path / f"out{way}"
        command = [
            PYTHON,
            compile_wheels.__file__,
            "--sdists",
            tmp_path / "sdists",
            "--work",
            tmp_path / "work",
        ]
        command += [
            "--cuda-home",
            CUDA_HOME,
            "--arch-list",
            "8.0+PTX",
            "--no-ccache",
            "--out",
            out,
            *way.split(),
        ]
        subprocess.run([str(word) for word in command], check=True)
        headers = json.loads((out / "report.json").read_text(encoding="utf-8"))["headers"]
        assert headers == ({"narrow": 0, "full": 2} if way else {"narrow": 2, "full": 0})
        (module,) = (tmp_path / "work/build/twice/lib/twice").glob("_ops*.so")
        (made,) = (tmp_path / "work/build/twice").glob("temp*/csrc/twice.o")
        section = tmp_path / "section"
        copy = ["objcopy", "-O", "binary", "--only-section=.nv_fatbin", made, section]
        subprocess.run([str(word) for word in copy], check=True)
        undefined = subprocess.run(["nm", "-DCu", module], check=True, capture_output=True, text=True).stdout
        loaded = subprocess.run(
            [PYTHON, "-c", LOAD, module], check=True, capture_output=True, text=True
        ).stdout
        code = section.read_bytes()
        assert len(code) > 1000
        found[way] = (hashlib.sha256(code).hexdigest(), set(re.findall(r"at::_ops::\S+", undefined)), loaded)
    assert found[""] == found["--full-headers"]
    assert found[""][2].startswith("6.0\ntwice::twice(")


def test_this_python_s_own_folders_are_known() -> None:
    assert f"python{sys.version_info[0]}.{sys.version_info[1]}" in " ".join(commands.python_includes())
