"""Where the embedded engine keeps its things, and the marks by which it knows whether they are still right."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

VERSION = "v0.19.10"
SOURCE = Path(__file__).resolve().parent
PROJECT = SOURCE.parent
# What the SDK image brings: what the module itself needs, and what installs it.
RUNTIME_LOCK = PROJECT / "requirements" / "runtime.txt"
INSTALLER_LOCK = PROJECT / "requirements" / "sdk.txt"
CUSTOM_CAS = Path("/usr/local/share/ca-certificates")

# A unix socket's path has room for 107 bytes.
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class Paths:
    """The folders and files below one cache folder."""

    cache: Path

    @classmethod
    def default(cls) -> "Paths":
        own = os.environ.get("CSLR_IMAGES_CACHE")
        shared = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return cls(Path(own).absolute() if own else Path(shared).absolute() / "cslr-images")

    @property
    def lock(self) -> Path:
        return self.cache / "lock"

    @property
    def parts(self) -> Path:
        """What was built: tools, roots, images; each in a folder named by what it was built from."""
        return self.cache / "parts"

    @property
    def bundle_record(self) -> Path:
        """Which parts came in a bundle, and of which source."""
        return self.parts / "brought.json"

    @property
    def state(self) -> Path:
        """The engine's own store: layers, cache volumes, results."""
        return self.cache / f"state-{VERSION}"

    @property
    def registry(self) -> Path:
        return self.cache / "registry"

    @property
    def run(self) -> Path:
        return self.cache / "run"

    @property
    def record(self) -> Path:
        """What is known of the running engine."""
        return self.run / "engine.record.json"

    @property
    def config(self) -> Path:
        return self.run / "engine.json"

    @property
    def log(self) -> Path:
        return self.run / "engine.log"

    @property
    def setup_log(self) -> Path:
        return self.run / "setup.log"

    @property
    def socket(self) -> Path:
        path = self.run / "engine.sock"
        return path if len(bytes(path)) <= LONGEST_SOCKET_PATH else Path(f"/run/{self.name}.sock")

    @property
    def number(self) -> int:
        """A number of this cache folder: engines of two folders take different names, networks and ports by it."""
        return int.from_bytes(hashlib.sha256(bytes(self.cache)).digest()[:4], "big")

    @property
    def name(self) -> str:
        return f"cslr{self.number & 0xFFFFFF:06x}"


@dataclass(frozen=True)
class PartDigests:
    """Digests of what each part is made from."""

    go_version: str
    apt_sources: str

    @cached_property
    def tools(self) -> str:
        return compute_digest(self.go_version, *list_files(SOURCE / "tools"), SOURCE / "go_tools.py")

    @cached_property
    def roots(self) -> str:
        return compute_digest(self.apt_sources, self.go_version, *list_certificates(), SOURCE / "rootfs.py")

    @cached_property
    def images(self) -> str:
        return compute_digest(
            self.tools,
            self.roots,
            *list_files(SOURCE / "sdk"),
            SOURCE / "images.py",
            SOURCE / "oci.py",
            SOURCE / "offline.py",
            RUNTIME_LOCK,
            INSTALLER_LOCK,
        )


def compute_source_digest() -> str:
    """A digest of all in this repository that a running engine depends on."""
    modules = (SOURCE / f"{name}.py" for name in ("images", "oci", "offline", "rootfs", "server", "go_tools"))
    scripts = sorted(SOURCE.glob("*.sh"))
    folders = (*list_files(SOURCE / "sdk"), *list_files(SOURCE / "tools"))
    return compute_digest(VERSION, *modules, *scripts, *folders, RUNTIME_LOCK, INSTALLER_LOCK)


def list_certificates() -> list[Path]:
    return sorted(CUSTOM_CAS.glob("*.crt"))


def list_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def compute_digest(*inputs: str | Path) -> str:
    """Hashes texts, and files with their names."""
    total = hashlib.sha256()
    for item in inputs:
        text = item.encode() if isinstance(item, str) else item.name.encode() + b"\0" + item.read_bytes()
        total.update(hashlib.sha256(text).digest())
    return total.hexdigest()[:16]
