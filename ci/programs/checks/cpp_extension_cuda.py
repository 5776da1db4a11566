"""Check that a user can compile, link and load a CUDA extension of torch; with a GPU, that it runs."""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
from typing import Any

import torch  # type: ignore[import-not-found,unused-ignore]
from check import CheckError, Facts, require, run_check

DECLARATION = "#include <torch/extension.h>\nat::Tensor twice(at::Tensor x);"
SOURCE = """
#include <ATen/core/Tensor.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/empty_like.h>

__global__ void double_all(const float *in, float *out, int64_t n) {
    int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (i < n) out[i] = 2 * in[i];
}

at::Tensor twice(at::Tensor x) {
    TORCH_CHECK(x.is_cuda(), "not on a GPU");
    auto out = at::empty_like(x);
    double_all<<<(x.numel() + 255) / 256, 256, 0, at::cuda::getCurrentCUDAStream()>>>(
        x.data_ptr<float>(), out.data_ptr<float>(), x.numel());
    return out;
}
"""


def check() -> Facts:
    """Compile an extension and call it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expect", help="the GPU architectures that the image must say it is built for")
    expected, found = parser.parse_args().expect, os.environ.get("TORCH_CUDA_ARCH_LIST")
    # Without it torch asks the GPU, and where people build there is none.
    require(found == expected, f"TORCH_CUDA_ARCH_LIST is {found}, not {expected}")
    extension: Any = importlib.import_module("torch.utils.cpp_extension")

    if not extension.CUDA_HOME:
        raise CheckError("torch finds no CUDA toolkit: CUDA_HOME is not set and nvcc is not on PATH")
    with tempfile.TemporaryDirectory() as folder:
        # With the implicit headers nvcc would read all of torch several times, for minutes.
        module = extension.load_inline(
            "check_cuda",
            DECLARATION,
            SOURCE,
            functions=["twice"],
            build_directory=folder,
            no_implicit_headers=True,
        )
    if torch.cuda.is_available():
        found = module.twice(torch.tensor([1.0, 2.5], device="cuda")).tolist()
        require(found == [2.0, 5.0], f"the kernel gives {found}")
        return {"cuda_home": extension.CUDA_HOME, "ran_on": torch.cuda.get_device_name()}
    try:
        module.twice(torch.tensor([1.0]))
    except RuntimeError as error:  # raised by the loaded code
        require("not on a GPU" in str(error), str(error))
    return {"cuda_home": extension.CUDA_HOME, "ran_on": None}


if __name__ == "__main__":
    run_check(check)
