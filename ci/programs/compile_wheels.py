"""Compile wheels of torch extensions (PyTorch Geometric's) from their source archives, many modules at once.

    compile_wheels.py torch-scatter==2.1.2 --out DIR --arch-list '8.0;9.0+PTX' [--python /opt/env/bin/python]

The archives' setup.py files compile one object after another. Therefore the unit of work here is one extension module:
torch is imported once, a process is forked for each module, and as many run at once as cores and memory allow. When all
modules of a package are compiled, its setup.py finds them up to date and packs the wheel.

With ccache on PATH (and CCACHE_DIR set by the caller) every object goes through it, in the same way for every torch:
scripts named like the compilers come first on PATH, and the CUDA_HOME that torch sees is an overlay whose nvcc calls
`ccache nvcc`. Sources are unpacked at a fixed path (--work), so that other containers hit the same entries.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import UserError, run_main
from common.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

CUDA_JOB, HOST_JOB = 3.5e9, 2.0e9  # measured peaks: 3.2 GB for one .cu, 1.6 GB for one .cpp
ZIP_EPOCH = "315532800"  # 1980-01-01, the first day that a zip archive can name
INSIDE = "COMPILE_WHEELS_PYTHON"  # set once the program runs in that Python
HITS, MISSES = ("direct_cache_hit", "preprocessed_cache_hit"), ("cache_miss",)


# --- how much at once -------------------------------------------------------------------------------------------


def available_memory(meminfo: str, limit: str = "", current: str = "", stat: str = "") -> int:
    """Return the bytes that may be used: the machine's MemAvailable, or what is left to the control group (v2) if less.

    Pages of files that the group could drop do not count as used.
    """
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    memory = int(found.group(1)) * 1024 if found else 0
    if limit.strip().isdigit() and current.strip().isdigit():
        pages = sum(int(n) for n in re.findall(r"^(?:inactive_file|active_file) (\d+)", stat, re.MULTILINE))
        memory = min(memory, int(limit) - max(int(current) - pages, 0))
    return max(memory, 0)


def cores(affinity: int, cpu_max: str = "") -> int:
    """Return the number of processors that may be used; `cpu_max` is the control group's "quota period"."""
    quota, _, period = cpu_max.strip().partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        return max(1, min(affinity, round(int(quota) / int(period))))
    return affinity


