"""Run processes, as many at once as the room allows; the first failure ends all of them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.errors import UserError
from extensions.schedule import Job, Room, next_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from extensions.commands import Package

QUIET = 30.0  # seconds without a finished task after which a sign of life is given
_POLL = 0.05  # seconds


@dataclass(frozen=True)
class Usage:
    """Seconds of the clock, seconds of processors, and the peak memory (bytes) of a finished process."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak: int = 0


@dataclass
class Task:
    """One process: an object, a link, or a step of a package.

    `retry` is what is tried if it fails for another reason than a lack of memory; `again` marks that task.
    """

    package: Package
    what: str
    work: Callable[[], None]
    job: Job
    log: Path
    retry: Task | None = None
    again: bool = False


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


def run_command(words: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
    """Become another program; called in a forked process."""
    os.chdir(cwd)
    os.environ.update(env)
    os.execvp(words[0], list(words))  # noqa: S606 - no shell is wanted


class Pool:
    """Tasks that run in the processors and the memory of a room."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.running: dict[int, tuple[Task, float]] = {}
        self.waiting: list[Task] = []
        self.done: set[str] = set()
        self.most = 0  # that ran at the same time

    def run(
        self,
        tasks: Iterable[Task],
        ended: Callable[[Task, Usage], None],
        quiet: Callable[[], None] = lambda: None,
    ) -> None:
        """Run tasks; `ended` is called after each, and `quiet` when none has ended for half a minute.

        Raises:
            UserError: A task failed, and its `retry` too. All others were killed.
        """
        self.waiting = list(tasks)
        told = time.monotonic()
        try:
            while self.waiting or self.running:
                self._start()
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if not pid:
                    time.sleep(_POLL)
                    if time.monotonic() - told >= QUIET:
                        told = time.monotonic()
                        quiet()
                    continue
                if pid not in self.running:
                    continue
                task, began = self.running.pop(pid)
                if status:
                    self._retry(task, os.waitstatus_to_exitcode(status))
                    continue
                self.done.add(task.job.name)
                seconds = time.monotonic() - began
                ended(task, Usage(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024))
                told = time.monotonic()
        finally:
            self._kill()

    def _start(self) -> None:
        """Start what fits."""
        while job := next_job(
            [task.job for task in self.waiting],
            [task.job for task, _ in self.running.values()],
            self.done,
            self.room,
        ):
            task = next(task for task in self.waiting if task.job is job)
            self.waiting.remove(task)
            task.package.began = task.package.began or time.monotonic()
            self.running[fork(task.work, task.log)] = (task, time.monotonic())
            self.most = max(self.most, len(self.running))
        if not self.running:
            names = ", ".join(task.job.name for task in self.waiting)
            raise AssertionError(f"tasks that need what is not there: {names}")

    def _retry(self, task: Task, status: int) -> None:
        """Queue what a failed task is retried with, or raise its failure."""
        if task.retry is None or was_killed(task, status):
            raise UserError(explain(task, status))
        self.waiting.append(task.retry)

    def _kill(self) -> None:
        """Kill the processes that still run, and those that they started."""
        for pid in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # it may not have made its group yet
            os.waitpid(pid, 0)
        self.running.clear()


def read_log(task: Task) -> str:
    """Return the output of a task."""
    return task.log.read_text(encoding="utf-8", errors="replace") if task.log.exists() else ""


def was_killed(task: Task, status: int) -> bool:
    """Return whether a compiler was killed, which is what a kernel without free memory does."""
    return status == -signal.SIGKILL or bool(re.search(r"\bKilled\b", read_log(task)))


def explain(task: Task, status: int) -> str:
    """Print the end of a failed task's log on stderr, and return one line for the error."""
    print("\n".join(line[:2000] for line in read_log(task).splitlines()[-40:]), file=sys.stderr)
    reason = f"exit status {status}"
    if was_killed(task, status):
        reason = "a compiler was killed, most likely for memory: give a smaller --jobs"
    return f"{task.package.label}: {task.what}: {reason}"
