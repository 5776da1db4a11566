"""Install a Python module of Dagger's, its dependencies and its client, with uv, as Dagger's own runtime does.

    install.py locked REQUIREMENTS    what a lock lists, in a layer of its own
    install.py module                 the client in ./sdk and the module in the working folder, both editable
    install.py client SDK SCHEMA      generate the client in SDK for the engine's schema

Where REQUIREMENTS is the lock that this image was made with, everything comes from the image's wheels, without a
network. What Dagger's own runtime would do otherwise than this one is refused, in one line.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

WHEELS = Path("/opt/wheels")
INSTALLERS = Path("/opt/installers")
LOCK = "requirements/runtime.txt"  # of a module, where it has one
SERIES = ".".join(map(str, sys.version_info[:2]))
# Dagger's runtime would install from these.
OTHER_LOCKS = ("uv.lock", "requirements.lock")


def install_locked(requirements: Path) -> None:
    """Install what a lock lists, hashes required."""
    options = ["--no-deps", "--require-hashes", "--requirement", str(requirements)]
    _run_pip("install", *options, *_list_wheel_options(requirements))


def install_module(source: Path) -> None:
    """Install the client and the module, and check that all requirements are met.

    Raises:
        SystemExit: Dagger's own runtime would install the module differently.
    """
    project = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))
    if problem := find_difference(project, {path.name: path for path in source.iterdir()}):
        sys.exit(f"the embedded engine cannot run this module as Dagger would: {problem}")
    _run_pip("install", "--editable", "./sdk", "--editable", ".", *_list_wheel_options(source / LOCK))
    _run_pip("check")
    # A mounted folder keeps what is compiled here; otherwise each call compiles it again.
    client = re.escape(f"{source}/sdk/")  # compiled already
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-x", client, str(source)], check=True)


def find_difference(project: dict[str, Any], files: dict[str, Path]) -> str:
    """Return what Dagger's own runtime would do differently for a module; empty if nothing.

    The Python series is that of `.python-version`, else the lower bound of `requires-python`.
    """
    bound = str(project.get("project", {}).get("requires-python", "")).strip()
    pinned = files[".python-version"].read_text("utf-8") if ".python-version" in files else ""
    series = pinned.strip() or (bound[2:].strip() if re.match(r"==|>=", bound) else "")
    if series != SERIES:
        return f"it asks for Python {series or 'of no series'}, and there is only {SERIES}"
    tools = project.get("tool", {})
    if settings := tools.get("dagger"):
        return f"[tool.dagger] in pyproject.toml is not supported: {settings}"
    if isinstance(uv := tools.get("uv"), dict) and uv.keys() & {"index", "sources"}:
        return "[tool.uv] in pyproject.toml names package indexes or sources"
    if other := [name for name in OTHER_LOCKS if name in files]:
        return f"{other[0]} is not supported"
    return ""


def generate_client(sdk: Path, schema: Path) -> None:
    """Write the client's functions for a schema, and compile the whole client for the path where it is mounted."""
    command = [sys.executable, "-m", "codegen", "generate", "--introspection", str(schema)]
    target = sdk / "src/dagger/client/gen.py"
    # The generator needs one package, which is pure Python: a wheel can be imported as it is.
    path = {"PYTHONPATH": str(next(INSTALLERS.glob("graphql_core-*.whl")))}
    folder = sdk / "codegen/src"
    subprocess.run([*command, "--output", str(target)], check=True, cwd=folder, env={**os.environ, **path})
    # By hashes that are not checked: copies of these files get other times.
    compile_command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash"]
    subprocess.run([*compile_command, str(sdk / "src")], check=True)


def _list_wheel_options(requirements: Path) -> list[str]:
    """Return the options that keep uv to the image's wheels, where they are those of a lock."""
    own = WHEELS / requirements.name
    same = requirements.exists() and own.exists() and own.read_bytes() == requirements.read_bytes()
    return ["--no-index", "--find-links", str(WHEELS), "--find-links", str(INSTALLERS)] if same else []


def _run_pip(*arguments: str) -> None:
    subprocess.run(["uv", "pip", *arguments], check=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["locked", requirements]:
            install_locked(Path(requirements))
        case ["module"]:
            install_module(Path.cwd())
        case ["client", sdk, schema]:
            generate_client(Path(sdk), Path(schema))
        case _:
            sys.exit(__doc__)
