"""Starts a Dagger module written in Python: serves its functions, registers its types, or installs its dependencies."""

import gc
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

SOURCE = Path("/src")
METADATA = Path("/tmp/metadata")  # noqa: S108 - a container of its own
WHEELS = Path("/opt/wheels")
CLIENT = "dagger-io==0.19.10"


def install(pyproject: Path) -> None:
    """Installs what pyproject.toml asks for, with the client that matches the engine."""
    wanted = tomllib.loads(pyproject.read_text())["project"].get("dependencies", [])
    subprocess.run([sys.executable, "-m", "pip", "install", CLIENT, *wanted], check=True)


def install_locked(requirements: Path) -> None:
    """Installs what a lock lists: from the wheels of this image, with no network, where it is their lock."""
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:"]
    own = WHEELS / requirements.name
    if own.exists() and own.read_bytes() == requirements.read_bytes():
        command += ["--no-index", "--find-links", str(WHEELS)]
    subprocess.run([*command, "--requirement", str(requirements)], check=True)


def publish_metadata(project: dict[str, Any]) -> None:
    """Makes the module look installed: Dagger finds the main object by its entry point."""
    info = METADATA / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project.get("entry-points", {})
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{k} = {v}" for k, v in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def load_client_quickly() -> None:
    """Halves the time that importing the client takes, which each call of a function waits for."""
    gc.disable()
    import beartype

    # It checks the arguments of the API's thousand methods: type checkers do that too, and so does the engine.
    checking, beartype.beartype = beartype.beartype, lambda **_: lambda function: function
    import dagger.mod.cli  # noqa: F401

    beartype.beartype = checking
    gc.freeze()
    gc.enable()


def serve(register: bool) -> int | None:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    publish_metadata(project)
    sys.path[:0] = [str(SOURCE), str(SOURCE / "src"), str(METADATA)]
    load_client_quickly()
    from dagger.mod.cli import app

    return app(None, register)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--install", pyproject]:
            install(Path(pyproject))
        case ["--install-locked", requirements]:
            install_locked(Path(requirements))
        case ["--register"]:
            sys.exit(serve(register=True))
        case _:
            sys.exit(serve(register=False))
