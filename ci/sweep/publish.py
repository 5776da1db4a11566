"""Push an image under its tags, and check that the registry's tags refer to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagger
from dagger import ImageLayerCompression, dag

from ci.choices import COMPRESSIONS
from ci.history.failures import StageError, classify_failure
from ci.history.records import Failure
from ci.plan.docker_config import read_docker_config
from ci.plan.tags import find_registry, make_tags, parse_repository
from ci.programs.read_tag import is_loopback
from ci.stages.builder import ImageBuilder
from ci.sweep.registry import Login, RegistryClient
from ci.util.errors import UserError, error_message, require_choice

_COMPRESSIONS = {"zstd": ImageLayerCompression.Zstd, "gzip": ImageLayerCompression.Gzip}
# Since version 1.0 Dagger locks the digest of a tag when it resolves the tag for the first time.
LOCK_HINT = (
    "; on Dagger 1.0 a line in dagger.lock may be the reason: "
    "with --registry-service the registry itself is asked"
)


@dataclass(frozen=True)
class Publisher:
    """Publish images to repositories (given without a tag), with one compression of layers."""

    repositories: tuple[str, ...]
    registry: RegistryClient
    compression: str

    def describe_anonymous(self) -> list[str]:
        """Return a line for each registry for which no login was given: told before anything is built.

        A registry on this machine is often one without logins.
        """
        known = {login.host for login in self.registry.logins}
        hosts = dict.fromkeys(map(find_registry, self.repositories))
        return [
            f"no login for {host} was given (--registry-user and --registry-password, or --docker-config): images are "
            "pushed with the login that dagger finds on this machine, or without one"
            for host in hosts
            if host not in known and not is_loopback(host)
        ]

    async def publish(
        self, builder: ImageBuilder, wheel_tag: str, versions: dict[str, str]
    ) -> tuple[tuple[str, ...], str]:
        """Push an image, and return its references (`repository:tag@sha256:…`) and its digest.

        The immutable tag is pushed first: if that fails, the moving tag still refers to the last good image. Layers
        that a registry has already are not sent again.

        Raises:
            StageError: a push failed, or the registry returns another digest.
        """
        references: list[str] = []
        digest = ""
        for repository in self.repositories:
            for tag in make_tags(builder.plan, wheel_tag, versions):
                address = f"{repository}:{tag}"
                digest = await self._push(builder, address)
                references.append(f"{address}@{digest}")
        return tuple(references), digest

    async def _push(self, builder: ImageBuilder, address: str) -> str:
        try:
            pushed = await self._with_logins(builder.image()).publish(
                address, forced_compression=_COMPRESSIONS[self.compression]
            )
            digest = pushed.rpartition("@")[2]
            await self._resolve(f"{address}@{digest}")
            found, hint = await self._read_tag(builder.container("base"), address)
        except dagger.QueryError as error:
            raise StageError(
                classify_failure("publish", "", message=f"{address}: {error_message(error)}")
            ) from None
        if found != digest:
            message = f"{address}: pushed {digest}, the registry has {found}{hint}"
            raise StageError(Failure(kind="registry", stage="publish", message=message))
        return digest

    async def _read_tag(self, tools: dagger.Container, address: str) -> tuple[str, str]:
        """Return the digest of a tag, and a hint why it may be old unless the registry was asked."""
        hint = LOCK_HINT
        if self.registry.reaches(address):
            try:
                return await self.registry.read_tag(tools, address), ""
            except (
                dagger.ExecError
            ) as error:  # for example a plain HTTP registry that only the engine may use
                last_line = error.stderr.strip().rpartition("\n")[2]
                hint = f"; the registry itself could not be asked: {last_line}"
        return await self._resolve(address), hint

    async def _resolve(self, reference: str) -> str:
        """Return the digest that the engine resolves a reference to."""
        resolved = await self._with_logins(dag.container()).from_(reference).image_ref()
        return resolved.rpartition("@")[2]

    def _with_logins(self, container: dagger.Container) -> dagger.Container:
        for login in self.registry.logins:
            container = container.with_registry_auth(login.host, login.user, login.password)
        return container


@dataclass(frozen=True)
class PublishOptions:
    """The caller's options of publishing; by default images go to Docker Hub."""

    repositories: Sequence[str] | None
    user: str | None
    password: dagger.Secret | None
    docker_config: dagger.Secret | None
    service: dagger.Service | None
    compression: str


async def open_publisher(name: str, options: PublishOptions) -> Publisher:
    """Check repositories and logins, and return a publisher.

    Without repositories, images go to `name` on Docker Hub.

    Raises:
        UserError: a repository, a login or the compression is wrong.
    """
    require_choice("compression", options.compression, COMPRESSIONS)
    user, password = options.user, options.password
    targets = tuple(parse_repository(value) for value in options.repositories or [f"docker.io/{name}"])
    if (user is None) != (password is None):
        raise UserError("a registry login needs both --registry-user and --registry-password")
    hosts = tuple(dict.fromkeys(map(find_registry, targets)))
    logins: list[Login] = []
    if options.docker_config:
        config = read_docker_config(await options.docker_config.plaintext())
        config.require_usable(() if user is not None else hosts)
        logins += [
            Login(host, login.user, dag.set_secret(f"registry-{host}", login.password))
            for host, login in config.logins.items()
        ]
    if user is not None and password is not None:
        logins = [login for login in logins if login.host not in hosts]
        logins += [Login(host, user, password) for host in hosts]
    return Publisher(targets, RegistryClient(tuple(logins), options.service), options.compression)
