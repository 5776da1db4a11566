"""Hold the surroundings of a build, which change no image: the network or a bundle, compile jobs, the attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import dagger

from ci.plan.attempt import StageAttempt
from ci.plan.externals import ExternalInput
from ci.plan.programs import shell_command
from ci.stages.offline import OfflineBundle
from ci.stages.online import Network
from ci.stages.programs import with_program, without_program
from ci.stages.step import Step

_ATTEMPT = "CSLR_IMAGES_TRY"


@dataclass(frozen=True)
class BuildContext:
    """The surroundings of a build, or of one stage of it (`for_stage`).

    With a bundle as the network no step reaches another: what it needs is mounted. `externals` is what the stage takes
    from outside. `attempt` is the number of the attempt, which makes a failed step another one for the engine.
    `steps`, if there is a list, gets all steps in the order in which they are composed.
    """

    network: Network | OfflineBundle = field(default_factory=Network)
    jobs: int | None = None
    attempt: int = 1
    stage: str = ""
    steps: list[Step] | None = None
    externals: Mapping[str, ExternalInput] = field(default_factory=dict)

    @property
    def offline_bundle(self) -> OfflineBundle | None:
        """Return the bundle that the build is made from, None if it reaches the network."""
        return self.network if isinstance(self.network, OfflineBundle) else None

    def for_stage(
        self, stage: str, attempt: StageAttempt, externals: Mapping[str, ExternalInput] | None = None
    ) -> "BuildContext":
        """Return the context of one attempt at a stage."""
        return replace(
            self,
            stage=stage,
            jobs=attempt.jobs or self.jobs,
            attempt=attempt.number,
            externals=externals or {},
        )

    def image(self, name: str) -> dagger.Container:
        """Return a base image."""
        return self.network.image(name)

    def run(self, container: dagger.Container, command: Sequence[str]) -> dagger.Container:
        """Run a command of the stage."""
        step = Step(self.stage, container, tuple(command))
        if self.steps is not None:
            self.steps.append(step)
        return step.after()

    def run_program(
        self, container: dagger.Container, name: str, arguments: Sequence[str]
    ) -> dagger.Container:
        """Run a shell program of `ci/programs`, which is mounted for this step only."""
        ran = self.run(with_program(container, name), shell_command(name, *arguments))
        return without_program(ran, name)

    def with_apt(self, container: dagger.Container) -> dagger.Container:
        """Let the next steps install Debian packages, until `without_network`."""
        return self._with_attempt(self.network.with_apt(container, self.externals))

    def with_package_index(self, container: dagger.Container, name: str = "") -> dagger.Container:
        """Let the next steps install Python packages, until `without_network`.

        `name` is what the stage calls the packages among its external inputs: a bundle gives those only.
        """
        return self._with_attempt(self.network.with_package_index(container, self.externals, name))

    def with_mirror(self, container: dagger.Container, name: str = "") -> dagger.Container:
        """Let the next steps also read addresses of the sources, which may be on the caller's machine."""
        return self._with_attempt(self.network.with_mirror(container, self.externals, name))

    def download(self, address: str) -> dagger.File:
        """Fetch one file."""
        return self.network.download(address, self.externals)

    def bundled_file(self, name: str) -> dagger.File | None:
        """Return the file of an external input of the stage, None if steps download it themselves."""
        return self.network.bundled_file(self.externals, name)

    def without_network(self, container: dagger.Container) -> dagger.Container:
        """Undo `with_apt`, `with_package_index` and `with_mirror`, so that nothing of them stays in an image."""
        container = self.network.without_network(container)
        return container.without_env_variable(_ATTEMPT) if self._numbered else container

    @property
    def _numbered(self) -> bool:
        return self.attempt > 1 and self.offline_bundle is None

    def _with_attempt(self, container: dagger.Container) -> dagger.Container:
        if not self._numbered:
            return container
        return container.with_env_variable(_ATTEMPT, str(self.attempt))
