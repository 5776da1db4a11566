"""The checks as programs: what they print and how they end, on real small files and no ML package."""

import hashlib
import json
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ci.config.matrix import default_matrix
from tests.programs.conftest import cache_root, only_one

CHECKS = Path(__file__).parents[2] / "ci/programs/checks"
NOBODY = 65534


def run(
    name: str, *words: object, path: Path | None = None, user: int | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(path or ""), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(CHECKS / f"{name}.py"), *(str(word) for word in words)]
    return subprocess.run(command, env=env, user=user, cwd=cwd, capture_output=True, text=True, check=False)


def facts(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an installed package, as an environment's site-packages has it."""
    (tmp_path / "torch_scatter").mkdir()
    info = tmp_path / "torch_scatter-2.1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torch_scatter\nVersion: 2.1.2\n", encoding="utf-8"
    )
    (info / "RECORD").write_text(
        "torch_scatter/_scatter_cuda.so,,\ntorch_scatter/_version_cuda.so,,\n", encoding="utf-8"
    )
    return tmp_path


def test_versions_that_are_there_are_found(site: Path) -> None:
    expected = {
        "python": platform.python_version().rpartition(".")[0],
        "torch_scatter": "2.1",
        "pyg-lib": None,
    }
    found = facts(run("versions", "--expect", json.dumps(expected), path=site))
    assert found["check"] == "versions"
    assert isinstance(found["versions"], dict)
    assert found["versions"]["torch-scatter"] == "2.1.2"
    assert "pyg-lib" not in found["versions"]


def test_each_version_that_differs_is_named(site: Path) -> None:
    (file := site / "expected.json").write_text(
        '{"python": "2.7", "torch-scatter": "2.1.20", "marimo": "1"}', encoding="utf-8"
    )
    line = complaint(run("versions", "--expect", file, path=site))
    assert f"python is {platform.python_version()}, not 2.7" in line
    assert "torch-scatter is 2.1.2, not 2.1.20" in line
    assert "marimo is None, not 1" in line


def test_imports_names_what_cannot_be_imported() -> None:
    assert list(facts(run("imports", "json", "csv"))["imports"]) == ["json", "csv"]  # type: ignore[call-overload]
    assert "no_such_module (ModuleNotFoundError" in complaint(run("imports", "json", "no_such_module"))


def test_imports_takes_no_empty_folder_for_a_package(site: Path) -> None:
    assert "torch_scatter (nothing but a folder" in complaint(run("imports", "torch_scatter", path=site))
    (site / "torch_scatter/__init__.py").write_text("", "utf-8")
    took = facts(run("imports", "sys", "torch_scatter", path=site))["imports"]
    assert list(took) == ["sys", "torch_scatter"]  # type: ignore[call-overload]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_no_root_needed_wants_another_user_who_can_write(tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    shutil.chown(home, NOBODY)
    (closed := tmp_path / "closed").mkdir(mode=0o755)
    shared = Path(tempfile.gettempdir())
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to(shared) and folder != shared:
            folder.chmod(0o755)
    program = shutil.copytree(CHECKS, tmp_path / "checks") / "no_root_needed.py"
    python = Path("/usr/bin/python3")  # one that the other user can reach
    if not python.exists():
        pytest.skip("no system Python")

    def as_nobody(*words: Path | str) -> subprocess.CompletedProcess[str]:
        command = [str(word) for word in (python, program, *words)]
        return subprocess.run(command, user=NOBODY, cwd=home, capture_output=True, text=True, check=False)

    for user in ("1000", "1000:1000"):
        assert facts(as_nobody(home, "--user", user))["uid"] == NOBODY
    for user in ("cslr", "cslr:1000", "1000:cslr"):
        assert f"the image's user is {user!r}: Kubernetes" in complaint(as_nobody(home, "--user", user))
    assert (
        complaint(as_nobody(home, closed))
        == f"no_root_needed: user {NOBODY} cannot write {closed}: Permission denied"
    )
    assert complaint(run("no_root_needed", home)) == "no_root_needed: the image's user is root"


