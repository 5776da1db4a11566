"""Reach the network in build steps: the sources' addresses, the package index, a mirror on the caller's machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import dagger
from dagger import dag

from ci.plan.externals import ExternalInput

MIRROR = "mirror"  # the host name by which mirrors files call the caller's own machine
# uv and pip bring CA bundles of their own; the system's also holds a site's proxy CA.
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_CERTIFICATES = (("SSL_CERT_FILE", _CA_BUNDLE), ("PIP_CERT", _CA_BUNDLE))


@dataclass(frozen=True)
class Network:
    """The network of a build. `index` is the address of the package index, None for the clients' default."""

    mirror: dagger.Service | None = None
    mirror_host: str = ""
    index: str | None = None

    def image(self, name: str) -> dagger.Container:
        """Return a base image."""
        return dag.container().from_(name)

    def with_apt(self, container: dagger.Container, _: Mapping[str, ExternalInput]) -> dagger.Container:
        """Let the next steps install Debian packages."""
        return _with_variables(container, _CERTIFICATES)

    def with_package_index(
        self, container: dagger.Container, _: Mapping[str, ExternalInput], __: str
    ) -> dagger.Container:
        """Let the next steps install Python packages."""
        container = _with_variables(container, (*_CERTIFICATES, *self._index_variables()))
        return self._with_mirror_service(container) if self.index else container

    def with_mirror(
        self, container: dagger.Container, externals: Mapping[str, ExternalInput], name: str
    ) -> dagger.Container:
        """Let the next steps, which read addresses of the sources, also reach the caller's machine as `mirror`."""
        return self._with_mirror_service(self.with_package_index(container, externals, name))

    def download(self, address: str, _: Mapping[str, ExternalInput]) -> dagger.File:
        """Fetch one file; the engine does it, so it needs no container."""
        if self.mirror and urlsplit(address).hostname == MIRROR:
            # The engine knows the service by its own name only, not by the one that containers are given.
            own = address.replace(f"//{MIRROR}", f"//{self.mirror_host}", 1)
            return dag.http(own, experimental_service_host=self.mirror)
        return dag.http(address)

    def bundled_file(self, _: Mapping[str, ExternalInput], __: str) -> dagger.File | None:
        """Return None: steps download what they need themselves."""
        return None

    def without_network(self, container: dagger.Container) -> dagger.Container:
        """Remove the variables that the other methods set, so that they do not stay in an image."""
        for name, _ in (*_CERTIFICATES, *self._index_variables()):
            container = container.without_env_variable(name)
        return container

    def _with_mirror_service(self, container: dagger.Container) -> dagger.Container:
        return container.with_service_binding(MIRROR, self.mirror) if self.mirror else container

    def _index_variables(self) -> tuple[tuple[str, str], ...]:
        if not self.index:
            return ()
        # pip refuses an index over plain HTTP unless its host is named; here the user named the address.
        trusted = ("PIP_TRUSTED_HOST", urlsplit(self.index).netloc)
        return (("UV_DEFAULT_INDEX", self.index), ("PIP_INDEX_URL", self.index), trusted)


def _with_variables(container: dagger.Container, variables: Sequence[tuple[str, str]]) -> dagger.Container:
    for name, value in variables:
        container = container.with_env_variable(name, value)
    return container
