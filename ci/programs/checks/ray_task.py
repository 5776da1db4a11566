"""Check that Ray starts on one machine and runs a task, and that its libraries can be imported."""

from __future__ import annotations

import argparse
import importlib
import os
from typing import Any

from check import Facts, require, run_check

STARTS = 3


def double(number: int) -> int:
    """Be the task."""
    return 2 * number


def start(ray: Any) -> None:
    """Start Ray, again after a time-out: its own of 30 s cannot be set, and is short while the machine compiles."""
    for left in reversed(range(STARTS)):
        try:
            ray.init(
                num_cpus=1, include_dashboard=False, object_store_memory=100 * 1024**2, log_to_driver=False
            )
        except Exception as error:
            if not left or "timed out during startup" not in str(error):
                raise
            ray.shutdown()
        else:
            return


def check() -> Facts:
    """Import the libraries and run a task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", default="data,train,tune,serve", help="default: %(default)s")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray: Any = importlib.import_module("ray")
    libraries = [name for name in parser.parse_args().libraries.split(",") if name]
    for name in libraries:
        importlib.import_module(f"ray.{name}")
    start(ray)
    try:
        found = ray.get(ray.remote(double).remote(21), timeout=120)
    finally:
        ray.shutdown()
    require(found == 42, f"the task gives {found}")
    return {"ray": ray.__version__, "libraries": libraries}


if __name__ == "__main__":
    run_check(check)
