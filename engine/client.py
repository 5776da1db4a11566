"""Run dagger: with its own display in a terminal, else with the lines of its progress that a person reads."""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from engine.arguments import is_call
from engine.output import info, warn
from engine.paths import PROJECT, Paths
from engine.progress import ProgressFilter

# Options of dagger by which the user chooses another display.
DISPLAY_OPTIONS = {"--progress", "--silent", "--verbose", "--quiet", "--debug", "-s", "-d"}
KEPT_LOGS = 10
PR_SET_PDEATHSIG = 1  # of prctl(2)


def run_dagger(command: Sequence[str], environment: Mapping[str, str], paths: Paths, folder: Path) -> int:
    """Run dagger and return its exit status; a call whose display needs nothing of ours replaces this process.

    Args:
        command: the program's path, and its arguments.
        environment: all variables of the program.
        paths: the cache folder, where the whole log of a call is kept.
        folder: the folder from which the user calls.
    """
    program, *arguments = command
    if has_own_display(arguments, environment, folder):
        os.execvpe(program, ["dagger", *arguments], dict(environment))  # noqa: S606 - replaces this process
    log = open_log(paths)
    programs = {path.stem for path in (PROJECT / "ci/programs").glob("*.py")}
    info(f"all that dagger says goes to {log.name}")
    chosen = ProgressFilter(programs, time.monotonic)
    with log:
        status = _run_filtered(command, environment, log, chosen)
    if status and chosen.damaged:
        warn("files of the engine's cache are missing: `./daggerw clean` gives it an empty one")
    if status:
        warn(f"dagger ended with exit status {status}; see {log.name}")
    return status


def has_own_display(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> bool:
    """Return whether dagger's display stays as it is: in a terminal, if chosen, and for all but this module's calls."""
    return (
        sys.stdout.isatty()
        or sys.stderr.isatty()
        or bool(environment.get("DAGGER_PROGRESS"))
        or any(argument.partition("=")[0] in DISPLAY_OPTIONS for argument in arguments)
        or any(argument.startswith("-") and not argument.strip("-vq") for argument in arguments)
        or not is_call(arguments, folder)
    )


def open_log(paths: Paths) -> IO[bytes]:
    """Open a new log file, and remove all but the last ones."""
    name = f"call-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    try:
        paths.run.mkdir(parents=True, exist_ok=True)
        logs = sorted(paths.run.glob("call-*.log"))
        for old in logs[: max(0, len(logs) - KEPT_LOGS + 1)]:
            old.unlink(missing_ok=True)
        return (paths.run / name).open("wb")
    except OSError:  # the machine's own dagger needs no cache folder
        return Path(tempfile.mkdtemp(prefix="daggerw-"), name).open("wb")


def _run_filtered(
    command: Sequence[str], environment: Mapping[str, str], log: IO[bytes], chosen: ProgressFilter
) -> int:
    """Run a program with its messages filtered; it gets each signal once, and ends if this process is killed."""
    with subprocess.Popen(
        command,
        env={**environment, "DAGGER_PROGRESS": "plain"},
        stderr=subprocess.PIPE,
        process_group=0,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # macOS has no prctl
    ) as process:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _: process.send_signal(received))
        assert process.stderr
        _copy_messages(process.stderr, log, chosen)
        status = process.wait()
    return 128 - status if status < 0 else status


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _copy_messages(source: IO[bytes], log: IO[bytes], chosen: ProgressFilter) -> None:
    """Copy all messages to the log until they end, and show the chosen ones."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        while True:
            if not selector.select(timeout=1):
                _show(chosen.tick)
                continue
            data = os.read(source.fileno(), 1 << 16)
            log.write(data)
            log.flush()
            *lines, rest = (rest + data).split(b"\n")
            for line in lines if data else [rest]:
                text = line.decode(errors="replace")
                _show(lambda text=text: chosen.feed(text))  # type: ignore[misc]
            if not data:
                return


def _show(choose: Callable[[], list[str]]) -> None:
    for line in choose():
        with suppress(OSError):  # whoever read them is gone; dagger goes on
            print(line, file=sys.stderr, flush=True)
