"""Docker's configuration in every shape: the good login is used; one that cannot be used is told, with the way out."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.plan.docker_config import WAY_OUT, Credential, DockerConfig, read_docker_config
from tests.unit.user_errors import NASTY, answer, mistake, nasty, texts

ME = Credential("me", "se:cret")
HUB = "https://index.docker.io/v1/"


def encoded(text: str | bytes) -> str:
    """Return the base64 of a text."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


GOOD = {"auth": encoded("me:se:cret")}


def config(**document: Any) -> DockerConfig:
    """Read a configuration."""
    return read_docker_config(json.dumps(document))


@pytest.mark.parametrize(
    "entry",
    [
        GOOD,
        {"auth": GOOD["auth"] + "\n", "email": "me@example.org"},
        {"auth": encoded("me:se:cret\0\0")},  # docker cuts the zeros too
        {"username": "me", "password": "se:cret"},
        {"auth": "", "username": "me", "password": "se:cret"},
        {**GOOD, "identitytoken": ""},
    ],
    ids=str,
)
def test_a_login_in_the_file_is_used(entry: dict[str, str]) -> None:
    assert config(auths={"ghcr.io": entry}).logins == {"ghcr.io": ME}


@pytest.mark.parametrize("other", [{}, None, {"auth": ""}, {"auth": "§"}, {"auth": 7}, [], "text"], ids=str)
def test_an_entry_of_another_registry_spoils_nothing(other: object) -> None:
    found = config(auths={"other.example": other, "ghcr.io": GOOD}, credsStore="desktop", HttpHeaders={})
    assert found.logins == {"ghcr.io": ME}
    found.require_usable(["ghcr.io"])


@pytest.mark.parametrize(
    "key", [HUB, "docker.io", "index.docker.io", "registry-1.docker.io/v2/", f"{HUB}access-token"]
)
def test_docker_hub_has_one_login_by_all_its_names(key: str) -> None:
    assert config(auths={key: GOOD}).logins == {"docker.io": ME}


def test_of_several_entries_of_a_registry_the_one_of_its_name_counts_unless_it_is_empty() -> None:
    other = {"auth": encoded("other:word")}
    auths = {"https://ghcr.io/v2/": other, "ghcr.io": GOOD, "ghcr.io/team": other}
    assert config(auths=auths).logins == {"ghcr.io": ME}
    empty = config(auths={**auths, "ghcr.io": {}}, credsStore="desktop")
    assert empty.logins == {"ghcr.io": Credential("other", "word")}
    empty.require_usable(["ghcr.io"])


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (
            {"auths": {HUB: {}}, "credsStore": "desktop"},
            f"auths.'{HUB}': its login is in the helper of credsStore, 'desktop'",
        ),
        ({"credHelpers": {"docker.io": "hub"}}, "credHelpers.'docker.io': its login is in a helper, 'hub'"),
        ({"auths": {HUB: {}}, "credHelpers": {"index.docker.io": "hub"}}, "credHelpers.'index.docker.io'"),
        ({"auths": {HUB: {**GOOD, "identitytoken": "x"}}}, f"auths.'{HUB}': identitytoken: a token"),
        ({"auths": {HUB: {"registrytoken": "x"}}}, f"auths.'{HUB}': registrytoken: a token"),
        (
            {"auths": {HUB: {"auth": encoded("no colon")}}},
            f"auths.'{HUB}': auth: not the base64 of user:password",
        ),
        (
            {"auths": {HUB: {"auth": encoded(b"me:\xff")}}},
            f"auths.'{HUB}': auth: not the base64 of a text in UTF-8",
        ),
        ({"auths": {HUB: {"auth": "me:secret"}}}, f"auths.'{HUB}': auth: not the base64"),
        ({"auths": {HUB: {"auth": ["x"]}}}, f"auths.'{HUB}': auth: not a text"),
        ({"auths": {HUB: {"auth": encoded("me:")}}}, f"auths.'{HUB}': no user, or no password"),
        ({"auths": {HUB: {"username": "me"}}}, f"auths.'{HUB}': no user, or no password"),
        ({"auths": {HUB: "me:secret"}}, f"auths.'{HUB}': no object"),
    ],
    ids=str,
)
def test_a_login_that_cannot_be_used_is_a_mistake_where_it_is_needed(
    document: dict[str, Any], where: str
) -> None:
    found = config(**document)
    assert found.logins == {}
    message = mistake(lambda: found.require_usable(["ghcr.io", "docker.io"]))
    assert message.startswith(f"--docker-config: {where}")
    assert message.endswith(WAY_OUT)
    found.require_usable(["ghcr.io"])


def test_a_login_in_the_file_counts_before_a_helper() -> None:
    found = config(
        auths={"ghcr.io": GOOD}, credHelpers={"ghcr.io": "gcloud", "gcr.io": ""}, credsStore="desktop"
    )
    found.require_usable(["ghcr.io", "gcr.io", "never.seen"])
    assert found.logins == {"ghcr.io": ME}


def test_an_empty_entry_without_a_helper_is_no_login_and_no_mistake() -> None:
    found = config(auths={"ghcr.io": {}})
    found.require_usable(["ghcr.io"])
    assert found == DockerConfig({}, {})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON: Expecting value (at line 1, column 1)"),
        ("{" * 100_000, "not JSON"),
        ('{"a":' * 100_000, "not JSON that is read here: nested too deep"),
        (f'{{"auths": {"9" * 5_000}}}', "not JSON that is read here: a number has too many digits"),
        ("[]", "not a JSON object"),
        ('{"auths": {}, "auths": {}}', "key 'auths' is given twice"),
        ("{}", "it has no logins"),
        ('{"auths": {}}', "it has no logins"),
        ('{"auths": null, "credsStore": ""}', "it has no logins"),
        ('{"auths": [1]}', "auths: no object"),
        ('{"credHelpers": "gcloud"}', "credHelpers: no object"),
        ('{"credsStore": {}, "auths": {}}', "it has no logins"),
        ('{"credsStore": ["x"]}', "credsStore: not a text"),
    ],
)
def test_a_text_that_is_no_configuration_is_a_mistake(text: str, why: str) -> None:
    assert mistake(lambda: read_docker_config(text)).startswith(f"--docker-config: {why}")


def test_windows_may_begin_the_file_with_a_mark() -> None:
    assert read_docker_config("\ufeff" + json.dumps({"auths": {"ghcr.io": GOOD}})).logins == {"ghcr.io": ME}


@nasty
def test_names_reach_no_terminal_and_no_registry_as_they_are(value: str) -> None:
    found = config(
        auths={"ghcr.io": {}, value: GOOD}, credsStore=value or "x", credHelpers={"gcr.io": value or "x"}
    )
    assert set(found.logins) <= {"..", "a", "--help", NASTY["long"]}
    for registry in ("ghcr.io", "gcr.io"):
        assert value not in mistake(lambda name=registry: found.require_usable([name])) or value.isprintable()  # type: ignore[misc]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["auth", "username", "password", "identitytoken", "ghcr.io", HUB]), inner
        )
    ),
    max_leaves=8,
)


@settings(max_examples=1_000)
@given(st.dictionaries(st.sampled_from(["auths", "credHelpers", "credsStore"]), values) | values)
def test_any_document_is_a_configuration_or_a_mistake(document: object) -> None:
    answer(lambda: read_docker_config(json.dumps(document)).require_usable(["ghcr.io", "docker.io"]))


def test_a_key_that_is_no_registry_costs_no_other_login() -> None:
    assert config(auths={"!": GOOD, "ghcr.io": GOOD}).logins == {"ghcr.io": ME}
