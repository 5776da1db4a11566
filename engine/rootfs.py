"""Build the Debian root file systems of the base image and of the SDK images."""

import shutil
from pathlib import Path

from engine import go_tools
from engine.debian import RELEASE
from engine.paths import list_certificates
from engine.processes import Commands

SDK_PACKAGES = ["git", "python3", "python3-pip-whl"]
# Not in Debian's own slim images either.
EXCLUDED = ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*"]
# Folders of Go's toolchain that no build needs.
GO_EXCLUDED = ["api", "doc", "misc", "src/cmd", "test"]

INSTALL = """
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet
apt-get install --yes --quiet --no-install-recommends "$@"
apt-get clean
rm -rf /var/lib/apt/lists/*
update-ca-certificates
# Python has the path of Dagger's own base image; modules are installed into it.
ln --symbolic /usr/bin/python3 /usr/local/bin/python
rm /usr/lib/python3.*/EXTERNALLY-MANAGED
"""


def build_roots(folder: Path, commands: Commands, sources: str) -> None:
    """Build `base` and `sdk` in a folder; `sources` are lines for apt's sources.list."""
    base, sdk = folder / "base", folder / "sdk"
    _build_base(base, commands, sources)
    commands.run("cp", "--archive", str(base), str(sdk))
    _build_sdk(sdk, commands)


def _build_base(base: Path, commands: Commands, sources: str) -> None:
    """Build a minimal Debian root."""
    commands.run(
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        "--include=ca-certificates",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        RELEASE,
        str(base),
        "-",
        stdin=sources,
    )
    for name in ("resolv.conf", "hostname"):
        (base / "etc" / name).unlink(missing_ok=True)


def _build_sdk(sdk: Path, commands: Commands) -> None:
    """Add Python, git and Go to a copy of the base root."""
    # This root never leaves the machine, so it may contain the machine's certificates. The engine runs the update
    # program, about a second, before and after each call of a module, unless the root lacks it: remove it.
    for certificate in list_certificates():
        shutil.copy(certificate, sdk / "usr/local/share/ca-certificates")
    shutil.copy("/etc/resolv.conf", sdk / "etc/resolv.conf")
    commands.run("chroot", str(sdk), "sh", "-c", INSTALL, "sh", *SDK_PACKAGES)
    (sdk / "etc/resolv.conf").unlink()
    (sdk / "usr/sbin/update-ca-certificates").unlink()
    shutil.copytree(
        go_tools.find_toolchain(),
        sdk / "usr/local/go",
        symlinks=True,
        ignore=shutil.ignore_patterns("testdata", "*_test.go"),
    )
    for name in GO_EXCLUDED:
        shutil.rmtree(sdk / "usr/local/go" / name, ignore_errors=True)
    # Dagger starts its Go caches with these folders.
    for cache in ("go/pkg/mod", "root/.cache/go-build"):
        (sdk / cache).mkdir(parents=True)
