"""Run daggerw on machines without a container runtime, and its own commands on any machine."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from engine import bundle as bundle_module
from engine import server, setup
from engine.arguments import SOURCES, complete_arguments, split_bundle_option
from engine.client import run_dagger
from engine.output import EngineError, info, warn
from engine.paths import PROJECT, VERSION, Paths
from engine.processes import Commands

HELP = """\
daggerw runs dagger: with the dagger and the container runtime of this machine if it has both,
else with an engine of its own, made once and kept in a cache folder.

  daggerw ARGUMENTS...     dagger ARGUMENTS...
  daggerw sweep ...        the whole matrix, with records and reports (daggerw sweep --help)
  daggerw debug ...        a terminal where a cell's command fails (docs/reference.md, debug)
  daggerw bundle PATH ...  all that cells are built from, and the engine, for a site without a network (daggerw bundle)
  daggerw bundle verify PATH | diff ONE OTHER
                           what is wrong with a bundle; what has changed from one to another
  daggerw status           what the embedded engine is and uses
  daggerw logs             the end of the engine's log
  daggerw stop             ends the engine; what it cached stays
  daggerw clean            ends it and removes what it cached
  daggerw clean --all      removes the engine itself too
  daggerw --help           dagger's own help

With the embedded engine, `daggerw call` means `dagger call --sources registries` unless --sources is given.
`--sources bundle:PATH` builds from a bundle, with no network.

Without a terminal a call shows its stages, what its programs say, and errors; the cache folder's run/call-*.log has
all that dagger says. `--progress plain` shows that instead.

  CSLR_IMAGES_CACHE        the cache folder (default: ~/.cache/cslr-images)
  CSLR_IMAGES_QUIET=1      do not say which engine is used
"""
LOW_GB = 15
STATUS_SECONDS = 20
LOG_LINES = 50


def run(arguments: list[str]) -> int:
    """Run a command and return the exit status; print an error as one line."""
    try:
        return _dispatch(arguments) or 0
    except EngineError as error:
        warn(str(error))
        return 1
    except KeyboardInterrupt:
        warn("interrupted; the next use goes on from here")
        return 130


def _dispatch(arguments: list[str]) -> int | None:
    """Run the command that the arguments name; anything else is passed to dagger, whose exit status is returned."""
    paths = Paths.default()
    match arguments:
        case ["bundle", "verify" | "diff", *_]:
            raise SystemExit(bundle_module.run_program(arguments[1:]))
        case ["bundle", *rest]:
            _make_bundle(paths, rest)
        case ["own", *rest]:  # the machine has dagger and a container runtime
            return run_dagger(["dagger", *split_bundle_option(rest)[0]], os.environ, paths, Path.cwd())
        case ["help"]:
            print(HELP, end="")
        case ["status"]:
            _print_status(paths)
        case ["logs"]:
            _print_log(paths)
        case ["stop"]:
            _require_root()
            with setup.exclusive_lock(paths):
                print("stopped" if server.stop_engine(paths) else "was not running")
        case ["clean", *options] if set(options) <= {"--all"}:
            _require_root()
            _clean(paths, everything="--all" in options)
        case ["clean" | "status" | "stop" | "logs" | "help", *_]:
            raise EngineError("unknown option (see daggerw help)")
        case _:
            return _run_dagger(paths, arguments)
    return None


def _run_dagger(paths: Paths, arguments: list[str]) -> int:
    """Start the engine if it is not running, run dagger, and return its exit status."""
    _require_root()
    dagger_arguments, bundle = split_bundle_option(arguments)
    engine = server.find_engine(paths)
    if engine is None:
        with setup.exclusive_lock(paths):
            engine = server.find_engine(paths) or server.start_engine(paths, setup.make_parts(paths, bundle))
    completed, added = complete_arguments(dagger_arguments, Path.cwd())
    _print_engine(paths, added)
    program = str(Path(engine.tools) / "dagger")
    environment = {
        **os.environ,
        "DAGGER_NO_NAG": "1",
        "DO_NOT_TRACK": "1",
        "_EXPERIMENTAL_DAGGER_RUNNER_HOST": f"unix://{engine.socket}",
    }
    return run_dagger([program, *completed], environment, paths, Path.cwd())


def _make_bundle(paths: Paths, rest: list[str]) -> None:
    """Write a bundle: call the module's `bundle` function, then add the engine's own parts."""
    target, call, filters = bundle_module.parse_arguments(rest)
    staging = bundle_module.make_staging_folder(target)
    command = [str(PROJECT / "daggerw"), "call", *call, "bundle", *filters, "export", f"--path={staging}"]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        raise EngineError("the bundle is not finished: the same call goes on from here")
    if server.find_engine(paths):
        bundle_module.add_engine(staging, paths, Commands(paths.setup_log))
    else:
        warn("this machine has a dagger of its own: the bundle has no engine")
    print(bundle_module.update_bundle(staging, target))


def _print_engine(paths: Paths, added: bool) -> None:
    """Print which engine and sources are used, and warn if the disk is nearly full."""
    free = _to_gb(shutil.disk_usage(paths.cache).free)
    sources = f"--sources {SOURCES}" if added else "no sources chosen"
    warning = f"; only {free:.0f} GB of disk free" if free < LOW_GB else ""
    info(f"embedded engine {VERSION}, {sources}{warning}")


def _print_status(paths: Paths) -> None:
    """Print the engine's state, its disk use and its addresses."""
    engine = server.Engine.read(paths)
    alive = engine is not None and engine.alive
    lines = {
        "engine": f"{'running' if alive else 'not running'}, {VERSION}",
        "cache folder": str(paths.cache),
        "state": _measure_folder(paths.state),
        "free disk": f"{_to_gb(shutil.disk_usage(_find_existing(paths.cache)).free):.0f} GB",
        "kept free": f"{_to_gb(server.KEPT_FREE):.0f} GB: with less, the engine drops what it has cached",
    }
    if engine and alive:
        lines |= {
            "process": str(engine.init.pid),
            "socket": engine.socket,
            "registry": f"{engine.registry} (plain HTTP, emptied when the engine starts)",
            "network": engine.subnet,
            "log": str(paths.log),
        }
    for name, value in lines.items():
        print(f"{name:13} {value}")


