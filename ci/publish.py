"""Pushes an image under its tags, and reads back what the registry then says."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

import dagger
from dagger import ImageLayerCompression, dag

from ci.errors import UserError, choose
from ci.plan import Plan
from ci.records import Failure
from ci.sweep import StepError
from ci.tags import checked_repository, tags
from ci.triage import triage

COMPRESSIONS = {"zstd": ImageLayerCompression.Zstd, "gzip": ImageLayerCompression.Gzip}


@dataclass(frozen=True)
class Login:
    """Who pushes to a registry; the password stays a secret."""

    host: str
    user: str
    password: dagger.Secret


@dataclass(frozen=True)
class Publisher:
    """Where images go: repositories without tags, logins by registry, and the compression of layers."""

    repositories: tuple[str, ...]
    logins: tuple[Login, ...]
    compression: str

    async def publish(
        self, plan: Plan, wheel_tag: str, image: dagger.Container, versions: dict[str, str]
    ) -> tuple[tuple[str, ...], str]:
        """Push one image, and return the references (`repository:tag@sha256:…`) and the image's digest.

        The tag that stays comes first: where that fails, the moving tag still names the last good image. What a
        registry has already is not sent again.

        Raises:
            StepError: a push failed, or the registry gives back another digest.
        """
        references: list[str] = []
        digest = ""
        for repository in self.repositories:
            for tag in tags(plan, wheel_tag, versions):
                address = f"{repository}:{tag}"
                digest = await self._push(image, address)
                references.append(f"{address}@{digest}")
        return tuple(references), digest

    async def _push(self, image: dagger.Container, address: str) -> str:
        try:
            pushed = await self._logged_in(image).publish(
                address, forced_compression=COMPRESSIONS[self.compression]
            )
            digest = pushed.rpartition("@")[2]
            back = await self._logged_in(dag.container()).from_(address).image_ref()
        except dagger.QueryError as error:
            raise StepError(triage("publish", "", message=f"{address}: {error}")) from None
        found = back.rpartition("@")[2]
        if found != digest:
            said = f"{address}: pushed {digest}, the registry has {found}"
            raise StepError(Failure(kind="registry", stage="publish", message=said))
        return digest

    def _logged_in(self, container: dagger.Container) -> dagger.Container:
        for login in self.logins:
            container = container.with_registry_auth(login.host, login.user, login.password)
        return container


async def open_publisher(
    *,
    name: str,
    repositories: Sequence[str],
    user: str | None,
    password: dagger.Secret | None,
    docker_config: dagger.Secret | None,
    compression: str,
) -> Publisher:
    """Check where images go and who may push them there, before anything is built.

    Raises:
        UserError: a repository, a login or the compression is wrong.
    """
    choose("compression", compression, COMPRESSIONS)
    chosen = tuple(checked_repository(value) for value in repositories or [f"docker.io/{name}"])
    if (user is None) != (password is None):
        raise UserError("a registry login needs both --registry-user and --registry-password")
    logins = await _logins(docker_config) if docker_config else []
    if user is not None and password is not None:
        hosts = dict.fromkeys(repository.partition("/")[0] for repository in chosen)
        logins += [Login(host, user, password) for host in hosts]
    return Publisher(chosen, tuple(logins), compression)


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
        # Docker Hub's entry carries the address of its old index.
        Login(
            "docker.io" if "index.docker.io" in host else host,
            user,
            dag.set_secret(f"registry-{host}", password),
        )
        for host, (user, _, password) in pairs.items()
    ]
