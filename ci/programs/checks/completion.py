"""Check that names are completed while people type, as notebooks and editors do it with jedi."""

from __future__ import annotations

import argparse

import jedi  # type: ignore[import-not-found,unused-ignore]
from check import CheckError, Facts, run_check

# What is typed, and a name that must be offered; stubs know some names of compiled modules.
TYPED = (
    ("import numpy as np\nnp.linsp", "linspace"),
    ("import torch\ntorch.zero", "zeros"),
    ("import torch\ntorch.nn.Lin", "Linear"),
    ("import torch\ntorch.zeros(3).matm", "matmul"),
)


def check() -> Facts:
    """Complete each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--typed", nargs=2, action="append", metavar=("TEXT", "NAME"), help="instead of the usual"
    )
    wrong, count = [], {}
    for text, name in parser.parse_args().typed or TYPED:
        typed = text.splitlines()[-1]
        try:
            offered = [one.name for one in jedi.Script(text).complete()]
        except Exception as error:  # noqa: BLE001 - jedi ends with anything where it finds no stub
            wrong.append(f"{typed} ({type(error).__name__}: {error})")
            continue
        count[typed] = len(offered)
        if name not in offered:
            wrong.append(f"{typed} (no {name}, but {', '.join(offered[:5]) or 'nothing'})")
    if wrong:
        raise CheckError("not completed: " + "; ".join(wrong))
    return {"offered": count}


if __name__ == "__main__":
    run_check(check)
