"""Ask a registry itself, from inside a container, where a tag points: the engine may answer from its own memory."""

import secrets
from dataclasses import dataclass

import dagger

from ci.plan.programs import python_command
from ci.plan.tags import registry_of
from ci.programs.read_tag import is_loopback
from ci.stages.programs import with_program

_HOST = "registry"  # what the container calls a registry on the caller's machine
_DIGEST = "/run/digest.txt"


@dataclass(frozen=True)
class Login:
    """Who pushes to a registry; the password stays a secret."""

    host: str
    user: str
    password: dagger.Secret


@dataclass(frozen=True)
class RegistryClient:
    """What asks registries: the logins, and the registry on the caller's machine if it is given as a service."""

    logins: tuple[Login, ...]
    service: dagger.Service | None

    def reaches(self, address: str) -> bool:
        """Tell whether a container reaches the registry of an image: this machine is not the container's."""
        return self.service is not None or not is_loopback(registry_of(address))

    async def read_tag(self, tools: dagger.Container, address: str) -> str:
        """Return the digest to which a tag points now; `tools` has Python."""
        registry = registry_of(address)
        container = with_program(tools, "read_tag.py").with_env_variable("MARK", secrets.token_hex(8))
        command = python_command("read_tag.py", address, "--out", _DIGEST)
        if self.service and is_loopback(registry):
            container = container.with_service_binding(_HOST, self.service)
            command += ["--at", f"http://{_HOST}:{registry.partition(':')[2] or 80}"]
        for login in self.logins:
            if login.host == registry:
                container = container.with_env_variable("REGISTRY_USER", login.user)
                container = container.with_secret_variable("REGISTRY_PASSWORD", login.password)
        # In a file, for what is printed is searched for the password: a short one may be a part of the digest.
        return await container.with_exec(command).file(_DIGEST).contents()
