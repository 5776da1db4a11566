"""Install the Debian packages that the engine needs, and read the machine's package sources."""

import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.output import EngineError, warn
from engine.processes import Commands, read_output

RELEASE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LOCK = Path(__file__).with_name("debian.lock")


def read_lock() -> dict[str, tuple[str, str]]:
    """Return the version and the SHA-256 of the .deb of each package in debian.lock."""
    lines = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return {name: (version, sha256) for name, version, sha256 in lines}


def ensure_packages(commands: Commands, repository: Path | None = None) -> None:
    """Install the packages that are missing; print a message before the system is changed.

    `repository` is a folder of .deb files with a `Packages` index, which apt uses instead of the machine's sources.

    Raises:
        EngineError: apt cannot install a package, or offers a locked version with another SHA-256.
    """
    missing = [name for name in read_lock() if not _is_installed(name)]
    if not missing:
        return
    warn(f"installs Debian packages by apt-get: {' '.join(missing)}")
    if repository:
        with isolate_apt(f"deb [trusted=yes] file:{repository.resolve()} ./\n") as settings:
            _install_packages(commands, [f"{name}={read_lock()[name][0]}" for name in missing], settings)
        return
    wanted = _check_candidates(missing)
    if wanted is None:
        commands.run("apt-get", "update", "--quiet")
        wanted = _check_candidates(missing)
    if wanted is None:
        raise EngineError(f"apt has no candidate for one of: {' '.join(missing)}")
    _install_packages(commands, wanted)


def download_packages(commands: Commands, folder: Path, root: Path) -> None:
    """Download the packages, and all their dependencies that the Debian root does not have."""
    with isolate_apt(read_package_sources(commands), root) as settings:
        commands.run("apt-get", "update", "--quiet", env=settings)
        wanted = [f"{name}={version}" for name, (version, _) in read_lock().items()]
        options = [
            "--download-only",
            "--yes",
            "--no-install-recommends",
            f"--option=Dir::Cache::archives={folder}",
        ]
        (folder / "partial").mkdir(parents=True)
        commands.run("apt-get", "install", *options, *wanted, env=settings)
    shutil.rmtree(folder / "partial")
    (folder / "lock").unlink(missing_ok=True)


@contextmanager
def isolate_apt(sources: str, root: Path | None = None) -> Iterator[dict[str, str]]:
    """Yield environment variables that limit apt to the given sources.

    With `root`, the packages that are installed there count as installed.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sources.list").write_text(sources)
        (folder / "lists/partial").mkdir(parents=True)
        lines = {
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": folder / "lists",
            "APT::Sandbox::User": "root",
        }
        if root:
            lines["Dir::State::status"] = root / "var/lib/dpkg/status"
        (folder / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in lines.items()))
        yield {"APT_CONFIG": str(folder / "apt.conf")}


def _install_packages(commands: Commands, wanted: list[str], settings: dict[str, str] | None = None) -> None:
    """Install packages with apt-get; `settings` are those of `isolate_apt`."""
    environment = {"DEBIAN_FRONTEND": "noninteractive", **(settings or {})}
    if settings:
        commands.run("apt-get", "update", "--quiet", env=environment)
    commands.run("apt-get", "install", "--yes", "--no-install-recommends", *wanted, env=environment)


def read_package_sources(commands: Commands) -> str:
    """Return the machine's Debian sources as lines for sources.list.

    Raises:
        EngineError: The machine has no sources of this Debian release.
    """
    lines = _list_sources()
    if not lines:
        commands.run("apt-get", "update", "--quiet")
        lines = _list_sources()
    if not lines:
        raise EngineError(f"needs a machine whose apt sources name Debian {RELEASE}")
    return "\n".join(lines) + "\n"


def _list_sources() -> list[str]:
    """Return a line for sources.list for each component that apt has an index of."""
    fields = "$(ORIGIN)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)|$(ARCHITECTURE)"
    targets = read_output(["apt-get", "indextargets", "--format", fields, "Created-By: Packages"])
    lines = []
    for target in targets.splitlines():
        origin, release, component, uri, architecture = target.split("|")
        if origin == "Debian" and release.split("-")[0] == RELEASE and architecture == "amd64":
            lines.append(f"deb [signed-by={KEYRING}] {uri} {release} {component}")
    return lines


def _is_installed(name: str) -> bool:
    """Return whether dpkg lists the package as installed."""
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", name]
    result = subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return result.stdout == "installed"


def _check_candidates(names: list[str]) -> list[str] | None:
    """Return apt-get's arguments for packages: the locked version, or the newer one it offers.

    Return None if apt has no candidate for one of them.

    Raises:
        EngineError: apt offers a locked version with another SHA-256.
    """
    wanted, newer = [], []
    for name in names:
        version, sha256 = read_lock()[name]
        candidate = _find_candidate(name)
        if candidate is None:
            return None
        if candidate["Version"] != version:
            newer.append(f"{name} {candidate['Version']}")
            wanted.append(name)
        elif candidate["SHA256"] != sha256:
            raise EngineError(f"{name} {version} has sha256 {candidate['SHA256']}, debian.lock says {sha256}")
        else:
            wanted.append(f"{name}={version}")
    if newer:
        warn(f"newer in Debian than in debian.lock, vouched for by apt's signature: {', '.join(newer)}")
    return wanted


def _find_candidate(name: str) -> dict[str, str] | None:
    """Return the fields of the version that apt would install, or None."""
    result = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    fields = dict(
        line.split(": ", 1) for line in result.stdout.splitlines() if ": " in line and line[0] != " "
    )
    return fields if {"Version", "SHA256"} <= fields.keys() else None


def check_machine() -> None:
    """Raise an EngineError unless this machine is Debian on x86_64."""
    if platform.machine() != "x86_64" or not Path("/etc/debian_version").exists():
        raise EngineError(
            "the embedded engine needs Debian on x86_64; install dagger and a container runtime instead"
        )
