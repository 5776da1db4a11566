"""Keep the history in a cache volume, where it survives a killed client or engine."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import dagger

from ci.plan.caches import Cache
from ci.plan.programs import shell_command
from ci.session.machine import Machine, parse_machine
from ci.stages.cache_volumes import with_cache
from ci.stages.programs import with_program
from ci.stages.texts import make_text_file

PROGRAM = "keep_history.sh"

_COPY = "/tmp/history.jsonl"  # noqa: S108 - in a container
_LINES = "/run/given.jsonl"
_MACHINE_LINES = 3  # that `read` prints first


@dataclass(frozen=True)
class HistorySnapshot:
    """The history of an engine at one moment, the ids of its live runs, and its machine.

    `stages` are the seconds of stages that were built outside of sweeps, by digest.
    """

    text: str
    live: frozenset[str]
    machine: Machine
    stages: Mapping[str, float]


class HistoryStore:
    """The history of an image on this engine.

    `name` is the image's name in the matrix (`me/image`). Steps run in `container`. `run` is the id of this run; it
    also keeps Dagger from reusing results of other runs.
    """

    def __init__(self, name: str, container: dagger.Container, run: str) -> None:
        self._name = name_volume(name)
        self._container = container
        self.run = run
        self._steps = 0

    @asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """Mark this run as live until the block ends."""
        lock = self._with_records().as_service(args=_command("live", self.run))
        await lock.start()
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await lock.stop(kill=True)

    async def read(self) -> HistorySnapshot:
        """Read the current history, live runs and machine."""
        step = self._uncached().with_exec(_command("read", _COPY))
        text = await step.file(_COPY).contents()
        *machine, rest = (await step.stdout()).split("\n", _MACHINE_LINES)
        lines = [line.split() for line in rest.splitlines()]
        live = frozenset(words[1] for words in lines if words[:1] == ["run"] and len(words) == 2)
        stages = {words[1]: float(words[2]) for words in lines if words[:1] == ["stage"] and len(words) == 3}
        return HistorySnapshot(text, live, parse_machine("\n".join(machine)), stages)

    async def append(self, lines: str) -> None:
        """Append lines, and return when they are written to disk."""
        await self._append(lines, "history.jsonl")

    async def append_stages(self, lines: str) -> None:
        """Append lines with the digest and the seconds of a stage."""
        await self._append(lines, "stages")

    async def _append(self, lines: str, name: str) -> None:
        file = make_text_file("given.jsonl", lines)
        await (
            self._uncached()
            .with_mounted_file(_LINES, file)
            .with_exec(_command("append", _LINES, name))
            .sync()
        )

    def _uncached(self) -> dagger.Container:
        """Return the container with a variable that is new for each step: none is cached."""
        self._steps += 1
        return self._with_records().with_env_variable("MARK", f"{self.run}-{self._steps}")

    def _with_records(self) -> dagger.Container:
        return with_program(with_cache(self._container, Cache.RECORDS, self._name), PROGRAM)


def name_volume(name: str) -> str:
    """Return the part of a volume's name for an image's name; no two images have the same.

    >>> name_volume("me/cslr-images"), name_volume("me-cslr/images"), name_volume("me-cslr-images")
    ('me-cslr-images', 'me-cslr--images', 'me-cslr-images--')
    """
    owner, slash, rest = name.partition("/")
    if slash and "-" not in owner and "/" not in rest:
        return f"{owner}-{rest}"
    # A name has no two hyphens in a row.
    return name.replace("/", "--") if slash or "-" not in name else f"{name}--"


def _command(name: str, *arguments: str) -> list[str]:
    return shell_command(PROGRAM, name, Cache.RECORDS.path, *arguments)
