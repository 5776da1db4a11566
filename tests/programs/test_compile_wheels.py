"""compile_wheels.py: how much runs at once, the compilers' scripts run for real, and wheels of a real small package."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

import compile_wheels
from common.errors import UserError

GB = 1_000_000_000
MEMINFO = "MemTotal:       25000000 kB\nMemFree:         1000000 kB\nMemAvailable:   16000000 kB\n"


@pytest.mark.parametrize(
    ("limit", "current", "stat", "expected"),
    [
        ("", "", "", 16_384_000_000),
        ("max\n", "4096\n", "", 16_384_000_000),
        (f"{8 * GB}\n", f"{GB}\n", "", 7 * GB),
        (f"{8 * GB}\n", f"{6 * GB}\n", f"anon {GB}\nfile {5 * GB}\ninactive_file {4 * GB}\nactive_file {GB}\n", 7 * GB),
        (f"{GB}\n", f"{2 * GB}\n", "", 0),
        (f"{99 * GB}\n", "0\n", "", 16_384_000_000),
    ],
)  # fmt: skip
def test_memory_is_the_lesser_of_machine_and_control_group(
    limit: str, current: str, stat: str, expected: int
) -> None:
    assert compile_wheels.available_memory(MEMINFO, limit, current, stat) == expected


@pytest.mark.parametrize(
    ("affinity", "cpu_max", "expected"),
    [
        (8, "", 8),
        (8, "max 100000\n", 8),
        (8, "200000 100000\n", 2),
        (8, "50000 100000", 1),
        (2, "800000 100000", 2),
    ],
)
def test_cores_are_those_that_the_control_group_grants(affinity: int, cpu_max: str, expected: int) -> None:
    assert compile_wheels.cores(affinity, cpu_max) == expected


@pytest.mark.parametrize(
    ("processors", "memory", "expected"), [(2, 24 * GB, 2), (16, 16 * GB, 4), (16, 64 * GB, 16), (8, GB, 1)]
)
def test_slots_are_bounded_by_cores_and_memory(processors: int, memory: int, expected: int) -> None:
    assert compile_wheels.slots(processors, memory, 3.5e9) == expected


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with a g++, a toolkit's nvcc and a ccache that tell how they were called."""
    program(tmp_path / "bin/g++", 'echo "g++ $*"')
    program(tmp_path / "bin/ccache", 'echo "ccache $1"; exec "$@"')
    program(tmp_path / "cuda/bin/nvcc", 'echo "PATH $PATH"; for word do echo "<$word>"; done')
    program(tmp_path / "cuda/bin/ptxas", "exit 0")
    (tmp_path / "cuda/include").mkdir()
    return tmp_path


