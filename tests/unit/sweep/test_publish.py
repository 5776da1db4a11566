"""Registries by the names in addresses and in docker's configuration, and what a publisher refuses."""

import base64
import json

import pytest
from dagger import dag

from ci.plan.tags import find_registry
from ci.sweep.publish import Publisher, PublishOptions, open_publisher
from ci.sweep.registry import Login, RegistryClient
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


# -- login files ---------------------------------------------------------------------------------------------


def entry(login: str) -> dict[str, str]:
    """Return the entry of a login as docker writes it."""
    return {"auth": base64.b64encode(login.encode()).decode()}


async def logins(config: str, *repositories: str, user: str | None = None) -> list[tuple[str, str, str]]:
    """Return host, user and password of the logins that a publisher has with a docker configuration."""
    with instead_of_an_engine(StandInEngine()):
        secret = dag.set_secret("config", config)
        password = dag.set_secret("password", "own") if user else None
        options = PublishOptions(repositories or None, user, password, secret, None, "zstd")
        found = (await open_publisher("me/image", options)).registry.logins
        return [(one.host, one.user, await one.password.plaintext()) for one in found]


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("docker.io", "docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("https://registry.example:5000", "registry.example:5000"),
        ("http://127.0.0.1:5000/v2/", "127.0.0.1:5000"),
    ],
)
async def test_a_login_is_for_the_registry_that_an_image_names(key: str, host: str) -> None:
    assert await logins(json.dumps({"auths": {key: entry("me:secret")}})) == [(host, "me", "secret")]
    assert find_registry(f"{host}/team/image") == host


async def test_a_password_may_have_colons_and_each_registry_has_its_own() -> None:
    config = {"auths": {"ghcr.io": entry("me:a:b:"), "docker.io": entry("you:c")}, "credsStore": "x"}
    assert await logins(json.dumps(config)) == [("ghcr.io", "me", "a:b:"), ("docker.io", "you", "c")]


async def test_the_callers_login_counts_before_the_files_for_each_registry_once() -> None:
    config = json.dumps({"auths": {"ghcr.io": entry("me:secret")}})
    found = await logins(config, "ghcr.io/a/b", "ghcr.io/a/c", "quay.io/a/b", user="other")
    assert found == [("ghcr.io", "other", "own"), ("quay.io", "other", "own")]


@pytest.mark.parametrize("config", ["", "{", "[]", "{}", '{"auths": []}'])
async def test_a_configuration_without_logins_is_a_mistake(config: str) -> None:
    with pytest.raises(UserError, match=r"^--docker-config: "):
        await logins(config)


@pytest.mark.parametrize("registry", ["registry.example:5000", "ghcr.io"])
async def test_a_password_is_given_to_its_own_registry_alone(registry: str) -> None:
    engine = StandInEngine()
    with instead_of_an_engine(engine):
        secrets = {host: dag.set_secret(host, host) for host in ("registry.example:5000", "ghcr.io")}
        client = RegistryClient(tuple(Login(host, "me", one) for host, one in secrets.items()), None)
        await client.read_tag(dag.container(), f"{registry}/team/image:tag")
        given = [call.given for call in engine.calls if call.name == "withSecretVariable"]
        assert [one["name"] for one in given] == ["REGISTRY_PASSWORD"]
        assert [one["secret"] for one in given] == [await secrets[registry].id()]
    programs = [call.given["args"] for call in engine.calls if call.name == "withExec"]
    assert [f"{registry}/team/image:tag" in words for words in programs] == [True]


async def test_no_password_is_given_to_a_registry_without_a_login() -> None:
    engine = StandInEngine()
    with instead_of_an_engine(engine):
        client = RegistryClient((Login("ghcr.io", "me", dag.set_secret("one", "secret")),), None)
        await client.read_tag(dag.container(), "docker.io/team/image:tag")
    assert not [call for call in engine.calls if "Secret" in call.name and call.name != "setSecret"]
