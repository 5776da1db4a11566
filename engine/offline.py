"""Download the Go modules and wheels that the SDK images need to work without a network, and compile the former."""

import os
import shutil
import subprocess
from pathlib import Path

from engine import paths
from engine.go_tools import SETTINGS
from engine.paths import RUNTIME_LOCK, SOURCE
from engine.processes import Commands, read_output

# Paths in the SDK images, relative to the root.
GO_MODULES = Path("go/pkg/mod")
GO_BUILDS = Path("root/.cache/go-build")
WHEELS = Path("opt/wheels")
INSTALLERS = Path("opt/installers")
PIP = "usr/share/python-wheels/pip-*.whl"  # in the SDK root


def download_packages(folder: Path, sdk_root: Path, commands: Commands) -> None:
    """Download Go modules to `modules`, with Dagger's Go client in `client`, and wheels to `python`."""
    _download_go_modules(folder / "modules", folder / "client", commands)
    _download_wheels(folder / "python", sdk_root, commands)


def _download_go_modules(folder: Path, client: Path, commands: Commands) -> None:
    """Download the Go modules that Dagger's Go SDK needs to build the runtime.

    They are those of Dagger's own Go client, which is copied to `client`.
    """
    source = read_output(["go", "list", "-m", "-f", "{{.Dir}}", "dagger.io/dagger"], cwd=SOURCE / "tools")
    shutil.copytree(source, client)
    subprocess.run(["chmod", "--recursive", "u+w", str(client)], check=True)
    settings = _go_settings(folder)
    commands.run("go", "mod", "tidy", cwd=client, env=settings)
    commands.run("go", "mod", "download", "all", cwd=client, env=settings)


def copy_go_archives(modules: Path, target: Path) -> None:
    """Copy the archives of modules, a tenth of their size: Go unpacks those that it uses.

    The engine starts its Go module cache with this folder.
    """
    shutil.copytree(modules / "cache", target / "cache", copy_function=os.link)


def copy_go_builds(modules: Path, client: Path, target: Path, commands: Commands) -> None:
    """Compile what the Go client imports, and copy what Go keeps of it into a build cache of its own.

    The engine starts its Go build cache with this folder. Go takes from it what it would compile in the same way: with
    `-trimpath`, without cgo, from the same sources. Go's own cache has most of them from the build of the tools.
    """
    settings = _go_settings(modules) | SETTINGS | {"GOFLAGS": "-mod=mod -trimpath"}
    own = "{{if not (and .Module .Module.Main)}}{{.ImportPath}}{{end}}"
    imported = read_output(["go", "list", "-deps", "-f", own, "./..."], cwd=client, env=settings).split()
    commands.run("go", "build", *imported, cwd=client, env=settings)
    command = ["go", "list", "-export", "-f", "{{.Export}}", *imported]
    exports = {Path(line) for line in read_output(command, cwd=client, env=settings).splitlines()}
    cache = Path(read_output(["go", "env", "GOCACHE"]))
    outputs = {export.name.removesuffix("-d") for export in exports}
    # GOCACHE/XX/DIGEST-a says of an action which output, DIGEST-d, it had.
    for action in cache.glob("??/*-a"):
        output = action.read_bytes().split(maxsplit=3)[2].decode()
        if output in outputs:
            for path in (action, cache / output[:2] / f"{output}-d"):
                copy = target / path.relative_to(cache)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


def _go_settings(modules: Path) -> dict[str, str]:
    return {"GOMODCACHE": str(modules), "GOFLAGS": "-modcacherw -mod=mod", "GOWORK": "off"}


def _download_wheels(root: Path, python: Path, commands: Commands) -> None:
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
