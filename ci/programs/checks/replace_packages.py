"""Check that pip and uv can replace and remove NVIDIA's packages, whose files are links.

It happens in an environment of its own: with the links and the lists of one of the image's distributions, and with a
compiled module, whose bytecode is not to outlive it.
"""

from __future__ import annotations

import argparse
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path

from check import CheckError, Facts, require, run_check

from common.small_wheels import write_wheel

NEWER = "9999"
# A module, a package, and one in a folder without modules, each compiled as the image's are.
NAMES = ("checked_module", "checked_package", "checked_package.inner.deep")
FILES = ("checked_module.py", "checked_package/__init__.py", "checked_package/inner/deep.py")


def choose() -> tuple[metadata.Distribution, list[str]]:
    """Return the distribution with the fewest files of which some are links, and those files."""
    packages = Path(sysconfig.get_path("purelib"))
    found = []
    for one in metadata.distributions(path=[str(packages)]):
        names = [str(file) for file in one.files or ()]
        links = [name for name in names if (packages / name).is_symlink()]
        if links:
            found.append((len(names), one.name, one, links))
    if not found:
        raise CheckError(f"no package in {packages} has files that are links")
    return min(found, key=lambda item: item[:2])[2:]


def make_environment(folder: Path, one: metadata.Distribution, links: list[str]) -> Path:
    """Make an environment with the links and lists of a distribution; return its folder of packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = Path(sysconfig.get_path("purelib"))
    site = folder / packages.relative_to(sys.prefix)
    for name in links:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).symlink_to((packages / name).resolve())
    info = next(file.parts[0] for file in one.files or () if file.parts[0].endswith(".dist-info"))
    shutil.copytree(packages / info, site / info)
    return site


def run(words: list[str]) -> None:
    """Run a command that must work.

    Raises:
        CheckError: it does not; with the last line that it printed.
    """
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"status {done.returncode}"]
        raise CheckError(f"{' '.join(Path(word).name for word in words[:4])}: {lines[-1]}")


def try_tool(tool: str, one: metadata.Distribution, links: list[str]) -> None:
    """Replace and remove with one tool."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = make_environment(folder / "env", one, links)
        python, original = str(folder / "env/bin/python"), (site / links[0]).resolve()
        size = original.stat().st_size
        if tool == "pip":
            start, at, yes = [sys.executable, "-m", "pip", "--python", python], ["--no-cache-dir"], ["-y"]
        else:
            start, at, yes = [tool, "--no-cache", "--offline", "pip"], ["--python", python], []
        install = [*start, "install", *at, "--quiet", "--no-index", "--no-deps"]
        first = write_wheel(folder, NAMES[0], "1", dict.fromkeys(FILES, "answer = 1\n"))
        run([*install, str(first)])
        modes = py_compile.PycInvalidationMode
        for file in FILES:
            mode = modes.UNCHECKED_HASH if "/" in file else modes.CHECKED_HASH
            py_compile.compile(str(site / file), doraise=True, invalidation_mode=mode)
        newer = write_wheel(folder, one.name, NEWER, {links[0]: NEWER})
        second = write_wheel(folder, NAMES[0], "2", dict.fromkeys(FILES, "answer = 2\n"))
        run([*install, str(newer), str(second)])
        found = site / links[0]
        require(not found.is_symlink() and found.read_text() == NEWER, f"{tool} did not replace {links[0]}")
        left = [name for name in links[1:] if (site / name).is_symlink()]
        require(not left, f"{tool} left {len(left)} files of the older version")
        require(original.stat().st_size == size, f"{tool} wrote through the link {links[0]}")
        program = f"import {', '.join(NAMES)}; print({', '.join(f'{name}.answer' for name in NAMES)})"
        said = subprocess.run([python, "-c", program], capture_output=True, text=True).stdout.strip()
        require(said == "2 2 2", f"after {tool} Python takes the bytecode of the older version: {said}")
        run([*start, "uninstall", *(at if tool != "pip" else []), *yes, one.name])
        require(not found.exists(), f"{tool} did not remove {links[0]}")


def check() -> Facts:
    """Try each tool that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tools", nargs="+", default=["pip", "uv"], help="those that are not there are left out"
    )
    tools = [tool for tool in parser.parse_args().tools if tool == "pip" or shutil.which(tool)]
    one, links = choose()
    for tool in tools:
        try_tool(tool, one, links)
    return {"replaced": one.name, "links": len(links), "tools": tools}


if __name__ == "__main__":
    run_check(check)