def output(*words: object, path: str = os.environ["PATH"]) -> list[str]:
    env = {**os.environ, "PATH": path}
    done = subprocess.run([str(word) for word in words], env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_host_compiler_is_called_through_ccache(tools: Path) -> None:
    path = str(tools / "bin")
    compile_wheels.write_host_wrappers(tools / "wrappers", ["g++", "icc"], f"{path}/ccache", path)
    assert output("g++", "-c", "a b.cpp", path=f"{tools}/wrappers:{os.environ['PATH']}") == [
        f"ccache {path}/g++",
        "g++ -c a b.cpp",
    ]
    assert not (tools / "wrappers/icc").exists(), "what is not there gets no script"


def test_the_overlay_calls_nvcc_through_ccache_with_flags_that_it_knows(tools: Path) -> None:
    path = f"{tools}/bin:{os.environ['PATH']}"
    compile_wheels.make_cuda_overlay(tools / "overlay", tools / "cuda", f"{tools}/bin/ccache", path)
    words = [
        "-c",
        "a b.cu",
        "--generate-dependencies-with-compile",
        "--dependency-output",
        "a.d",
        "-DX='1 2'",
    ]
    assert output(tools / "overlay/bin/nvcc", *words, path=f"/wrappers:{path}") == [
        f"ccache {tools}/cuda/bin/nvcc",
        f"PATH {path}",
        *("<-c>", "<a b.cu>", "<-MD>", "<-MF>", "<a.d>", "<-DX='1 2'>"),
    ]
    assert (tools / "overlay/include").resolve() == tools / "cuda/include"
    assert (tools / "overlay/bin/ptxas").resolve() == tools / "cuda/bin/ptxas"


def test_ccache_takes_another_cicc_for_another_compiler(tools: Path) -> None:
    before = compile_wheels.compilers_digest(tools / "cuda")
    program(tools / "cuda/nvvm/bin/cicc", "exit 0")
    assert compile_wheels.compilers_digest(tools / "cuda") != before


def packages(folder: Path, count: int) -> list[compile_wheels.Package]:
    found = [
        compile_wheels.Package(f"p{number}", "1", folder, folder / f"b{number}") for number in range(count)
    ]
    for package in found:
        package.build.mkdir()
    return found


def test_the_pool_keeps_to_its_size(tmp_path: Path) -> None:
    began, log = time.monotonic(), []
    tasks = [compile_wheels.Task(one, "sleep", lambda: time.sleep(0.2)) for one in packages(tmp_path, 4)]
    compile_wheels.Pool(2).run(tasks, lambda task: log.append(task.package.name))
    assert sorted(log) == ["p0", "p1", "p2", "p3"]
    assert time.monotonic() - began >= 0.4


def test_the_first_failure_ends_the_others_and_names_its_package(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = packages(tmp_path, 2)
    lingers = tmp_path / "lingers"

    def fail() -> None:
        while not lingers.is_symlink():
            time.sleep(0.01)
        subprocess.run(["sh", "-c", "echo 'x.cu(3): error: no such thing' >&2; exit 2"], check=True)

    def linger() -> None:
        lingers.symlink_to(f"/proc/{os.getpid()}")
        subprocess.run(["sleep", "60"], check=True)
        (tmp_path / "survived").touch()

    tasks = [compile_wheels.Task(second, "linger", linger), compile_wheels.Task(first, "fail", fail)]
    with pytest.raises(UserError, match=r"^p0 1: fail: exit status 1$"):
        compile_wheels.Pool(2).run(tasks, lambda _: None)
    assert "x.cu(3): error: no such thing" in capfd.readouterr().err
    assert lingers.is_symlink()
    assert not lingers.exists(), "its process has ended"
    assert not (tmp_path / "survived").exists(), "and was not waited for"


def test_a_compiler_that_was_killed_is_told_as_such(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (package,) = packages(tmp_path, 1)

    def out_of_memory() -> None:
        os.write(1, b"g++: fatal error: Killed signal terminated program cc1plus\n")
        raise SystemExit(1)

    with pytest.raises(UserError, match="smaller --jobs"):
        compile_wheels.Pool(1).run([compile_wheels.Task(package, "m", out_of_memory)], lambda _: None)
    assert "cc1plus" in capfd.readouterr().err


# ---- a whole run: a real C extension, a torch that has just what setup.py asks for --------------------------------

SETUP = """
from setuptools import Extension, setup
from torch.utils.cpp_extension import BuildExtension
setup(
    name="tiny_ops", version="1.0", packages=["tiny_ops"],
    ext_modules=[Extension(f"tiny_ops._{name}", [f"csrc/{name}.c"]) for name in ("one", "two")],
    cmdclass={"build_ext": BuildExtension},
)
"""
MODULE = """
#include <Python.h>
static struct PyModuleDef definition = {{PyModuleDef_HEAD_INIT, "_{0}", 0, -1, 0}};
PyMODINIT_FUNC PyInit__{0}(void) {{ return PyModule_Create(&definition); }}
"""
TORCH = """
import os
from setuptools.command.build_ext import build_ext
class BuildExtension(build_ext):
    use_ninja = True
    def build_extension(self, extension):
        assert not self.use_ninja and os.environ["FORCE_CUDA"] == "0" and os.environ["MAX_JOBS"] == "1"
        super().build_extension(extension)
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """An archive of two modules, and a stand-in for torch."""
    # Only asked for: its import fails in a process in which distutils was imported before it.
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("no setuptools")
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    source = tmp_path / "tiny_ops-1.0"
    for path, text in {
        source / "setup.py": SETUP,
        source / "tiny_ops/__init__.py": "",
        source / "csrc/one.c": MODULE.format("one"),
        source / "csrc/two.c": MODULE.format("two"),
        tmp_path / "torch/__init__.py": "from torch import version\n__version__ = '9.9'\n",
        tmp_path / "torch/version.py": "cuda = None\n",
        tmp_path / "torch/utils/__init__.py": "",
        tmp_path / "torch/utils/cpp_extension.py": TORCH,
    }.items():  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return tmp_path


def compile_tiny(tiny: Path, out: str, *words: str) -> subprocess.CompletedProcess[str]:
    (tiny / "sdists").mkdir(exist_ok=True)
    with tarfile.open(tiny / "sdists/tiny_ops-1.0.tar.gz", "w:gz") as tar:
        tar.add(tiny / "tiny_ops-1.0", "tiny_ops-1.0")
    env = {**os.environ, "PYTHONPATH": str(tiny), "CCACHE_DIR": str(tiny / "ccache")}
    command = [sys.executable, compile_wheels.__file__, "--sdists", tiny / "sdists", "--work", tiny / "work"]
    command += ["--out", tiny / out, "--cpu", *words]
    return subprocess.run(
        [str(word) for word in command], env=env, capture_output=True, text=True, check=False
    )


def test_a_package_becomes_the_same_wheel_twice(tiny: Path) -> None:
    done = compile_tiny(tiny, "first")
    assert done.returncode == 0, done.stderr
    assert "tiny-ops 1.0: 2 modules, 2 objects" in done.stdout
    assert "tiny-ops 1.0: 2/2 objects" in done.stdout
    (wheel,) = (tiny / "first").glob("*.whl")
    inside = zipfile.ZipFile(wheel).namelist()
    assert sum(name.startswith("tiny_ops/_") and name.endswith(".so") for name in inside) == 2
    report = json.loads((tiny / "first/report.json").read_text(encoding="utf-8"))
    assert report["torch"] == "9.9"
    assert report["packages"]["tiny-ops"]["objects"] == 2
    assert report["packages"]["tiny-ops"]["bytes"] == wheel.stat().st_size
    again = compile_tiny(tiny, "second")
    assert again.returncode == 0, again.stderr
    second = json.loads((tiny / "second/report.json").read_text(encoding="utf-8"))
    assert second["packages"]["tiny-ops"]["sha256"] == report["packages"]["tiny-ops"]["sha256"]
    if shutil.which("ccache"):
        assert report["packages"]["tiny-ops"]["ccache"] == {"hits": 0, "misses": 2}
        assert second["packages"]["tiny-ops"]["ccache"] == {"hits": 2, "misses": 0}


def test_a_source_that_does_not_compile_fails_the_run(tiny: Path) -> None:
    (tiny / "tiny_ops-1.0/csrc/two.c").write_text("#error not today\n", encoding="utf-8")
    done = compile_tiny(tiny, "out", "--no-ccache")
    assert done.returncode == 1
    assert "not today" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(
        "compile_wheels.py: error: tiny-ops 1.0: tiny_ops._two: exit status"
    )
    assert not list((tiny / "out").glob("*"))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--out", "o", "--cpu"], "nothing to compile"),
        (["--out", "o", "a==1"], "--arch-list is needed"),
        (["--out", "o", "--cpu", "--jobs", "-1", "a==1"], "positive"),
    ],
)
def test_options_that_do_not_fit(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        compile_wheels.parse(words)
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("arch_list", ["8.0", "8.0;9.0+PTX", "8.0 9.0a"])
def test_architectures_that_nvcc_knows_pass(arch_list: str) -> None:
    compile_wheels.check_architectures(arch_list, ["compute_80", "compute_90"], "12.4.131")


@pytest.mark.parametrize(
    ("arch_list", "complaint"),
    [
        ("8.0;12.0+PTX", r"nvcc 12.4.131 cannot compile for 12.0\+PTX; its newest is 9.0"),
        ("8.0;Hopper", "'Hopper' in --arch-list"),
    ],
)
def test_architectures_that_nvcc_does_not_know_are_refused(arch_list: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        compile_wheels.check_architectures(arch_list, ["compute_80", "compute_90"], "12.4.131")


def test_another_python_is_become_once(tiny: Path) -> None:
    python = program(tiny / "bin/python", f'echo "$1" >>"{tiny}/began"; exec "{sys.executable}" "$@"')
    done = compile_tiny(tiny, "out", "--python", str(python), "--no-ccache")
    assert done.returncode == 0, done.stderr
    assert (tiny / "began").read_text(encoding="utf-8") == f"{compile_wheels.__file__}\n"


def test_a_missing_toolkit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", str(tmp_path / "o"), "--arch-list", "8.0", "--cuda-home", str(tmp_path), "a==1"]
    assert compile_wheels.main(words) == 1
    assert f"{tmp_path}/bin/nvcc: no such compiler" in capsys.readouterr().err
