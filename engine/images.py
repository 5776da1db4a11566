"""Build the base image and the engine's two built-in SDK images from the Debian roots."""

import json
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
    "GOFLAGS=-buildvcs=false",
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


def build_images(folder: Path, roots: Path, tools: Path, commands: Commands) -> None:
    """Write the base image to `base`, the SDK images to `content`, and their digests."""
    base = Layout(folder / "base")
    base.add_image([base.add_layer(roots / "base")], {"Env": [f"PATH={PATH}"], "Cmd": ["bash"]})

    content = Layout(folder / "content")
    root = content.add_layer(roots / "sdk")
    scratch = folder / "scratch"
    go_files, python_files = _write_go_files(scratch / "go", tools), _write_python_files(scratch / "python")
    offline.download_go_modules(go_files / offline.GO_MODULES, scratch, commands)
    offline.download_wheels(python_files, roots / "sdk", commands)
    _unpack_uv(python_files)
    go_layer = content.add_layer(go_files, owned_by_root=True)
    python_layer = content.add_layer(python_files, owned_by_root=True)
    digests = ImageDigests(
        go_sdk=content.add_image([root, go_layer], {"Env": GO_ENVIRONMENT}),
        python_sdk=content.add_image([root, python_layer], {"Env": [f"PATH={PATH}"]}),
    )
    shutil.rmtree(scratch)
    (folder / "built.json").write_text(json.dumps(asdict(digests)))


def _write_go_files(folder: Path, tools: Path) -> Path:
    """Write the files that the Go SDK image has on top of the SDK root."""
    programs = folder / "usr/local/bin"
    programs.mkdir(parents=True)
    shutil.copy(tools / "codegen", programs)
    return folder


def _write_python_files(folder: Path) -> Path:
    """Write the files that the Python SDK image has on top of the SDK root."""
    shutil.copytree(SDK / "runtime", folder / "runtime")
    programs = folder / "opt/runtime"
    programs.mkdir(parents=True)
    for name in ("install.py", "serve.py"):
        shutil.copy(SDK / name, programs)
    _copy_client(folder / "opt/sdk")
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
