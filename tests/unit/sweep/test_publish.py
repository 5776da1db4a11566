"""Registries by the names in addresses and in docker's configuration, and what a publisher refuses."""

import json

import pytest
from dagger import dag

from ci.plan.tags import find_registry
from ci.sweep.publish import Publisher, PublishOptions, open_publisher
from ci.sweep.registry import RegistryClient
from ci.util.errors import UserError
from tests.stand_ins.stand_in_engine import StandInEngine, instead_of_an_engine


@pytest.mark.parametrize(
    ("address", "registry"),
    [
        ("127.0.0.1:5000/team/image:tag", "127.0.0.1:5000"),
        ("ghcr.io", "ghcr.io"),
        ("https://registry.example:5000/v2/", "registry.example:5000"),
        ("http://localhost", "localhost"),
        # Docker Hub's entry carries the address of its old index.
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io/team/image", "docker.io"),
    ],
)
def test_a_registry_is_named_by_its_host(address: str, registry: str) -> None:
    assert find_registry(address) == registry


def test_a_container_reaches_any_registry_but_one_on_loopback() -> None:
    client = RegistryClient((), None)
    assert client.reaches("registry.example:5000/team/image:tag")
    assert client.reaches("docker.io/team/image:tag")
    for host in ("127.0.0.1:5000", "localhost", "localhost:5000", "127.0.0.2"):
        assert not client.reaches(f"{host}/team/image:tag")


async def test_a_wrong_repository_login_or_compression_is_refused() -> None:
    async def targets(
        *repositories: str, user: str | None = None, compression: str = "zstd"
    ) -> tuple[str, ...]:
        options = PublishOptions(repositories, user, None, None, None, compression)
        publisher = await open_publisher("me/image", options)
        return publisher.repositories

    assert await targets() == ("docker.io/me/image",)
    assert await targets("ghcr.io/me/image", "localhost/x") == ("ghcr.io/me/image", "localhost/x")
    with pytest.raises(UserError, match=r"bad repository 'ghcr\.io/me:tag'"):
        await targets("ghcr.io/me:tag")
    with pytest.raises(UserError, match="needs both --registry-user and --registry-password"):
        await targets(user="me")
    with pytest.raises(UserError, match="unknown compression 'xz'; accepted: zstd, gzip"):
        await targets(compression="xz")


DESKTOP = json.dumps(
    {
        "auths": {"https://index.docker.io/v1/": {}, "ghcr.io": {"auth": "bWU6c2VjcmV0"}},
        "credsStore": "desktop",
    }
)


async def opened(*repositories: str, config: str | None = DESKTOP, user: str | None = None) -> Publisher:
    """Open a publisher with a docker configuration."""
    with instead_of_an_engine(StandInEngine()):
        docker_config = dag.set_secret("config", config) if config else None
        password = dag.set_secret("password", "word") if user else None
        options = PublishOptions(repositories, user, password, docker_config, None, "zstd")
        return await open_publisher("me/image", options)


async def test_a_login_of_a_helper_is_a_mistake_before_anything_is_built_unless_another_is_given() -> None:
    with pytest.raises(
        UserError, match="its login is in the helper of credsStore, 'desktop'; give --registry-user"
    ):
        await opened("docker.io/me/image")
    given = await opened("docker.io/me/image", user="me")
    assert [(login.host, login.user) for login in given.registry.logins] == [
        ("ghcr.io", "me"),
        ("docker.io", "me"),
    ]
    good = await opened("ghcr.io/me/image")
    assert [login.host for login in good.registry.logins] == ["ghcr.io"]
    assert good.describe_anonymous() == []


async def test_a_registry_without_a_login_is_told_unless_it_is_on_this_machine() -> None:
    publisher = await opened(
        "ghcr.io/me/image", "quay.io/me/image", "localhost:5000/image", "127.0.0.1:5000/image"
    )
    (line,) = publisher.describe_anonymous()
    assert line.startswith("no login for quay.io was given (--registry-user and --registry-password, or")
    assert len(line) < 230, "a longer one is cut"
