"""Times what a program waits for as it starts, with bytecode and without: `python -m benchmarks.start_time`.

A module is imported by new processes in a container of a real image, as the image's user, who can write no bytecode: so
every start is like the first one of a container. Without bytecode is the same image of which root removed it. The first
start of each reads the files from the disk and does not count.
"""

import argparse
import json
import statistics

from benchmarks.page import machine, put
from tests.engine.conftest import succeed

PAIR = ("--cuda=12.8.1", "--python=3.13", "--target=ray-runtime")
MODULES = ("torch", "torch_geometric", "ray", "ray.data")
# Runs in the image: prints the seconds of each start by module, and the bytes of the bytecode that is there.
ASK = """
import json, pathlib, subprocess, sys, time
def start(module):
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, capture_output=True)
    return time.monotonic() - began
rounds, modules = int(sys.argv[1]), sys.argv[2:]
seconds = {module: [start(module) for _ in range(rounds + 1)][1:] for module in modules}
size = sum(path.stat().st_size for path in pathlib.Path(sys.prefix).rglob("*.pyc"))
print(json.dumps({"seconds": seconds, "bytes": size}))
"""
REMOVE = "find /opt/env -name __pycache__ -type d -prune -exec rm -r {} +"


def quoted(*words: str) -> str:
    """Return the argument of `with-exec` for a command."""
    return "--args=" + ",".join('"' + word.replace('"', '""') + '"' for word in words)


def started(rounds: int, *, without: bool) -> tuple[dict[str, float], float]:
    """Return the median seconds of a start by module, and the MB of bytecode."""
    steps = ("with-user", "--name=root", "with-exec", quoted("sh", "-c", REMOVE), "with-user", "--name=cslr")
    ask = quoted("/opt/env/bin/python", "-c", ASK, str(rounds), *MODULES)
    words = ("call", "build", *PAIR, *(steps if without else ()), "with-exec", ask, "stdout")
    found = json.loads(succeed(*words))
    return {name: statistics.median(all_) for name, all_ in found["seconds"].items()}, found["bytes"] / 1e6


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="starts of each module; default: %(default)s")
    rounds = parser.parse_args().rounds
    usual, size = started(rounds, without=False)
    without, left = started(rounds, without=True)
    if left:
        raise SystemExit(f"{left:.1f} MB of bytecode were not removed")
    rows = [
        f"| `import {name}` | {without[name]:.1f} | {usual[name]:.1f} | {without[name] / usual[name]:.1f} |"
        for name in MODULES
    ]
    text = [
        "## Start time",
        "",
        f"`python -m benchmarks.start_time`, {machine()}, 12.8.1 / 3.13 ray-runtime. Seconds of a new process, the",
        f"median of {rounds}; the image's user can write no bytecode. The bytecode is {size:,.0f} MB on disk.",
        "",
        "| | without bytecode | with it | times faster |",
        "|---|---|---|---|",
        *rows,
    ]
    put("start time", "\n".join(text))


if __name__ == "__main__":
    main()
