"""Check that the image's modules can be imported."""

from __future__ import annotations

import argparse
import importlib
import time

from check import CheckError, Facts, run_check

DEFAULT = (
    *("torch", "torchvision", "torchaudio", "torch_geometric"),
    *("torch_scatter", "torch_sparse", "torch_cluster", "torch_spline_conv"),
)


def check() -> Facts:
    """Import each module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=DEFAULT)
    took, wrong = {}, []
    for name in parser.parse_args().modules:
        began = time.monotonic()
        try:
            # A package that lost its files is still imported, as a namespace.
            if getattr(importlib.import_module(name), "__file__", "") is None:
                wrong.append(f"{name} (nothing but a folder is there)")
        except Exception as error:  # noqa: BLE001 - a broken library raises anything
            wrong.append(f"{name} ({type(error).__name__}: {error})")
        took[name] = round(time.monotonic() - began, 2)
    if wrong:
        raise CheckError("cannot import " + "; ".join(wrong))
    return {"imports": took}


if __name__ == "__main__":
    run_check(check)
