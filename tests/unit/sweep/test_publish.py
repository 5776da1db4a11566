"""Registries by the names in addresses and in docker's configuration, and what a publisher refuses."""

import pytest

from ci.plan.tags import find_registry
from ci.sweep.publish import PublishOptions, open_publisher
from ci.sweep.registry import RegistryClient
from ci.util.errors import UserError


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