def slots(processors: int, memory: int, one_job: float) -> int:
    """Return how many jobs may run at once, each needing a processor and `one_job` bytes."""
    return max(1, min(processors, int(memory // one_job)))


def slots_here(one_job: float) -> int:
    """Return how many jobs may run at once on this machine."""

    def text(path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8")
        except OSError:
            return ""

    group = "/sys/fs/cgroup/"
    memory = available_memory(
        text("/proc/meminfo"),
        text(group + "memory.max"),
        text(group + "memory.current"),
        text(group + "memory.stat"),
    )
    return slots(cores(len(os.sched_getaffinity(0)), text(group + "cpu.max")), memory, one_job)


# --- compilers --------------------------------------------------------------------------------------------------


def write_script(path: Path, *lines: str) -> None:
    """Write an executable shell script."""
    path.unlink(missing_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")), encoding="utf-8")
    path.chmod(0o755)


def compiler_names() -> list[str]:
    """Return the names by which a build may call the host compiler: the usual ones and those of Python's own build."""
    names = {"gcc", "g++", "cc", "c++"}
    for variable in ("CC", "CXX", "LDSHARED", "LDCXXSHARED"):
        words = str(sysconfig.get_config_var(variable) or "").split()
        names.update(Path(word).name for word in words[:1])
    return sorted(names)


def compilers_digest(cuda_home: Path | None) -> str:
    """Return the compiler's identity for ccache: a digest of the programs that do the work, not only their drivers."""
    programs = [shutil.which("gcc"), shutil.which("g++")]
    if shutil.which("g++"):
        asked = subprocess.run(
            ["g++", "-print-prog-name=cc1plus"], capture_output=True, text=True, check=False
        )
        programs.append(asked.stdout.strip())
    if cuda_home:
        programs += [str(cuda_home / "bin" / name) for name in ("nvcc", "cudafe++", "ptxas", "fatbinary")]
        programs += [str(cuda_home / "nvvm/bin/cicc"), str(cuda_home / "nvvm/libdevice/libdevice.10.bc")]
    digest = hashlib.sha256()
    for program in programs:
        if program and Path(program).is_file():
            digest.update(hashlib.sha256(Path(program).read_bytes()).digest())
    return digest.hexdigest()


def write_host_wrappers(folder: Path, names: Iterable[str], ccache: str, path: str) -> None:
    """Write scripts that are named like the host compilers and call them through ccache."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        real = shutil.which(name, path=path)
        if real:
            write_script(folder / name, f'exec "{ccache}" "{real}" "$@"')


def make_cuda_overlay(folder: Path, cuda_home: Path, ccache: str, path: str) -> None:
    """Make a CUDA_HOME whose nvcc goes through ccache; everything else is a link to the real one.

    nvcc gets the PATH without the host wrappers, or its own calls of gcc would be cached a second time. ccache does
    not know nvcc's long names for -MD and -MF and would not cache the object, so they are rewritten.
    """
    if folder.exists():
        shutil.rmtree(folder)
    (folder / "bin").mkdir(parents=True)
    for entry in cuda_home.iterdir():
        if entry.name != "bin":
            (folder / entry.name).symlink_to(entry)
    for entry in (cuda_home / "bin").iterdir():
        (folder / "bin" / entry.name).symlink_to(entry)
    write_script(
        folder / "bin/nvcc",
        f'PATH="{path}"',
        "export PATH",
        "for word do",
        "    shift",
        '    case "$word" in',
        "        --generate-dependencies-with-compile) word=-MD ;;",
        "        --dependency-output) word=-MF ;;",
        "    esac",
        '    set -- "$@" "$word"',
        "done",
        f'exec "{ccache}" "{cuda_home}/bin/nvcc" "$@"',
    )


def environment(options: argparse.Namespace, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of every build."""
    env = {
        name: value for name, value in base.items() if name not in ("CC", "CXX", "CUDA_PATH", "NVCC_FLAGS")
    }
    path, work = base.get("PATH", os.defpath), options.work
    env.setdefault("SOURCE_DATE_EPOCH", ZIP_EPOCH)
    env.update(MAX_JOBS="1", TORCH_NO_COMPILER_WRAPPER="1", PYTHONDONTWRITEBYTECODE="1", PATH=path)
    for name in (
        "CFLAGS",
        "CXXFLAGS",
    ):  # Python's own contain -g: a third more time and memory, and the link drops it
        env[name] = f"{base.get(name, '')} -g0".strip()
    env.pop("FORCE_ONLY_CPU", None)
    env.pop("FORCE_ONLY_CUDA", None)
    if options.cuda_home:
        # The CUDA variant of a module has the CPU operators too, and is loaded if both exist.
        env.update(FORCE_CUDA="1", FORCE_ONLY_CUDA="1", TORCH_CUDA_ARCH_LIST=options.arch_list)
        env["CUDA_HOME"] = str(options.cuda_home)
    else:
        env.update(FORCE_CUDA="0", FORCE_ONLY_CPU="1")
        env.pop("CUDA_HOME", None)
    ccache = shutil.which("ccache", path=path)
    if ccache and not options.no_ccache:
        write_host_wrappers(work / "wrappers", compiler_names(), ccache, path)
        env["PATH"] = f"{work}/wrappers{os.pathsep}{path}"
        # Python's own flags contain -g, with which ccache would hash the working folder.
        env.update(CCACHE_NOHASHDIR="1", CCACHE_COMPILERCHECK=f"string:{compilers_digest(options.cuda_home)}")
        if options.cuda_home:
            make_cuda_overlay(work / "cuda", options.cuda_home, ccache, path)
            env["CUDA_HOME"] = str(work / "cuda")
    return env


# --- sources ----------------------------------------------------------------------------------------------------


def download(options: argparse.Namespace, folder: Path) -> None:
    """Download the source archives by pip, which requires all hashes as soon as a requirements file has one."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    command += ["--no-build-isolation", "--no-cache-dir", "--dest", str(folder), *options.packages]
    for file in options.requirements:
        command += ["--requirement", str(file)]
    env = {**os.environ, "FORCE_CUDA": "0", "FORCE_ONLY_CPU": "1"}  # pip asks each setup.py for its name
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(done.stdout[-3000:], file=sys.stderr)
        lines = [line for line in done.stdout.splitlines() if line.startswith("ERROR")]
        raise UserError(f"pip download: {lines[-1] if lines else f'exit status {done.returncode}'}")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack name-version.tar.gz, and return its single folder."""
    with tarfile.open(archive) as tar:
        tops = {name.split("/")[0] for name in tar.getnames()}
        if len(tops) != 1:
            raise UserError(f"{archive.name}: not a source archive, it has {len(tops)} folders")
    subprocess.run(
        ["tar", "-xzf", archive, "-C", folder, "--no-same-owner"], check=True
    )  # 3.11.2 has no extractall filter
    source = folder / tops.pop()
    if not (source / "setup.py").is_file():
        raise UserError(f"{archive.name}: no setup.py")
    return source


# --- packages ---------------------------------------------------------------------------------------------------


@dataclass
class Module:
    """One extension module: the unit of work."""

    name: str
    sources: list[str]

    @property
    def weight(self) -> int:
        """Return the relative time that compiling takes."""
        return sum(5 if source.endswith(".cu") else 2 for source in self.sources)


@dataclass
class Package:
    """A source archive that becomes a wheel; times are in seconds."""

    name: str
    version: str
    source: Path
    build: Path
    modules: list[Module] = field(default_factory=list)
    done: list[Module] = field(default_factory=list)
    seconds: float = 0.0
    began: float = 0.0
    wheel: Path | None = None

    @property
    def weight(self) -> int:
        """Return the relative time that compiling takes."""
        return sum(module.weight for module in self.modules)

    def stats(self) -> dict[str, int] | None:
        """Return how many objects came from ccache, and how many were compiled."""
        logs = sorted(self.build.glob("*.ccache"))
        words = [word for log in logs for word in log.read_text(encoding="utf-8").split()]
        return {
            "hits": sum(words.count(word) for word in HITS),
            "misses": sum(words.count(word) for word in MISSES),
        }


def run_setup(source: Path, command: Sequence[str], change: Callable[[dict[str, Any]], None]) -> None:
    """Run a package's setup.py in this process, with changed arguments of its call of setup()."""
    setuptools: Any = importlib.import_module("setuptools")
    real = setuptools.setup

    def setup(**arguments: Any) -> Any:
        build_ext: Any = arguments["cmdclass"]["build_ext"]

        class OneByOne(build_ext):  # type: ignore[misc]
            """torch's build_ext without ninja, which would write one build.ninja for all modules."""

            def __init__(self, *positional: Any, **named: Any) -> None:
                super().__init__(*positional, **named)
                self.use_ninja = False

        arguments["cmdclass"]["build_ext"] = OneByOne
        change(arguments)
        return real(**arguments)

    os.chdir(source)
    sys.path.insert(0, str(source))
    sys.argv = ["setup.py", *command]
    setuptools.setup = setup
    runpy.run_path("setup.py", run_name="__main__")


def list_modules(package: Package) -> None:
    """Write the names and sources of a package's modules to build/modules.json."""

    def change(arguments: dict[str, Any]) -> None:
        found = [
            {"name": module.name, "sources": list(module.sources)} for module in arguments["ext_modules"]
        ]
        (package.build / "modules.json").write_text(json.dumps(found), encoding="utf-8")

    run_setup(package.source, ["--quiet", "--name"], change)


def build_folders(package: Package, temporary: str) -> dict[str, dict[str, str]]:
    """Return options of setup.py's commands that set the folders of a build."""
    lib = str(package.build / "lib")
    return {
        "build": {
            "build_base": str(package.build),
            "build_lib": lib,
            "build_platlib": lib,
            "build_purelib": lib,
        },
        "build_ext": {"build_lib": lib, "build_temp": str(package.build / temporary)},
    }


def build_module(package: Package, module: Module) -> None:
    """Compile and link one extension module."""
    os.environ["CCACHE_STATSLOG"] = str(package.build / f"{module.name}.ccache")

    def change(arguments: dict[str, Any]) -> None:
        arguments["ext_modules"] = [one for one in arguments["ext_modules"] if one.name == module.name]
        arguments["options"] = build_folders(package, f"temp.{module.name}")

    run_setup(package.source, ["build_ext"], change)


def build_wheel(package: Package) -> None:
    """Pack the wheel: every module is newer than its sources, so setup.py compiles nothing."""
    wheel_folder = str(package.build / "wheel")

    def change(arguments: dict[str, Any]) -> None:
        arguments["options"] = build_folders(package, "temp")

    run_setup(package.source, ["bdist_wheel", "--dist-dir", wheel_folder], change)
    if (package.build / "temp").exists():
        raise UserError("setup.py compiled its modules a second time")


# --- processes --------------------------------------------------------------------------------------------------


def fork(work: Callable[[], None], log: Path) -> int:
    """Fork a process in a group of its own that calls a function, with its output in a file; return its id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setpgid(0, 0)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(out, 1)
        os.dup2(out, 2)
        work()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1 if error.code else 0
        if isinstance(error.code, str):
            print(error.code)
    except BaseException:  # noqa: BLE001 - whatever ends a child is written to its log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@dataclass
class Task:
    """One process: a module's compilation, or a step of its package."""

    package: Package
    what: str
    work: Callable[[], None]
    module: Module | None = None

    @property
    def log(self) -> Path:
        """Return the file of its output."""
        return self.package.build / f"{self.what}.log"


class Pool:
    """Run tasks, `size` at once; the first failure ends all of them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.running: dict[int, Task] = {}

    def run(self, tasks: Iterable[Task], finished: Callable[[Task], Task | None]) -> None:
        """Run tasks; `finished` is called with each, and may return one that is started next."""
        waiting = list(tasks)
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self.size:
                    task = waiting.pop(0)
                    task.package.began = task.package.began or time.monotonic()
                    self.running[fork(task.work, task.log)] = task
                pid, status = os.wait()
                done = self.running.pop(pid, None)
                if done is None:
                    continue
                if status:
                    raise UserError(explain(done, os.waitstatus_to_exitcode(status)))
                following = finished(done)
                if following:
                    waiting.insert(0, following)
        finally:
            for pid in self.running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self.running.clear()


def explain(task: Task, status: int) -> str:
    """Print the end of a failed task's log on stderr, and return one line for the error."""
    text = task.log.read_text(encoding="utf-8", errors="replace") if task.log.exists() else ""
    print("\n".join(line[:2000] for line in text.splitlines()[-40:]), file=sys.stderr)
    reason = f"exit status {status}"
    if status == -9 or re.search(r"\bKilled\b", text):
        reason = "a compiler was killed, most likely for memory: give a smaller --jobs"
    return f"{task.package.name} {task.package.version}: {task.what}: {reason}"


def log(text: str) -> None:
    """Print a line of progress."""
    print(f"compile_wheels: {text}", flush=True)


def compile_all(packages: Sequence[Package], jobs: int) -> None:
    """Compile all packages: the longest first, and its longest module first."""

    def read_modules(task: Task) -> None:
        modules = json.loads((task.package.build / "modules.json").read_text(encoding="utf-8"))
        task.package.modules = [Module(module["name"], module["sources"]) for module in modules]

    def compile_task(package: Package, module: Module) -> Task:
        return Task(package, module.name, lambda: build_module(package, module), module)

    def finished(task: Task) -> Task | None:
        package = task.package
        label = f"{package.name} {package.version}"
        if task.module is None:
            package.wheel = next((package.build / "wheel").glob("*.whl"))
            package.seconds = time.monotonic() - package.began
            log(
                f"{label}: {package.wheel.name}, {package.wheel.stat().st_size} bytes, {package.seconds:.0f} s"
            )
            return None
        package.done.append(task.module)
        objects = sum(len(module.sources) for module in package.done)
        total = sum(len(module.sources) for module in package.modules)
        seconds = time.monotonic() - package.began
        log(f"{label}: {objects}/{total} objects after {seconds:.0f} s ({task.module.name})")
        if len(package.done) < len(package.modules):
            return None
        return Task(package, "wheel", lambda: build_wheel(package))

    pool = Pool(jobs)
    pool.run(
        [Task(package, "list", lambda package=package: list_modules(package)) for package in packages],  # type: ignore[misc]
        lambda task: read_modules(task),
    )
    for package in packages:
        package.began = 0.0
        if not package.modules:
            raise UserError(f"{package.name}: no extension module in its setup.py")
    tasks = []
    for package in sorted(packages, key=lambda package: -package.weight):
        total = sum(len(module.sources) for module in package.modules)
        log(f"{package.name} {package.version}: {len(package.modules)} modules, {total} objects")
        tasks += [
            compile_task(package, module)
            for module in sorted(package.modules, key=lambda module: -module.weight)
        ]
    pool.run(tasks, finished)


# --- the program ------------------------------------------------------------------------------------------------


def nvcc_version(cuda_home: Path | None) -> str:
    """Return the version that nvcc prints, empty without CUDA."""
    if cuda_home is None:
        return ""
    nvcc = cuda_home / "bin/nvcc"
    if not nvcc.exists():
        raise UserError(f"{nvcc}: no such compiler (give --cuda-home, or --cpu)")
    text = subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"\bV(\d+\.\d+\.\d+)", text)
    if not found:
        raise UserError(f"{nvcc} --version: no version in its output")
    return found.group(1)


def check_architectures(arch_list: str, known: Iterable[str], nvcc: str) -> None:
    """Refuse architectures that nvcc would refuse after minutes; `known` is the output of `nvcc --list-gpu-arch`."""
    numbers = {re.sub(r"\D", "", name) for name in known}
    for word in re.split(r"[;\s]+", arch_list.strip()):
        found = re.fullmatch(r"(\d+)\.(\d)[af]?(\+PTX)?", word)
        if not found:
            raise UserError(f"{word!r} in --arch-list: not like 8.0 or 9.0+PTX")
        if numbers and found[1] + found[2] not in numbers:
            newest = max(numbers, key=int)
            raise UserError(
                f"nvcc {nvcc} cannot compile for {word}; its newest is {newest[:-1]}.{newest[-1]}"
            )


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
    add("--job-gb", type=float, default=0, help="memory of one compiler, GB (default: 3.5, CPU 2)")
    add("--jobs", type=int, default=0, help="compilers at once (default: by cores and memory)")
    add("--work", type=Path, default=Path("/opt/compile-wheels"), help="default: %(default)s")
    add("--no-ccache", action="store_true", help="do not use ccache even if it is installed")
    options = parser.parse_args(argv)
    if not (options.packages or options.requirements or options.sdists):
        parser.error("nothing to compile: give NAME==VERSION, --requirements or --sdists")
    if options.cpu:
        options.cuda_home = None
    elif not options.arch_list:
        parser.error("--arch-list is needed with CUDA")
    if options.jobs < 0 or options.job_gb < 0:
        parser.error("--jobs and --job-gb are positive numbers")
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
    one_job = options.job_gb * 1e9 or (CUDA_JOB if options.cuda_home else HOST_JOB)
    jobs = options.jobs or slots_here(one_job)
    packages = unpack_packages(options)
    os.environ.update(env := environment(options, os.environ))
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
    log(f"{len(packages)} packages, torch {torch.__version__}, {target}, {jobs} at once, {caching}")
    compile_all(packages, jobs)
    report: dict[str, Any] = {
        "torch": str(torch.__version__),
        "torch_cuda": torch.version.cuda,
        "python": sys.version.split()[0],
        "nvcc": nvcc,
        "arch_list": options.arch_list if options.cuda_home else "",
        "jobs": jobs,
        "seconds": round(time.monotonic() - began, 1),
        "packages": {package.name: copy_wheel(package, options.out, cached) for package in packages},
    }
    (options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    stats = [entry["ccache"] for entry in report["packages"].values() if entry["ccache"]]
    hits, misses = sum(entry["hits"] for entry in stats), sum(entry["misses"] for entry in stats)
    counts = f", ccache {hits} hits, {misses} misses" if cached else ""
    log(f"{len(packages)} wheels in {report['seconds']:.0f} s{counts}")


def unpack_packages(options: argparse.Namespace) -> list[Package]:
    """Download the source archives unless they were given, and unpack them into an empty working folder."""
    for name in ("sdists", "source", "build"):
        shutil.rmtree(options.work / name, ignore_errors=True)
        (options.work / name).mkdir(parents=True)
    options.out.mkdir(parents=True, exist_ok=True)
    archives = options.sdists
    if archives is None:
        archives = options.work / "sdists"
        download(options, archives)
    packages = []
    for archive in sorted(archives.glob("*.tar.gz")):
        source = unpack(archive, options.work / "source")
        name, _, version = source.name.rpartition("-")
        folder = options.work / "build" / name
        folder.mkdir()
        packages.append(Package(name.replace("_", "-"), version, source, folder))
    if not packages:
        raise UserError(f"{archives}: no source archive (*.tar.gz)")
    return packages


def copy_wheel(package: Package, out: Path, cached: bool) -> dict[str, Any]:
    """Copy a package's wheel; return its entry of the report."""
    assert package.wheel is not None
    wheel = out / package.wheel.name
    shutil.copyfile(package.wheel, wheel)
    return {
        "version": package.version,
        "wheel": wheel.name,
        "bytes": wheel.stat().st_size,
        "sha256": sha256_of(wheel),
        "seconds": round(package.seconds, 1),
        "objects": sum(len(module.sources) for module in package.modules),
        "ccache": package.stats() if cached else None,
    }


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
