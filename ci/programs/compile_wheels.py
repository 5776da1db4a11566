"""Compile wheels of torch extensions (PyTorch Geometric's) from their source archives, many objects at once.

    compile_wheels.py torch-scatter==2.1.2 --out DIR --arch-list '8.0;9.0+PTX' [--python /opt/env/bin/python]

The archives' setup.py files compile one object after another. Therefore they are only asked for their command lines,
and the objects of all packages are compiled here: the longest first, as many at once as cores and memory allow. When
all modules of a package are linked, its setup.py finds them up to date and packs the wheel.

Objects are compiled with narrow headers (extensions/headers.py), which include of torch what the source uses; one that
does not compile so is compiled with torch's own.

With ccache on PATH (and CCACHE_DIR set by the caller) every object goes through it, in the same way for every torch:
scripts named like the compilers come first on PATH, and the CUDA_HOME that torch sees is an overlay whose nvcc calls
`ccache nvcc`. Sources, narrow headers and torch's headers are found at fixed paths (--work), and objects that use
nothing of Python are compiled without its version in the command: containers of other Pythons hit the same entries.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import run_main
from extensions import commands
from extensions.compilers import build_environment, check_architectures, nvcc_version
from extensions.limits import room_here
from extensions.pool import Pool, Task
from extensions.report import Progress, log, write_report
from extensions.schedule import GB, MEMORY, SECONDS, Job, Room, plan_jobs, show_plan
from extensions.sources import download, unpack_packages
from extensions.tasks import Preparation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extensions.commands import Package

INSIDE = "COMPILE_WHEELS_PYTHON"  # set once the program runs in that Python
COMPILERS = (
    "cu",
    "cpp",
    "full_cu",
    "full_cpp",
)  # the kinds of objects: CUDA or host, narrow or torch's own headers


def job_memory(text: str) -> dict[str, float]:
    """Return the memory of compilers, bytes by kind, that a word of the command line gives in GB.

    >>> job_memory("cu=2,cpp=1"), len(job_memory("3.5"))
    ({'cu': 2000000000.0, 'cpp': 1000000000.0}, 4)

    Raises:
        argparse.ArgumentTypeError: A kind that is not there, or no positive number.
    """
    given = text.split(",") if "=" in text else [f"{kind}={text}" for kind in COMPILERS]
    memory = {}
    for word in given:
        kind, _, number = word.partition("=")
        kind = kind.replace("-", "_")
        if kind not in COMPILERS or not re.fullmatch(r"\d+(?:\.\d+)?", number) or not float(number):
            raise argparse.ArgumentTypeError(
                f"{word!r}: not a positive number of GB, or one for a kind: {', '.join(COMPILERS)}"
            )
        memory[kind] = float(number) * GB
    return memory


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="compile_wheels.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("packages", nargs="*", metavar="NAME==VERSION", help="the packages to compile")
    add("--requirements", type=Path, action="append", default=[], help="the same in a file, with hashes")
    add("--sdists", type=Path, help="a folder with the source archives: nothing is downloaded")
    add("--fetch", action="store_true", help="only download the source archives, into the folder --out")
    add("--python", type=Path, help="the Python that has torch (default: this one)")
    add("--out", type=Path, required=True, help="folder for the wheels and report.json")
    add("--cuda-home", type=Path, default=Path("/usr/local/cuda"), help="default: %(default)s")
    add("--cpu", action="store_true", help="without CUDA")
    add("--arch-list", default="", help="TORCH_CUDA_ARCH_LIST, e.g. '8.0;9.0+PTX'")
    add("--job-gb", type=job_memory, default={}, help="memory of one compiler, GB: 3.5, or cu=1.6,cpp=1.1")
    add("--jobs", type=int, default=0, help="compilers at once (default: by cores and memory)")
    add("--full-headers", action="store_true", help="compile with torch's own headers only")
    add("--only", metavar="GLOB", help="compile the sources that match, and neither link nor pack")
    add("--plan", action="store_true", help="print when each object would be compiled, and compile nothing")
    add("--work", type=Path, default=Path("/opt/compile-wheels"), help="default: %(default)s")
    add("--no-ccache", action="store_true", help="do not use ccache even if it is installed")
    options = parser.parse_args(argv)
    if not (options.packages or options.requirements or options.sdists):
        parser.error("nothing to compile: give NAME==VERSION, --requirements or --sdists")
    if options.cpu:
        options.cuda_home = None
    elif not options.arch_list:
        parser.error("--arch-list is needed with CUDA")
    if options.jobs < 0:
        parser.error("--jobs is a positive number")
    return options


def build(options: argparse.Namespace) -> None:
    """Compile all packages, copy their wheels to the folder --out, and write report.json there."""
    nvcc = nvcc_version(options.cuda_home)
    if options.cuda_home:
        command = [options.cuda_home / "bin/nvcc", "--list-gpu-arch"]
        known = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        check_architectures(options.arch_list, known, nvcc)
    options.work, options.out = options.work.resolve(), options.out.resolve()
    if options.cuda_home:
        options.cuda_home = options.cuda_home.resolve()
    room = Room(options.jobs, float("inf")) if options.jobs else room_here()
    packages = unpack_packages(options)
    os.environ.update(env := build_environment(options, os.environ))
    for name in set(os.environ) - set(env):
        del os.environ[name]
    began = time.monotonic()
    # Python 3.12 and later warn of fork beside numpy's threads.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    torch: Any = importlib.import_module("torch")
    importlib.import_module("torch.utils.cpp_extension")
    importlib.import_module("setuptools")
    target = f"nvcc {nvcc} for {options.arch_list}" if options.cuda_home else "CPU"
    cached = "CCACHE_NOHASHDIR" in env
    caching = "ccache on" if cached else "no ccache"
    size = f"at most {room.cores} at once" + ("" if options.jobs else f" in {room.memory / GB:.0f} GB")
    log(f"{len(packages)} packages, torch {torch.__version__}, {target}, {size}, {caching}")
    record_all(packages, room)
    preparation = Preparation(
        work=options.work,
        torch=Path(torch.__file__).parent,
        architectures=len(re.findall(r"\d+\.\d", options.arch_list)) if options.cuda_home else 1,
        narrow=not options.full_headers,
        cached=cached,
        memory={**MEMORY, **options.job_gb},
    )
    sources = preparation.sources(packages, options.only or "*")
    tasks = preparation.objects(sources) if options.only else preparation.tasks(sources)
    if options.plan:
        print("\n".join(show_plan(plan_jobs([task.job for task in tasks], room), room)))
        return
    pool = Pool(room)
    progress = Progress(pool, tasks)
    pool.run(tasks, progress.ended, progress.quiet)
    about = {
        "torch": str(torch.__version__),
        "torch_cuda": torch.version.cuda,
        "nvcc": nvcc,
        "arch_list": options.arch_list if options.cuda_home else "",
        "jobs": pool.most,
        "seconds": round(time.monotonic() - began, 1),
        "ccache": cached,
    }
    write_report(options, packages, progress, about)


def record_all(packages: Sequence[Package], room: Room) -> None:
    """Ask each package's setup.py for its commands."""

    def task(package: Package) -> Task:
        job = Job(f"{package.name} commands", "pack", SECONDS["pack"], MEMORY["pack"])
        work = partial(commands.record_commands, package)
        return Task(package, "setup.py", work, job, package.build / "commands.log")

    Pool(room).run([task(package) for package in packages], lambda _, __: None)
    for package in packages:
        package.modules = commands.read_commands(package)
        package.began = 0.0
        log(f"{package.label}: {len(package.modules)} modules, {len(package.objects)} objects")


def work(options: argparse.Namespace) -> None:
    """Compile, or only download."""
    if options.fetch:
        options.out.mkdir(parents=True, exist_ok=True)
        download(options, options.out)
    else:
        build(options)


def main(argv: Sequence[str] | None = None) -> int:
    """Compile wheels, in the Python that has torch; return the exit status."""
    options = parse(argv)
    # Compilers have process groups of their own: whoever ends this process ends them too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if options.python and os.environ.get(INSIDE) != str(options.python):  # torch is there: become that Python
        if not os.access(options.python, os.X_OK):
            print(f"compile_wheels.py: error: {options.python}: no such Python", file=sys.stderr)
            return 1
        rest = sys.argv[1:] if argv is None else argv
        os.environ[INSIDE] = str(options.python)
        os.execv(options.python, [str(options.python), __file__, *rest])  # noqa: S606 - no shell is wanted
    return run_main("compile_wheels.py", lambda: work(options), ImportError, subprocess.CalledProcessError)


if __name__ == "__main__":
    sys.exit(main())
