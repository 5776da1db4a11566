"""Read the digest of a tag from the registry itself, as the engine may have cached it."""

import secrets
from dataclasses import dataclass

import dagger

from ci.plan.programs import python_command
from ci.plan.tags import find_registry
from ci.programs.read_tag import is_loopback
from ci.stages.programs import with_program

_HOST = "registry"  # host name, in the container, of a registry on the caller's machine
_DIGEST = "/run/digest.txt"


@dataclass(frozen=True)
class Login:
    """The user and password of one registry."""

    host: str
    user: str
    password: dagger.Secret


@dataclass(frozen=True)
class RegistryClient:
    """A client of registries; `service` is a registry on the caller's machine, if there is one."""

    logins: tuple[Login, ...]
    service: dagger.Service | None

    def reaches(self, address: str) -> bool:
        """Return whether a container can reach an image's registry; on loopback it needs `service`."""
        return self.service is not None or not is_loopback(find_registry(address))

    async def read_tag(self, tools: dagger.Container, address: str) -> str:
        """Return the current digest of a tag; `tools` is a container with Python."""
        registry = find_registry(address)
        container = with_program(tools, "read_tag.py").with_env_variable("MARK", secrets.token_hex(8))
        command = python_command("read_tag.py", address, "--out", _DIGEST)
        if self.service and is_loopback(registry):
            container = container.with_service_binding(_HOST, self.service)
            command += ["--at", f"http://{_HOST}:{registry.partition(':')[2] or 80}"]
        for login in self.logins:
            if login.host == registry:
                container = container.with_env_variable("REGISTRY_USER", login.user)
                container = container.with_secret_variable("REGISTRY_PASSWORD", login.password)
        # In a file, because Dagger scrubs secrets from output, and a short password may be part of the digest.
        return await container.with_exec(command).file(_DIGEST).contents()
