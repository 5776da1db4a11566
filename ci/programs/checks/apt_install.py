"""Check that `apt-get install` on top of the image keeps no archive, nor does the image. Only root can run it."""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from check import CheckError, Facts, require, run_check

NAME = "checked-package"
CONTROL = (
    f"Package: {NAME}\nVersion: 1.0\nArchitecture: all\n"
    "Maintainer: check <check@localhost>\nDescription: checked\n"
)


def run(*command: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    )
    if done.returncode:
        raise CheckError(f"{' '.join(command[:2])}: {done.stderr.strip()[-300:]}")
    return done.stdout


def write_repository(folder: Path) -> Path:
    """Write a repository of one package into a folder, and return apt's list that names it."""
    (tree := folder / "tree/DEBIAN").mkdir(parents=True)
    (tree / "control").write_text(CONTROL, "utf-8")
    package = folder / f"{NAME}.deb"
    run("dpkg-deb", "--root-owner-group", "--build", str(tree.parent), str(package))
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    entry = f"Filename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n"
    (folder / "Packages").write_text(CONTROL + entry, "utf-8")
    # `copy:` goes the way of a download, through apt's folder of archives; `file:` does not.
    (list_file := folder / "checked.list").write_text(f"deb [trusted=yes] copy:{folder} ./\n", "utf-8")
    return list_file


def find_kept(archives: Path) -> list[str]:
    """Return what apt keeps: packages, and its index of them."""
    return sorted(str(path) for pattern in ("**/*.deb", "*.bin") for path in archives.glob(pattern))


def check() -> Facts:
    """Look at what the image keeps, install a package, and look again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("/var/cache/apt"), help="default: %(default)s")
    parser.add_argument("--lists", type=Path, default=Path("/var/lib/apt/lists"), help="default: %(default)s")
    options = parser.parse_args()
    kept = [str(path) for path in options.lists.glob("*Packages*")] + find_kept(options.cache)
    require(not kept, f"the image holds {len(kept)} of apt's files: {', '.join(kept[:3])}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # apt reads it as a user of its own
        only = [
            "-o",
            f"Dir::Etc::SourceList={write_repository(folder)}",
            "-o",
            "Dir::Etc::SourceParts=/dev/null",
        ]
        run("apt-get", "update", "-qq", *only)
        run("apt-get", "install", "-qq", "-y", *only, NAME)
    state = run("dpkg-query", "--show", "--showformat=${Status}", NAME)
    require(state == "install ok installed", f"{NAME} is not installed: {state}")
    kept = find_kept(options.cache)
    require(not kept, f"apt keeps {', '.join(kept[:3])}")
    return {"installed": NAME}


if __name__ == "__main__":
    run_check(check)
