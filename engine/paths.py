"""Define the engine's files and folders, and the digests that its parts are named by."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

VERSION = "v0.19.10"
SOURCE = Path(__file__).resolve().parent
PROJECT = SOURCE.parent
# Locks of the wheels in the SDK image: the module's dependencies, and its installers.
RUNTIME_LOCK = PROJECT / "requirements" / "runtime.txt"
INSTALLER_LOCK = PROJECT / "requirements" / "sdk.txt"
CUSTOM_CAS = Path("/usr/local/share/ca-certificates")

# A unix socket's path has room for 107 bytes.
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class Paths:
    """The engine's folders and files below a cache folder."""

    cache: Path

    @classmethod
    def default(cls) -> "Paths":
        """Return the paths below CSLR_IMAGES_CACHE, else below the user's cache folder."""
        own = os.environ.get("CSLR_IMAGES_CACHE")
        shared = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(own).absolute() if own else Path(shared).absolute() / "cslr-images")

    @property
    def lock(self) -> Path:
        """Return the file that `setup.exclusive_lock` locks."""
        return self.cache / "lock"

    @property
    def parts(self) -> Path:
        """Return the folder of the built parts; each is in a folder named by a digest."""
        return self.cache / "parts"

    @property
    def bundle_record(self) -> Path:
        """Return the file with the source digest of the parts that were copied from a bundle."""
        return self.parts / "brought.json"

    @property
    def state(self) -> Path:
        """Return the folder of the engine's own data: layers, cache volumes, results."""
        return self.cache / f"state-{VERSION}"

    @property
    def registry(self) -> Path:
        """Return the folder of the local registry's data."""
        return self.cache / "registry"

    @property
    def run(self) -> Path:
        """Return the folder of the running engine's files, and of the logs."""
        return self.cache / "run"

    @property
    def record(self) -> Path:
        """Return the file that describes the `server.Engine` that was started last."""
        return self.run / "engine.record.json"

    @property
    def config(self) -> Path:
        """Return the engine's configuration file."""
        return self.run / "engine.json"

    @property
    def log(self) -> Path:
        """Return the engine's log file."""
        return self.run / "engine.log"

    @property
    def setup_log(self) -> Path:
        """Return the log file of the programs that the set-up runs."""
        return self.run / "setup.log"

    @property
    def socket(self) -> Path:
        """Return the engine's unix socket, in /run if the path in the cache folder is too long."""
        path = self.run / "engine.sock"
        return path if len(bytes(path)) <= LONGEST_SOCKET_PATH else Path(f"/run/{self.name}.sock")

    @property
    def number(self) -> int:
        """Return a number derived from the cache folder.

        It selects the name, network and port, so that engines of two cache folders use different ones.
        """
        return int.from_bytes(hashlib.sha256(bytes(self.cache)).digest()[:4], "big")

    @property
    def name(self) -> str:
        """Return the name of the engine's network."""
        return f"cslr{self.number & 0xFFFFFF:06x}"


@dataclass(frozen=True)
class PartDigests:
    """Digests of the inputs of each part."""

    go_version: str
    apt_sources: str

    @cached_property
    def tools(self) -> str:
        """Return the digest of the Go programs' inputs."""
        return compute_digest(self.go_version, *list_files(SOURCE / "tools"), SOURCE / "go_tools.py")

    @cached_property
    def roots(self) -> str:
        """Return the digest of the Debian roots' inputs."""
        return compute_digest(self.apt_sources, self.go_version, *list_certificates(), SOURCE / "rootfs.py")

    @cached_property
    def packages(self) -> str:
        """Return the digest of the inputs of the packages that the SDK images get."""
        lists = (*list_files(SOURCE / "tools"), RUNTIME_LOCK, INSTALLER_LOCK)
        return compute_digest(self.go_version, self.roots, *lists, SOURCE / "offline.py")

    @cached_property
    def images(self) -> str:
        """Return the digest of the images' inputs."""
        return compute_digest(
            self.tools,
            self.roots,
            self.packages,
            *list_files(SOURCE / "sdk"),
            SOURCE / "images.py",
            SOURCE / "oci.py",
        )


def compute_source_digest() -> str:
    """Hash all files of this repository that a running engine depends on."""
    modules = (SOURCE / f"{name}.py" for name in ("images", "oci", "offline", "rootfs", "server", "go_tools"))
    scripts = sorted(SOURCE.glob("*.sh"))
    folders = (*list_files(SOURCE / "sdk"), *list_files(SOURCE / "tools"))
    return compute_digest(VERSION, *modules, *scripts, *folders, RUNTIME_LOCK, INSTALLER_LOCK)


def list_certificates() -> list[Path]:
    """Return the machine's own CA certificates, sorted."""
    return sorted(CUSTOM_CAS.glob("*.crt"))


def list_files(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def compute_digest(*inputs: str | Path) -> str:
    """Hash texts, and files with their names; return 16 hexadecimal digits."""
    total = hashlib.sha256()
    for item in inputs:
        text = item.encode() if isinstance(item, str) else item.name.encode() + b"\0" + item.read_bytes()
        total.update(hashlib.sha256(text).digest())
    return total.hexdigest()[:16]
