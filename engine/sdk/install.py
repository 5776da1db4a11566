"""Install a Dagger module written in Python with uv, as Dagger's own runtime does.

    install.py locked REQUIREMENTS    install the packages of a lock, in a layer of its own
    install.py module                 install the client in ./sdk and the module in the working folder, both editable
    install.py client SDK SCHEMA      generate the client in SDK for the engine's schema

If REQUIREMENTS is the lock that this image was made with, all packages are installed from the image's wheels, without
a network. A module that Dagger's own runtime would install differently is refused with a one-line message.
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
LOCK = "requirements/runtime.txt"  # a module may have one
SERIES = ".".join(map(str, sys.version_info[:2]))
# Dagger's own runtime would use these.
OTHER_LOCKS = ("uv.lock", "requirements.lock")


def install_locked(requirements: Path) -> None:
    """Install the packages of a lock; each must match its hash."""
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
    # The mounted folder keeps the bytecode; otherwise each call would compile it again.
    client = re.escape(f"{source}/sdk/")  # compiled already
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-x", client, str(source)], check=True)


def find_difference(project: dict[str, Any], files: dict[str, Path]) -> str:
    """Describe what Dagger's own runtime would do differently; return an empty text if nothing.

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
    """Generate the client's functions from a schema, and compile the client to bytecode."""
    command = [sys.executable, "-m", "codegen", "generate", "--introspection", str(schema)]
    target = sdk / "src/dagger/client/gen.py"
    # The generator needs one package; it is pure Python and can be imported from its wheel.
    path = {"PYTHONPATH": str(next(INSTALLERS.glob("graphql_core-*.whl")))}
    folder = sdk / "codegen/src"
    subprocess.run([*command, "--output", str(target)], check=True, cwd=folder, env={**os.environ, **path})
    # Unchecked hashes instead of times: copies of these files have other times.
    compile_command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode=unchecked-hash"]
    subprocess.run([*compile_command, str(sdk / "src")], check=True)


def _list_wheel_options(requirements: Path) -> list[str]:
    """Return options that limit uv to the image's wheels, if the lock is the image's own."""
    own = WHEELS / requirements.name
    same = requirements.exists() and own.exists() and own.read_bytes() == requirements.read_bytes()
    return ["--no-index", "--find-links", str(WHEELS), "--find-links", str(INSTALLERS)] if same else []


def _run_pip(*arguments: str) -> None:
    """Run `uv pip`."""
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
