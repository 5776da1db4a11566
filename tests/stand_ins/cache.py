"""Make things for tests once for a machine, in the cache folder of the embedded engine."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

CACHE = Path(
    os.environ.get("CSLR_IMAGES_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cslr-images"
)
TOOLS = Path(__file__).resolve().parents[1] / "tools"
NEWEST = Path(__file__).resolve().parents[2] / "requirements/newest.txt"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint"
# The machine's own settings of Go must not change what is built.
GO = {"GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def actionlint() -> Path:
    """Return the linter of GitHub's workflows, built once from the Go module proxy as `tests/tools` pins it."""

    def build(program: Path) -> None:
        command = ["go", "build", "-trimpath", "-buildvcs=false", f"-o={program}", ACTIONLINT]
        subprocess.run(command, cwd=TOOLS, env={**os.environ, **GO}, check=True)

    texts = b"".join((TOOLS / name).read_bytes() for name in ("go.mod", "go.sum"))
    return make_once("actionlint", texts, build)


def newest_client() -> Path:
    """Return the folder that has the newest client of Dagger, installed once as `requirements/newest.txt` pins it."""

    def install(folder: Path) -> None:
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        command = [sys.executable, "-m", "pip", "install", *options]
        subprocess.run([*command, f"--target={folder}", f"--requirement={NEWEST}"], check=True)

    return make_once("newest", NEWEST.read_bytes(), install)


def make_once(name: str, pins: bytes, make: Callable[[Path], None]) -> Path:
    """Return the file or folder made from `pins`; it appears only when it is complete."""
    target = CACHE / f"{name}-{hashlib.sha256(pins).hexdigest()[:16]}"
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as folder:
            made = Path(folder) / "made"
            make(made)
            with suppress(OSError):  # somebody else was quicker
                made.rename(target)
    return target
