"""What the SDK images bring so that a module loads with no network: Go modules of the runtime, wheels of the module."""

import os
import shutil
import subprocess
from pathlib import Path

from engine import paths
from engine.paths import RUNTIME_LOCK, SOURCE
from engine.processes import Commands, read_output

# Both lie in the SDK images, below the root.
GO_MODULES = Path("go/pkg/mod")
WHEELS = Path("opt/wheels")
INSTALLERS = Path("opt/installers")
PIP = "usr/share/python-wheels/pip-*.whl"  # of the SDK's root


def download_go_modules(folder: Path, scratch: Path, commands: Commands) -> None:
    """Downloads what Dagger's Go SDK asks for when it builds the runtime: the packages that Dagger's own client uses.

    The engine takes the folder as the first content of its cache of modules.
    """
    client = scratch / "client"
    source = read_output(["go", "list", "-m", "-f", "{{.Dir}}", "dagger.io/dagger"], cwd=SOURCE / "tools")
    shutil.copytree(source, client)
    subprocess.run(["chmod", "--recursive", "u+w", str(client)], check=True)
    settings = {"GOMODCACHE": str(folder), "GOFLAGS": "-modcacherw -mod=mod", "GOWORK": "off"}
    commands.run("go", "mod", "tidy", cwd=client, env=settings)
    commands.run("go", "mod", "download", "all", cwd=client, env=settings)
    # As archives they are a tenth; Go unpacks what it uses.
    for unpacked in folder.iterdir():
        if unpacked.name != "cache":
            shutil.rmtree(unpacked)


def download_wheels(root: Path, python: Path, commands: Commands) -> None:
    """Downloads into a root the wheels of the module's own lock, which lies beside them, and of what installs it.

    The pip is that of `python`, the SDK's root.
    """
    command = ["python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--python-version", "3.11"]
    path = os.pathsep.join(filter(None, [str(next(python.glob(PIP))), os.environ.get("PYTHONPATH", "")]))
    for folder, requirements in ((WHEELS, RUNTIME_LOCK), (INSTALLERS, paths.INSTALLER_LOCK)):
        (root / folder).mkdir(parents=True)
        target = ["--dest", str(root / folder), "--requirement", str(requirements)]
        commands.run(*command, *target, env={"PYTHONPATH": path})
    shutil.copy(RUNTIME_LOCK, root / WHEELS)
