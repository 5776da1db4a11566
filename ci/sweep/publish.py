"""Push an image under its tags, and ask the registry whether it has the image and whether the tags point there."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

import dagger
from dagger import ImageLayerCompression, dag

from ci.choices import COMPRESSIONS
from ci.history.failures import classify_failure
from ci.history.records import Failure
from ci.plan.tags import checked_repository, registry_of, tags
from ci.stages.builder import ImageBuilder
from ci.sweep.registry import Login, RegistryClient
from ci.sweep.scheduler import StageError
from ci.util.errors import UserError, error_message, require_choice

_COMPRESSIONS = {"zstd": ImageLayerCompression.Zstd, "gzip": ImageLayerCompression.Gzip}
# From 1.0 on Dagger writes down where a tag points when it first sees it, and believes that for ever.
LOCKED = "; on Dagger 1.0 a line in dagger.lock may be the reason: with --registry-service the registry itself is asked"


@dataclass(frozen=True)
class Publisher:
    """Where images go: repositories without tags, who asks their registries, and the compression of layers."""

    repositories: tuple[str, ...]
    asker: RegistryClient
    compression: str

    async def publish(
        self, build: ImageBuilder, wheel_tag: str, versions: dict[str, str]
    ) -> tuple[tuple[str, ...], str]:
        """Push a build's image, and return the references (`repository:tag@sha256:…`) and the image's digest.

        The tag that stays comes first: where that fails, the moving tag still names the last good image. What a
        registry has already is not sent again.

        Raises:
            StepError: a push failed, or the registry gives back another digest.
        """
        references: list[str] = []
        digest = ""
        for repository in self.repositories:
            for tag in tags(build.plan, wheel_tag, versions):
                address = f"{repository}:{tag}"
                digest = await self._push(build, address)
                references.append(f"{address}@{digest}")
        return tuple(references), digest

    async def _push(self, build: ImageBuilder, address: str) -> str:
        try:
            pushed = await self._logged_in(build.image()).publish(
                address, forced_compression=_COMPRESSIONS[self.compression]
            )
            digest = pushed.rpartition("@")[2]
            await self._resolve(f"{address}@{digest}")
            found, doubt = await self._read_tag(build.container("base"), address)
        except dagger.QueryError as error:
            raise StageError(
                classify_failure("publish", "", message=f"{address}: {error_message(error)}")
            ) from None
        if found != digest:
            said = f"{address}: pushed {digest}, the registry has {found}{doubt}"
            raise StageError(Failure(kind="registry", stage="publish", message=said))
        return digest

    async def _read_tag(self, tools: dagger.Container, address: str) -> tuple[str, str]:
        """Return the digest to which a tag points, and what else it may come from."""
        doubt = LOCKED
        if self.asker.reaches(address):
            try:
                return await self.asker.read_tag(tools, address), ""
            except dagger.ExecError as error:  # such as one in plain HTTP, which the engine is configured for
                said = error.stderr.strip().rpartition("\n")[2]
                doubt = f"; the registry itself could not be asked: {said}"
        return await self._resolve(address), doubt

    async def _resolve(self, reference: str) -> str:
        """Return the digest of what the engine finds under a reference."""
        found = await self._logged_in(dag.container()).from_(reference).image_ref()
        return found.rpartition("@")[2]

    def _logged_in(self, container: dagger.Container) -> dagger.Container:
        for login in self.asker.logins:
            container = container.with_registry_auth(login.host, login.user, login.password)
        return container


@dataclass(frozen=True)
class PublishOptions:
    """The caller's options of publishing; without repositories images go to the matrix's name on Docker Hub."""

    repositories: Sequence[str] | None
    user: str | None
    password: dagger.Secret | None
    docker_config: dagger.Secret | None
    service: dagger.Service | None
    compression: str


async def open_publisher(name: str, options: PublishOptions) -> Publisher:
    """Check where images go and who may push them there, before anything is built.

    Raises:
        UserError: a repository, a login or the compression is wrong.
    """
    require_choice("compression", options.compression, COMPRESSIONS)
    user, password = options.user, options.password
    chosen = tuple(checked_repository(value) for value in options.repositories or [f"docker.io/{name}"])
    if (user is None) != (password is None):
        raise UserError("a registry login needs both --registry-user and --registry-password")
    logins = await _logins(options.docker_config) if options.docker_config else []
    if user is not None and password is not None:
        hosts = dict.fromkeys(map(registry_of, chosen))
        logins += [Login(host, user, password) for host in hosts]
    return Publisher(chosen, RegistryClient(tuple(logins), options.service), options.compression)


async def _logins(docker_config: dagger.Secret) -> list[Login]:
    """Read the logins of a docker configuration: `{"auths": {host: {"auth": base64 of user:password}}}`."""
    try:
        known = json.loads(await docker_config.plaintext())["auths"]
        pairs = {
            host: base64.b64decode(entry["auth"]).decode().partition(":") for host, entry in known.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise UserError(
            'the docker configuration has no logins; accepted: {"auths": {host: {"auth": …}}} as docker writes it'
        ) from None
    return [
        Login(registry_of(address), user, dag.set_secret(f"registry-{address}", password))
        for address, (user, _, password) in pairs.items()
    ]
