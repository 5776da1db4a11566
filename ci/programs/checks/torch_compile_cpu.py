"""Check that torch.compile makes and runs native code on the CPU."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from check import Facts, require, run_check


def check() -> Facts:
    """Compile a formula and evaluate it."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder  # an empty cache
        import torch  # type: ignore[import-not-found,unused-ignore]

        def formula(x: torch.Tensor) -> torch.Tensor:
            return (x.sin() ** 2 + x.cos() ** 2).sum(dim=1)

        compiled = torch.compile(formula, fullgraph=True)
        found = compiled(torch.randn(8, 100))
        require(torch.allclose(found, torch.full((8,), 100.0)), f"sin²+cos² over 100 gives {found.tolist()}")
        made = list(Path(folder).rglob("*.so"))
        require(bool(made), "no native code was made")
    return {"libraries": len(made)}


if __name__ == "__main__":
    run_check(check)
