"""What every stage may reach: the programs that run in containers, the user's mirror on loopback, or only a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from urllib.parse import urlsplit

import dagger
from dagger import dag

from ci.plan.attempt import StageAttempt
from ci.plan.commands import PROGRAMS, shell
from ci.plan.externals import DEBS, ExternalInput
from ci.stages.offline import OfflineBundle
from ci.stages.step import Step

MIRROR = "mirror"  # the host name by which mirrors files call the user's own machine


@dataclass(frozen=True)
class BuildContext:
    """The surroundings of a build, which change no image: the user's mirror, the package index, compile jobs.

    With a `supply` no step reaches a network: what it needs is mounted. `needs` is what the stage takes from outside.
    `tried` is the number of the try, which makes a step that failed another one for the engine. `steps`, if there is
    a list, is where all steps are written down, in the order in which they are composed.
    """

    mirror: dagger.Service | None = None
    mirror_host: str = ""
    index: str | None = None
    jobs: int | None = None
    tried: int = 1
    stage: str = ""
    steps: list[Step] | None = None
    offline_bundle: OfflineBundle | None = None
    externals: Mapping[str, ExternalInput] = field(default_factory=dict)

    def for_stage(
        self, stage: str, attempt: StageAttempt, externals: Mapping[str, ExternalInput] | None = None
    ) -> "BuildContext":
        """Return the surroundings of a stage that is tried with an effort."""
        return replace(
            self, stage=stage, jobs=attempt.jobs or self.jobs, tried=attempt.tried, externals=externals or {}
        )

    def image(self, name: str) -> dagger.Container:
        """Return a base image."""
        return self.offline_bundle.image(name) if self.offline_bundle else dag.container().from_(name)

    def run(self, container: dagger.Container, command: Sequence[str]) -> dagger.Container:
        """Run a command of the stage."""
        step = Step(self.stage, container, tuple(command))
        if self.steps is not None:
            self.steps.append(step)
        return step.after()

    def run_program(
        self, container: dagger.Container, name: str, arguments: Sequence[str]
    ) -> dagger.Container:
        """Run one of the shell programs of `ci/programs`, which is not there before and after."""
        ran = self.run(with_program(container, name), shell(name, *arguments))
        return without_program(ran, name)

    def with_apt(self, container: dagger.Container) -> dagger.Container:
        """Let the next steps install Debian packages; `offline` takes it back."""
        if self.offline_bundle:
            return self.offline_bundle.with_debs(container, self.externals[DEBS])
        return _with(container, self._network())

    def with_package_index(self, container: dagger.Container, external: str = "") -> dagger.Container:
        """Let the next steps install Python packages, those of a need of the stage; `offline` takes it back."""
        if self.offline_bundle:
            found = self.externals.get(external)
            return self.offline_bundle.with_packages(container, found) if found else container
        container = _with(_with(container, self._network()), self._packages())
        return self._bound(container) if self.index else container

    def with_mirror(self, container: dagger.Container, external: str = "") -> dagger.Container:
        """Let the next steps, which read addresses of the sources, also reach the user's machine as `mirror`."""
        container = self.with_package_index(container, external)
        return container if self.offline_bundle else self._bound(container)

    def download(self, address: str) -> dagger.File:
        """Fetch one file; the engine does it, so it needs no container."""
        if self.offline_bundle:
            return self.offline_bundle.file(self.externals[address])
        if self.mirror and urlsplit(address).hostname == MIRROR:
            # The engine knows the service by its own name only, not by the one that containers are given.
            own = address.replace(f"//{MIRROR}", f"//{self.mirror_host}", 1)
            return dag.http(own, experimental_service_host=self.mirror)
        return dag.http(address)

    def bundled_file(self, external: str) -> dagger.File | None:
        """Return the file of a need of the stage, None where the network gives it."""
        return (
            self.offline_bundle.file(self.externals[external])
            if self.offline_bundle and external in self.externals
            else None
        )

    def without_network(self, container: dagger.Container) -> dagger.Container:
        """Take back what `connected`, `online` and `mirrored` set, so that it does not stay in an image."""
        if self.offline_bundle:
            return self.offline_bundle.unmount(container)
        for name, _ in (*self._network(), *self._packages()):
            container = container.without_env_variable(name)
        return container

    def _bound(self, container: dagger.Container) -> dagger.Container:
        return container.with_service_binding(MIRROR, self.mirror) if self.mirror else container

    def _network(self) -> list[tuple[str, str]]:
        # uv and pip bring CA bundles of their own; the system's also holds a site's proxy CA.
        bundle = "/etc/ssl/certs/ca-certificates.crt"
        found = [("SSL_CERT_FILE", bundle), ("PIP_CERT", bundle)]
        return [*found, ("CSLR_IMAGES_TRY", str(self.tried))] if self.tried > 1 else found

    def _packages(self) -> list[tuple[str, str]]:
        if not self.index:
            return []
        # pip refuses an index over plain HTTP unless its host is named; here the user named the address.
        trusted = ("PIP_TRUSTED_HOST", urlsplit(self.index).netloc)
        return [("UV_DEFAULT_INDEX", self.index), ("PIP_INDEX_URL", self.index), trusted]


def _with(container: dagger.Container, variables: Sequence[tuple[str, str]]) -> dagger.Container:
    for name, value in variables:
        container = container.with_env_variable(name, value)
    return container


@cache
def program(name: str) -> dagger.File:
    """Return one of the programs of `ci/programs`."""
    return _programs().file(name)


def with_program(container: dagger.Container, name: str) -> dagger.Container:
    """Mount one of the programs of `ci/programs`, file or folder, at /run/cslr-images."""
    if "." in name:
        return container.with_mounted_file(f"{PROGRAMS}/{name}", program(name))
    return container.with_mounted_directory(f"{PROGRAMS}/{name}", _folder(name))


def without_program(container: dagger.Container, name: str) -> dagger.Container:
    """Unmount a program again."""
    return container.without_mount(f"{PROGRAMS}/{name}")


@cache  # like each program: the engine is asked for the id of an object once
def _folder(name: str) -> dagger.Directory:
    return _programs().directory(name)


@cache
def _programs() -> dagger.Directory:
    return dag.current_module().source().directory("ci/programs")
