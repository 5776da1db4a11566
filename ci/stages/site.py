"""What every stage may reach: the programs that run in containers, and the user's mirror on loopback."""

from dataclasses import dataclass

import dagger
from dagger import dag

PROGRAMS = "/run/cslr-images"


@dataclass(frozen=True)
class Site:
    """The surroundings of a build that are not part of its plan."""

    mirror: dagger.Service | None = None

    def online(self, container: dagger.Container) -> dagger.Container:
        """Let the next steps reach the network: trust the system's CAs, and find the host name `mirror`."""
        # uv and pip bring CA bundles of their own; the system's also holds a site's proxy CA.
        container = container.with_env_variable("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
        container = container.with_env_variable("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt")
        return container.with_service_binding("mirror", self.mirror) if self.mirror else container

    def download(self, address: str) -> dagger.File:
        """Fetch one file; the engine does it, so it needs no container."""
        if self.mirror:
            return dag.http(address, experimental_service_host=self.mirror)
        return dag.http(address)

    @staticmethod
    def offline(container: dagger.Container) -> dagger.Container:
        """Take back what `online` set, so that it does not stay in an image."""
        return container.without_env_variable("SSL_CERT_FILE").without_env_variable("PIP_CERT")


def with_program(container: dagger.Container, name: str) -> dagger.Container:
    """Mount one of the programs of `ci/programs`, file or folder, at /run/cslr-images."""
    source = dag.current_module().source().directory("ci/programs")
    if name.endswith(".py"):
        return container.with_mounted_file(f"{PROGRAMS}/{name}", source.file(name))
    return container.with_mounted_directory(f"{PROGRAMS}/{name}", source.directory(name))


def without_program(container: dagger.Container, name: str) -> dagger.Container:
    """Unmount a program again."""
    return container.without_mount(f"{PROGRAMS}/{name}")