def _print_log(paths: Paths) -> None:
    """Print the last lines of the engine's log."""
    if not paths.log.exists():
        raise EngineError(f"no log in {paths.run}")
    print("\n".join(paths.log.read_text(errors="replace").splitlines()[-LOG_LINES:]))


def _clean(paths: Paths, *, everything: bool) -> None:
    """Stop the engine and remove its cache, or everything in the cache folder that is its own."""
    if not paths.cache.exists():
        print("nothing to remove")
        return
    before = shutil.disk_usage(paths.cache).free
    with setup.exclusive_lock(paths):
        server.stop_engine(paths)
        own = [paths.state, paths.registry, *([paths.parts, paths.run] if everything else [])]
        # An engine cannot work with what a removal that was cut off has left.
        setup.set_aside(filter(Path.exists, own), paths.cache)
        removed = paths.cache.glob(f"{setup.REMOVED}*")  # of an earlier call, too
        subprocess.run(["rm", "--recursive", "--force", "--one-file-system", *map(str, removed)], check=True)
    freed = shutil.disk_usage(_find_existing(paths.cache)).free - before
    if everything:
        paths.lock.unlink(missing_ok=True)
        with suppress(OSError):  # the folder may also hold the tests' environment
            paths.cache.rmdir()
    print(f"freed {max(0.0, _to_gb(freed)):.1f} GB")


def _measure_folder(folder: Path) -> str:
    """Return the disk use of a folder as text; give up after STATUS_SECONDS."""
    if not folder.exists():
        return "none"
    measure = ["du", "--summarize", "--one-file-system", "--block-size=1", str(folder)]
    try:
        result = subprocess.run(
            measure, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=STATUS_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"too large to measure in {STATUS_SECONDS} s"
    return f"{_to_gb(int(result.stdout.split()[0])):.1f} GB"


def _find_existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(candidate for candidate in [folder, *folder.parents] if candidate.exists())


def _to_gb(size: float) -> float:
    """Convert bytes to gigabytes (10^9 bytes)."""
    return size / 1e9


def _require_root() -> None:
    """Refuse to go on without root."""
    if os.geteuid() != 0:
        raise EngineError(
            "the embedded engine needs root; without root, install dagger and a container runtime"
        )
