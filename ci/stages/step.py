"""Hold a step of a stage: a command, and the container in which it runs."""

from dataclasses import dataclass

import dagger
from dagger import ReturnType


@dataclass(frozen=True)
class Step:
    """A command of a stage, and the container as it is before the command; `privileged` gives it the right to mount."""

    stage: str
    before: dagger.Container
    command: tuple[str, ...]
    privileged: bool = False

    def after(self, expect: ReturnType = ReturnType.SUCCESS) -> dagger.Container:
        """Return the container as the command leaves it."""
        if self.privileged:
            return self.before.with_exec(list(self.command), expect=expect, insecure_root_capabilities=True)
        return self.before.with_exec(list(self.command), expect=expect)