# ---- what is inside a compiled module -----------------------------------------------------------------------------


def fatbin(*entries: tuple[int, int]) -> bytes:
    """A container of device code as nvcc writes it: (kind, architecture) for each entry."""
    body = b""
    for kind, number in entries:
        payload = b"code" * number
        body += (
            struct.pack("<HHIQIIII", kind, 0x101, 64, len(payload), 0, 0, 0, number).ljust(64, b"\0")
            + payload
        )
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def module(path: Path, device_code: bytes) -> None:
    """A real shared library, with device code in the section where nvcc puts it."""
    section = path.with_suffix(".bin")
    section.write_bytes(device_code or b"none")
    source = path.with_suffix(".c")
    name = ".nv_fatbin" if device_code else ".other"
    source.write_text(
        f'__asm__(".section {name},\\"a\\"\\n.incbin \\"{section}\\"\\n.previous");', encoding="ascii"
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", path, source], check=True)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
@pytest.mark.parametrize(
    ("expected", "kept"),
    [("8.0;9.0+PTX", True), ("8.0 9.0+PTX", True), ("8.0;9.0", False), ("8.0", False), ("", True)],
)
def test_architectures_are_read_from_the_modules(site: Path, expected: str, kept: bool) -> None:
    code = fatbin((2, 80), (2, 90)) + b"\0" * 8 + fatbin((1, 90), (2, 80), (2, 90))
    module(site / "torch_scatter/_scatter_cuda.so", code)
    module(site / "torch_scatter/_version_cuda.so", b"")
    done = run("extension_archs", "torch-scatter", "--expect", expected, path=site)
    if kept:
        found = facts(done)["architectures"]
        assert found == {"torch-scatter": ["compute_90", "sm_80", "sm_90"]}
    else:
        assert f"is for compute_90 sm_80 sm_90, not for {expected}" in complaint(done)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_a_package_without_device_code_fails_the_check(site: Path) -> None:
    for name in ("_scatter_cuda.so", "_version_cuda.so"):
        module(site / "torch_scatter" / name, b"")
    assert complaint(run("extension_archs", "torch-scatter", path=site)).endswith(
        "torch-scatter has no CUDA code"
    )


@pytest.mark.parametrize("name", sorted(path.stem for path in CHECKS.glob("*.py") if path.stem != "check"))
def test_every_check_says_what_it_checks(name: str) -> None:
    text = (CHECKS / f"{name}.py").read_text(encoding="utf-8")
    first = text.partition('"""')[2].partition("\n")[0]
    assert first[0].isupper() or first.startswith(("torch", "marimo"))
    assert first.rstrip('"').endswith((".", ","))
    assert text.rstrip().endswith("run_check(check)")


def library(folder: Path, *options: str) -> Path:
    """Compile a library."""
    source, made = folder / "one.c", folder / "one.so"
    source.write_text("static int hidden(int x) { return x; }\nint shown(int x) { return hidden(x); }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", *options, "-o", made, source], check=True)
    return made


def test_a_library_with_symbols_can_be_profiled(tmp_path: Path) -> None:
    found = facts(run("profiler_symbols", library(tmp_path)))["symbols"]
    assert isinstance(found, dict)
    assert found["one.so"] > 5


def test_a_stripped_library_cannot(tmp_path: Path) -> None:
    assert "no symbols in one.so" in complaint(run("profiler_symbols", library(tmp_path, "-s")))


def test_pip_installs_a_package() -> None:
    assert facts(run("pip_install"))["installed"] == "checked_package"


def test_without_pip_none_is_installed(tmp_path: Path) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('no pip here')\n")
    assert "no pip here" in complaint(run("pip_install", path=tmp_path))


def test_an_environment_is_made_from_a_channel(tools: Path) -> None:
    program = CHECKS.parent / "make_env.py"
    assert facts(run("conda_install", "--command", tools / "python", program))["made"] == "checked"


