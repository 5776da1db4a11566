"""Where tests keep what is made once for a machine: the cache folder of the embedded engine."""

import hashlib
import os
import subprocess
import sys
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
# What the machine's environment says about Go must not change what is built.
GO = {"GOFLAGS": "-mod=readonly", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def actionlint() -> Path:
    """Return the linter of GitHub's workflows, built once from the Go module proxy as `tests/tools` pins it."""
    texts = b"".join((TOOLS / name).read_bytes() for name in ("go.mod", "go.sum"))
    program = CACHE / f"actionlint-{hashlib.sha256(texts).hexdigest()[:16]}"
    if not program.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as name:
            made = Path(name) / "actionlint"
            command = ["go", "build", "-trimpath", "-buildvcs=false", f"-o={made}", ACTIONLINT]
            subprocess.run(command, cwd=TOOLS, env={**os.environ, **GO}, check=True)
            made.replace(program)
    return program


def newest_client() -> Path:
    """Return the folder that has the newest client of Dagger, installed once as `requirements/newest.txt` pins it."""
    folder = CACHE / f"newest-{hashlib.sha256(NEWEST.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as name:
            made = Path(name) / "client"
            options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
            command = [sys.executable, "-m", "pip", "install", *options]
            subprocess.run([*command, f"--target={made}", f"--requirement={NEWEST}"], check=True)
            with suppress(OSError):  # somebody else was quicker
                made.rename(folder)
    return folder
