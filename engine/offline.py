"""Download the Go modules and wheels that the SDK images need to work without a network."""

import os
import shutil
import subprocess
from pathlib import Path

from engine import paths
from engine.paths import RUNTIME_LOCK, SOURCE
from engine.processes import Commands, read_output

# Paths in the SDK images, relative to the root.
GO_MODULES = Path("go/pkg/mod")
WHEELS = Path("opt/wheels")
INSTALLERS = Path("opt/installers")
PIP = "usr/share/python-wheels/pip-*.whl"  # in the SDK root


def download_go_modules(folder: Path, scratch: Path, commands: Commands) -> None:
    """Download the Go modules that Dagger's Go SDK needs to build the runtime.

    They are those of Dagger's own Go client. The engine starts its Go module cache with this folder.
    """
    client = scratch / "client"
    source = read_output(["go", "list", "-m", "-f", "{{.Dir}}", "dagger.io/dagger"], cwd=SOURCE / "tools")
    shutil.copytree(source, client)
    subprocess.run(["chmod", "--recursive", "u+w", str(client)], check=True)
    settings = {"GOMODCACHE": str(folder), "GOFLAGS": "-modcacherw -mod=mod", "GOWORK": "off"}
    commands.run("go", "mod", "tidy", cwd=client, env=settings)
    commands.run("go", "mod", "download", "all", cwd=client, env=settings)
    # Keep only the archives, a tenth of the size: Go unpacks those that it uses.
    for unpacked in folder.iterdir():
        if unpacked.name != "cache":
            shutil.rmtree(unpacked)


def download_wheels(root: Path, python: Path, commands: Commands) -> None:
    """Download the wheels of this module and of its installers into a root, by their locks.

    The module's lock is copied beside its wheels. `python` is the SDK root, whose pip is used.
    """
    command = ["python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--python-version", "3.11"]
    path = os.pathsep.join(filter(None, [str(next(python.glob(PIP))), os.environ.get("PYTHONPATH", "")]))
    for folder, requirements in ((WHEELS, RUNTIME_LOCK), (INSTALLERS, paths.INSTALLER_LOCK)):
        (root / folder).mkdir(parents=True)
        target = ["--dest", str(root / folder), "--requirement", str(requirements)]
        commands.run(*command, *target, env={"PYTHONPATH": path})
    shutil.copy(RUNTIME_LOCK, root / WHEELS)