def test_without_a_tool_none_is_made() -> None:
    assert "no conda-env" in complaint(run("conda_install", "--command", "conda-env"))


# ---- what torch loads of CUDA --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nvrtc(tools: Path) -> Path:
    """NVIDIA's own NVRTC as the lock has it, kept between runs."""
    lock = Path(__file__).parents[2] / "ci/locks/registries/cu13.1.1-py3.14/torch.txt"
    found = re.search(r"^nvidia-cuda-nvrtc==\S+( \\\n +--hash=\S+)+", lock.read_text("utf-8"), re.MULTILINE)
    assert found
    name = f"nvrtc-{hashlib.sha256(found[0].encode()).hexdigest()[:12]}"
    with only_one(name):
        folder = cache_root() / name
        if not (folder / "complete").exists():
            (asked := cache_root() / f"{name}.txt").write_text(found[0] + "\n", "utf-8")
            command = [str(tools / "uv"), "pip", "install", "--quiet", "--target", str(folder), "--no-deps"]
            subprocess.run([*command, "--require-hashes", "-r", str(asked)], check=True)
            (folder / "complete").touch()
    return folder


@pytest.fixture
def cuda_site(tmp_path: Path, nvrtc: Path) -> Path:
    """A package with a library that needs one of NVIDIA's and one of the driver's, and NVRTC."""
    site = tmp_path / "site"
    shutil.copytree(nvrtc / "nvidia", site / "nvidia", copy_function=os.link)
    for folder in ("driver", "site/toy/lib", "site/nvidia/late/lib"):
        (tmp_path / folder).mkdir(parents=True)
    (site / "toy/__init__.py").touch()
    late, driver = site / "nvidia/late/lib/liblate.so.1", tmp_path / "driver/libcuda.so.1"
    (source := tmp_path / "one.c").write_text("int one(void) { return 1; }\n")
    for target in (late, driver):
        shared = ["-shared", "-fPIC", f"-Wl,-soname,{target.name}", "-o", str(target)]
        subprocess.run(["gcc", *shared, str(source)], check=True)
    links = ["-Wl,--no-as-needed", str(late), str(driver)]
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", site / "toy/lib/libtoy.so", source, *links], check=True)
    driver.unlink()
    return site


def test_libraries_that_are_loaded_late_are_there_without_a_driver(cuda_site: Path) -> None:
    found = facts(run("cuda_libraries", "--package", "toy", path=cuda_site))
    assert int(str(found["cubin"])) > 500
    assert found["nvrtc"] == "libnvrtc.so.13"


# What the shipped rule takes is not missed; each of these takes more.
@pytest.mark.parametrize(
    ("more", "noticed"),
    [
        ((), ""),
        (("nvidia/**/liblate*.so*",), "liblate.so.1: cannot open shared object file"),
        (("nvidia/**/libnvrtc.so*",), r"no library is called libnvrtc\.so"),
        (("nvidia/**/libnvrtc-builtins*",), "no library is called libnvrtc-builtins"),
    ],
)
def test_a_rule_that_takes_too_many_of_cudas_libraries_is_noticed(
    cuda_site: Path, tmp_path: Path, more: tuple[str, ...], noticed: str
) -> None:
    prefix = "lib/python3.*/site-packages/"
    mine = [one.removeprefix(prefix) for one in default_matrix().rules["unused-cuda"].remove]
    (rules := tmp_path / "rules.json").write_text(
        json.dumps([{"name": "cuda", "remove": [*mine, *more]}]), "utf-8"
    )
    trimmed = [sys.executable, *map(str, (CHECKS.parent / "trim_env.py", cuda_site, "--rules", rules))]
    report = json.loads(subprocess.check_output(trimmed, text=True))
    assert report["cuda"]["files"] >= 2, "NVRTC's other build, of the real wheel"
    done = run("cuda_libraries", "--package", "toy", path=cuda_site)
    assert noticed in complaint(done) if noticed else facts(done)
