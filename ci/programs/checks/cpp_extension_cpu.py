"""Check that a user can compile and load a C++ extension of torch."""

from __future__ import annotations

import tempfile

import torch  # type: ignore[import-not-found,unused-ignore]
from check import Facts, require, run_check
from torch.utils.cpp_extension import load_inline  # type: ignore[import-not-found,unused-ignore]

SOURCE = "torch::Tensor twice_plus(torch::Tensor x, double y) { return 2 * x + y; }"


def check() -> Facts:
    """Compile an extension and call it."""
    with tempfile.TemporaryDirectory() as folder:
        module = load_inline("check_cpu", SOURCE, functions=["twice_plus"], build_directory=folder)
        found = module.twice_plus(torch.tensor([1.0, 2.0]), 0.5)
    require(found.tolist() == [2.5, 4.5], f"twice_plus gives {found.tolist()}")
    return {"result": found.tolist()}


if __name__ == "__main__":
    run_check(check)
