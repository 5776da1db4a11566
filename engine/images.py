"""Build the base image and the engine's two built-in SDK images from the Debian roots."""

import json
import os
import shutil
import subprocess
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import offline
from engine.go_tools import DAGGER, MODULE
from engine.oci import Layout
from engine.paths import SOURCE
from engine.processes import Commands, read_output

SDK = SOURCE / "sdk"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GO_ENVIRONMENT = [
    f"PATH=/go/bin:/usr/local/go/bin:{PATH}",
    "GOPATH=/go",
    "GOTOOLCHAIN=local",
    "GOFLAGS=-buildvcs=false -trimpath",  # see offline.copy_go_builds
    "CGO_ENABLED=0",
]


@dataclass(frozen=True)
class ImageDigests:
    """Manifest digests of the engine's built-in SDK images."""

    go_sdk: str
    python_sdk: str

    @classmethod
    def read(cls, folder: Path) -> "ImageDigests":
        """Read the digests that `build_images` wrote."""
        return cls(**json.loads((folder / "built.json").read_text()))


def build_images(folder: Path, roots: Path, packages: Path, tools: Path, commands: Commands) -> None:
    """Write the base image to `base`, the SDK images to `content`, and their digests.

    `packages` is the folder of `offline.download_packages`.
    """
    base = Layout(folder / "base")
    base.add_image([base.add_layer(roots / "base")], {"Env": [f"PATH={PATH}"], "Cmd": ["bash"]})

    content = Layout(folder / "content")
    root = content.add_layer(roots / "sdk")
    scratch = folder / "scratch"
    go_files = _write_go_files(scratch / "go", packages, tools, commands)
    python_files = _write_python_files(scratch / "python", packages)
    go_layer = content.add_layer(go_files, owned_by_root=True)
    python_layer = content.add_layer(python_files, owned_by_root=True)
    digests = ImageDigests(
        go_sdk=content.add_image([root, go_layer], {"Env": GO_ENVIRONMENT}),
        python_sdk=content.add_image([root, python_layer], {"Env": [f"PATH={PATH}"]}),
    )
    shutil.rmtree(scratch)
    (folder / "built.json").write_text(json.dumps(asdict(digests)))


def _write_go_files(folder: Path, packages: Path, tools: Path, commands: Commands) -> Path:
    """Write the files that the Go SDK image has on top of the SDK root."""
    modules = packages / "modules"
    offline.copy_go_archives(modules, folder / offline.GO_MODULES)
    offline.copy_go_builds(modules, packages / "client", folder / offline.GO_BUILDS, commands)
    programs = folder / "usr/local/bin"
    programs.mkdir(parents=True)
    shutil.copy(tools / "codegen", programs)
    return folder


def _write_python_files(folder: Path, packages: Path) -> Path:
    """Write the files that the Python SDK image has on top of the SDK root."""
    shutil.copytree(packages / "python", folder, copy_function=os.link)
    shutil.copytree(SDK / "runtime", folder / "runtime")
    programs = folder / "opt/runtime"
    programs.mkdir(parents=True)
    for name in ("install.py", "serve.py"):
        shutil.copy(SDK / name, programs)
    _copy_client(folder / "opt/sdk")
    _unpack_uv(folder)
    return folder


def _copy_client(target: Path) -> None:
    """Copy Dagger's Python client and its code generator from the Go module of Dagger."""
    source = (
        Path(json.loads(read_output(["go", "mod", "download", "-json", DAGGER], cwd=MODULE))["Dir"])
        / "sdk/python"
    )
    target.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(source / name, target / name)
    for name in ("src", "codegen"):
        # Files in Go's module cache are read-only.
        shutil.copytree(source / name, target / name, copy_function=shutil.copyfile)
    subprocess.run(["chmod", "--recursive", "u+w", str(target)], check=True)


def _unpack_uv(root: Path) -> None:
    """Extract uv's programs from its wheel."""
    programs = root / "usr/local/bin"
    programs.mkdir(parents=True)
    with zipfile.ZipFile(next((root / offline.INSTALLERS).glob("uv-*.whl"))) as wheel:
        for name in wheel.namelist():
            if "/scripts/" in name:
                program = programs / Path(name).name
                program.write_bytes(wheel.read(name))
                program.chmod(0o755)
