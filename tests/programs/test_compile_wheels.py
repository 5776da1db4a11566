"""compile_wheels.py: the compilers' scripts run for real, processes that fail, and wheels of a real small package."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import compile_wheels
from common.errors import UserError
from extensions import compilers
from extensions.commands import Package
from extensions.pool import Pool, Task, Usage
from extensions.schedule import Job, Room


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
    compilers.write_host_wrappers(tools / "wrappers", ["g++", "icc"], f"{path}/ccache", path)
    assert output("g++", "-c", "a b.cpp", path=f"{tools}/wrappers:{os.environ['PATH']}") == [
        f"ccache {path}/g++",
        "g++ -c a b.cpp",
    ]
    assert not (tools / "wrappers/icc").exists(), "what is not there gets no script"


def test_names_of_one_compiler_are_one_to_ccache(tools: Path) -> None:
    path = str(tools / "bin")
    program(tools / "bin/x86_64-linux-gnu-g++-12", 'echo "g++ $*"')
    (tools / "bin/g++").unlink()
    (tools / "bin/g++").symlink_to("x86_64-linux-gnu-g++-12")
    (tools / "bin/c++").symlink_to("g++")
    program(tools / "bin/clang", "exit 1")
    (tools / "bin/clang++").symlink_to("clang")
    (tools / "bin/cc").symlink_to("ccache")
    names = ["g++", "c++", "clang++", "cc"]
    compilers.write_host_wrappers(tools / "wrappers", names, f"{path}/ccache", path)
    called = {name: (tools / "wrappers" / name).read_text().split('"')[3] for name in names}
    one = f"{path}/x86_64-linux-gnu-g++-12"
    assert called == {"g++": one, "c++": one, "clang++": f"{path}/clang++", "cc": f"{path}/cc"}


def test_the_overlay_calls_nvcc_through_ccache_with_flags_that_it_knows(tools: Path) -> None:
    path = f"{tools}/bin:{os.environ['PATH']}"
    compilers.make_cuda_overlay(tools / "overlay", tools / "cuda", f"{tools}/bin/ccache", path)
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
    before = compilers.compilers_digest(tools / "cuda")
    program(tools / "cuda/nvvm/bin/cicc", "exit 0")
    assert compilers.compilers_digest(tools / "cuda") != before


def packages(folder: Path, count: int) -> list[Package]:
    found = [Package(f"p{number}", "1", folder, folder / f"b{number}") for number in range(count)]
    for package in found:
        package.build.mkdir()
    return found


def task(package: Package, what: str, work: Callable[[], None], needs: Iterable[str] = ()) -> Task:
    job = Job(f"{package.name} {what}", "cpp", 1.0, 1.0, frozenset(needs))
    return Task(package, what, work, job, package.build / f"{what}.log")


def pool(size: int) -> Pool:
    return Pool(Room(size, float("inf")))


def ignore(_: Task, __: Usage) -> None:
    pass


def test_the_pool_keeps_to_its_size(tmp_path: Path) -> None:
    running, log = tmp_path / "running", list[str]()
    running.mkdir()

    def work() -> None:
        (running / str(os.getpid())).touch()
        time.sleep(0.2)
        os.write(1, b"%d" % len(list(running.iterdir())))
        (running / str(os.getpid())).unlink()

    tasks = [task(one, "work", work) for one in packages(tmp_path, 4)]
    small = pool(2)
    small.run(tasks, lambda task, _: log.append(task.package.name))
    assert small.most == 2
    assert sorted(log) == ["p0", "p1", "p2", "p3"]
    assert max(int(one.log.read_text(encoding="utf-8")) for one in tasks) <= 2


def test_a_task_waits_for_what_it_needs(tmp_path: Path) -> None:
    log = list[str]()
    (package,) = packages(tmp_path, 1)
    tasks = [
        task(package, "wheel", lambda: None, ["p0 link"]),
        task(package, "link", lambda: None, ["p0 object"]),
        task(package, "object", lambda: None),
    ]
    pool(2).run(tasks, lambda task, _: log.append(task.what))
    assert log == ["object", "link", "wheel"]


def test_what_a_process_used_is_counted_with_its_children(tmp_path: Path) -> None:
    used = list[Usage]()
    (package,) = packages(tmp_path, 1)
    text = "x = bytearray(200_000_000); sum(range(3_000_000))"

    def use() -> None:
        subprocess.run([sys.executable, "-c", text], check=True)

    pool(1).run([task(package, "use", use)], lambda _, usage: used.append(usage))
    assert used[0].peak > 200_000_000
    assert used[0].cpu_seconds > 0.01


def test_a_failure_is_tried_again_in_the_other_way(tmp_path: Path) -> None:
    log = list[tuple[str, bool]]()
    (package,) = packages(tmp_path, 1)
    first, second = task(package, "object", lambda: sys.exit(1)), task(package, "object", lambda: None)
    first.retry, second.again = second, True
    tasks = [first, task(package, "link", lambda: None, ["p0 object"])]
    pool(1).run(tasks, lambda task, _: log.append((task.what, task.again)))
    assert log == [("object", True), ("link", False)]


def test_a_lack_of_memory_is_no_reason_to_try_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (package,) = packages(tmp_path, 1)
    first = task(package, "object", lambda: os.kill(os.getpid(), signal.SIGKILL))
    first.retry = task(package, "object", lambda: None)
    with pytest.raises(UserError, match="smaller --jobs"):
        pool(1).run([first], ignore)
    capfd.readouterr()


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

    with pytest.raises(UserError, match=r"^p0 1: fail: exit status 1$"):
        pool(2).run([task(second, "linger", linger), task(first, "fail", fail)], ignore)
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
        pool(1).run([task(package, "m", out_of_memory)], ignore)
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
    assert "tiny-ops 1.0: 2/2 objects, " in done.stdout
    assert "objects: 0 with narrow headers, 2 with torch's own" in done.stdout
    (wheel,) = (tiny / "first").glob("*.whl")
    inside = zipfile.ZipFile(wheel).namelist()
    assert sum(name.startswith("tiny_ops/_") and name.endswith(".so") for name in inside) == 2
    report = json.loads((tiny / "first/report.json").read_text(encoding="utf-8"))
    assert report["torch"] == "9.9"
    assert report["packages"]["tiny-ops"]["objects"] == 2
    assert report["headers"] == report["packages"]["tiny-ops"]["headers"] == {"narrow": 0, "full": 2}
    assert {one["source"] for one in report["compiled"]} == {"csrc/one.c", "csrc/two.c"}
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
        "compile_wheels.py: error: tiny-ops 1.0: csrc/two.c: exit status"
    )
    assert not list((tiny / "out").glob("*"))


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--out", "o", "--cpu"], "nothing to compile"),
        (["--out", "o", "a==1"], "--arch-list is needed"),
        (["--out", "o", "--cpu", "--jobs", "-1", "a==1"], "positive"),
        (["--out", "o", "--cpu", "--job-gb", "0", "a==1"], "positive"),
        (["--out", "o", "--cpu", "--job-gb", "cu=2,cxx=1", "a==1"], "'cxx=1': not a positive number of GB"),
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
    compilers.check_architectures(arch_list, ["compute_80", "compute_90"], "12.4.131")


@pytest.mark.parametrize(
    ("arch_list", "complaint"),
    [
        ("8.0;12.0+PTX", r"nvcc 12.4.131 cannot compile for 12.0\+PTX; its newest is 9.0"),
        ("8.0;Hopper", "'Hopper' in --arch-list"),
    ],
)
def test_architectures_that_nvcc_does_not_know_are_refused(arch_list: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        compilers.check_architectures(arch_list, ["compute_80", "compute_90"], "12.4.131")


def test_another_python_is_become_once(tiny: Path) -> None:
    python = program(tiny / "bin/python", f'echo "$1" >>"{tiny}/began"; exec "{sys.executable}" "$@"')
    done = compile_tiny(tiny, "out", "--python", str(python), "--no-ccache")
    assert done.returncode == 0, done.stderr
    assert (tiny / "began").read_text(encoding="utf-8") == f"{compile_wheels.__file__}\n"


def test_a_missing_toolkit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", str(tmp_path / "o"), "--arch-list", "8.0", "--cuda-home", str(tmp_path), "a==1"]
    assert compile_wheels.main(words) == 1
    assert f"{tmp_path}/bin/nvcc: no such compiler" in capsys.readouterr().err
