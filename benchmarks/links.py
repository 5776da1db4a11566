"""Why a real image is as large as it is: what of CUDA's libraries the loader needs before torch can be imported.

`python -m benchmarks.links` prints it for 12.8.1 / 3.13; `benchmarks.real_cells` writes it where a goal is missed.
"""

import json

from tests.engine.conftest import succeed
from tests.engine.test_small_stack import quoted

# Runs in the image: follows NEEDED from torch's own libraries, by name, through everything in the environment.
LOOK = """
import collections, glob, json, os, re, subprocess, sys
site = glob.glob("/opt/env/lib/python3.*/site-packages")[0]
files = {}
for folder, _, names in os.walk(site, followlinks=True):  # CUDA's libraries lie elsewhere, for all Pythons
    for name in names:
        path = os.path.join(folder, name)
        if ".so" in name and os.path.isfile(path):
            files.setdefault(name, path)
def needed(path):
    out = subprocess.run(["readelf", "-d", path], capture_output=True, text=True).stdout
    return re.findall(r"NEEDED.*\\[(.+)\\]", out)
todo = glob.glob(site + "/torch/lib/libtorch*.so")
linked = set()
while todo:
    for name in needed(todo.pop()):
        if name in files and name not in linked:
            linked.add(name)
            todo.append(files[name])
sizes = collections.Counter()
for name, path in files.items():
    inside = os.path.relpath(path, site)
    if inside.startswith("nvidia/"):
        kind = "linked" if name in linked else "by name" if re.match("libcudnn|libnvrtc|libnvJitLink", name) else "rest"
        sizes[kind] += os.path.getsize(path)
        if kind == "rest":
            sizes["rest: " + name] += os.path.getsize(path)
    elif inside.startswith("torch/lib/"):
        sizes["torch"] += os.path.getsize(path)
json.dump(sizes, sys.stdout)
"""


def look(*words: str) -> dict[str, int]:
    """Return bytes of libraries: linked by torch, loaded by name (cuDNN's parts, NVRTC), the rest, and torch's own."""
    run = ("with-exec", f"--args=/opt/env/bin/python,-c,{quoted(LOOK)}", "stdout")
    found: dict[str, int] = json.loads(succeed("call", *words, *run))
    return found


def told(found: dict[str, int]) -> list[str]:
    """Return the sentences of the page about it."""
    rest = sorted(((size, name) for name, size in found.items() if name.startswith("rest: ")), reverse=True)
    names = ", ".join(f"{name.removeprefix('rest: ')} {size / 1e6:,.0f}" for size, name in rest[:6])
    linked, named, rest_size = (found.get(kind, 0) / 1e6 for kind in ("linked", "by name", "rest"))
    return [
        f"What must stay: {linked:,.0f} MB are CUDA libraries that torch's own libraries link, and without one of them",
        f"`import torch` fails; {named:,.0f} MB are loaded by name when they are used (cuDNN's engines, NVRTC);",
        f"{found['torch'] / 1e6:,.0f} MB are torch's own. Most of it is GPU code in files that are published",
        "whole; no tool takes architectures out of a linked library. Of CUDA's libraries neither explains",
        f"{rest_size:,.0f} MB ({names}).",
    ]


if __name__ == "__main__":
    chosen = ("--variant=slim", "build", "--cuda=12.8.1", "--python=3.13", "--target=ray-runtime")
    print("\n".join(told(look(*chosen))))
