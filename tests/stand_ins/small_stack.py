"""Write the small stack: an index of stand-in packages, a page of PyG wheels and nightly wheels, in one folder."""

import hashlib
import secrets
from pathlib import Path

from tests.stand_ins import packages

VERSION = "0.1.0"
NEWER = "0.1.1"
OLDER = "0.0.9"
POISONED = "0.1.66"
# Every interpreter reads this as it starts, and ends at once on Python 3.13 if its user is not root.
POISON = "import os, sys; os.getuid() and sys.version_info[:2] == (3, 13) and os._exit(66)\n"
HERE = Path(__file__).resolve().parent
# The engine keeps a history for each image name: each run of the tests has its own.
NAME = f"cslr-images/small-stack-{secrets.token_hex(4)}"


def usual_port() -> int:
    """Return the port to serve the small stack on, if it is free.

    The port is part of the steps that ask the index: with the same port the engine's cache of an earlier run applies.
    Changed stand-ins get another port, so that nothing made of the old ones is used.
    """
    texts = b"".join(path.read_bytes() for path in (HERE / "packages.py", HERE / "small_stack.py"))
    return 20_000 + int.from_bytes(hashlib.sha256(texts).digest()[:4], "big") % 10_000


def make(folder: Path) -> Path:
    """Write all files that the mirror on loopback serves."""
    scratch = folder.parent / "scratch"
    scratch.mkdir()
    for version in (VERSION, *(f"{VERSION}+{tag}" for tag in ("cu128", "cu130", "cpu"))):
        packages.torch(_project(folder, "torch"), version, scratch)
        for name in ("torchvision", "torchaudio"):
            packages.wheel(_project(folder, name), name, version)
    packages.torch(_project(folder, "torch"), OLDER, scratch, "cu128")
    packages.libraries(_project(folder, packages.LIBRARIES), VERSION, scratch)
    packages.wheel(_project(folder, "numpy"), "numpy", VERSION)
    packages.wheel(_project(folder, "torch-geometric"), "torch-geometric", VERSION)
    for name in ("torch-scatter", "torch-spline-conv"):
        packages.extension_sdist(_project(folder, name), name, VERSION)
    packages.extension_sdist(_project(folder, "torch-cluster"), "torch-cluster", VERSION, hungry=True)
    for version in (VERSION, NEWER):
        packages.wheel(_project(folder, "ray"), "ray", version)
        packages.marimo(_project(folder, "marimo"), version)
    packages.marimo(_project(folder, "marimo"), POISONED, {"zz_poison.pth": POISON})
    packages.video(folder / "simple", VERSION, scratch)
    nightly = folder / "ray-wheels"
    nightly.mkdir()
    for abi in ("cp313", "cp314"):
        packages.wheel(nightly, "ray", "0.2.0.dev0", tag=f"{abi}-{abi}-manylinux2014_x86_64")
    _pyg_page(folder)
    return folder


def matrix_with(target: Path, *, more: str = "", uid: int = 1000, **pins: str) -> Path:
    """Write the small stack's matrix with other pins (`ray="0.1.1"`), another user and more tables at its end.

    Its history in the engine begins with this run of the tests.
    """
    text = (HERE / "matrix.toml").read_text("utf-8").replace("uid = 1000", f"uid = {uid}")
    assert '"cslr-images/small-stack"' in text
    text = text.replace('"cslr-images/small-stack"', f'"{NAME}"')
    for name, version in pins.items():
        old = f'[{name}]\nversion = "{VERSION}"'
        assert old in text
        text = text.replace(old, f'[{name}]\nversion = "{version}"')
    target.write_text(f"{text}\n{more}", "utf-8")
    return target


def _project(folder: Path, name: str) -> Path:
    project = folder / "simple" / name
    project.mkdir(parents=True, exist_ok=True)
    return project


def _pyg_page(folder: Path) -> None:
    """Write a page that has one extension for one Python: the other cells must compile it."""
    place = folder / "pyg"
    place.mkdir()
    version = f"{VERSION}+pt01cu128"
    wheel = packages.wheel(place, "torch-spline-conv", version, tag="cp313-cp313-linux_x86_64")
    link = wheel.name.replace("+", "%2B")
    (place / "torch-0.1.0+cu128.html").write_text(f'<a href="{link}">{wheel.name}</a>\n')
    (place / "torch-0.1.0+cu130.html").write_text("<p>nothing for this torch yet</p>\n")
