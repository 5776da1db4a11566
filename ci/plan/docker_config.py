"""Read the logins of a docker configuration (`~/.docker/config.json`), as docker, podman and Kubernetes write it.

A login is in the file itself, or a helper program of the machine has it (`credsStore`, `credHelpers`): no container
can run that. An entry that cannot be used is a mistake only if its registry is needed.
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ci.plan.tags import find_registry
from ci.util.errors import UserError, quote_value
from ci.util.json_text import parse_json

FILE = "--docker-config"
WAY_OUT = "give --registry-user and --registry-password, or a configuration with an `auth` for it"
FORM = '{"auths": {"registry.example": {"auth": …}}}'
_REGISTRY = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True)
class Credential:
    """A user and a password."""

    user: str
    password: str


@dataclass(frozen=True)
class DockerConfig:
    """The logins of a configuration by registry, and why those of other registries cannot be used."""

    logins: Mapping[str, Credential]
    problems: Mapping[str, str]

    def require_usable(self, registries: Iterable[str]) -> None:
        """Check that no login of these registries is one that cannot be used; a registry without any is fine.

        Raises:
            UserError: one cannot be used, and how to get along without it.
        """
        for registry in registries:
            if registry not in self.logins and registry in self.problems:
                raise UserError(f"{FILE}: {self.problems[registry]}; {WAY_OUT}")


class _EntryError(Exception):
    """An entry without a login that can be used, and why; None if it has none at all."""

    def __init__(self, problem: str | None) -> None:
        super().__init__(problem)
        self.problem = problem


def read_docker_config(text: str) -> DockerConfig:
    """Read a configuration.

    Raises:
        UserError: it is no such document, or has neither logins nor helpers.
    """
    document = parse_json(text.removeprefix("\ufeff"), FILE)
    auths, helpers = _table(document, "auths"), _table(document, "credHelpers")
    store = document.get("credsStore") or ""
    if not isinstance(store, str):
        raise UserError(f"{FILE}: credsStore: not a text")
    if not auths and not helpers and not store:
        raise UserError(f"{FILE}: it has no logins; accepted: {FORM}")
    logins: dict[str, Credential] = {}
    problems: dict[str, str] = {}
    # The entry that is named like its registry comes first: docker takes it before those with a scheme or a path.
    for key, entry in sorted(auths.items(), key=lambda item: item[0] != find_registry(item[0])):
        registry = find_registry(key)
        if not _REGISTRY.fullmatch(registry):
            continue  # no name that an image could be pushed to
        try:
            logins.setdefault(registry, _read_entry(entry))
        except _EntryError as error:
            problem = error.problem or (
                store and f"its login is in the helper of credsStore, {quote_value(store)}"
            )
            if problem:
                problems.setdefault(registry, f"auths.{quote_value(key)}: {problem}")
    for key, helper in helpers.items():
        if not helper:
            continue
        problems.setdefault(
            find_registry(key),
            f"credHelpers.{quote_value(key)}: its login is in a helper, {quote_value(str(helper))}",
        )
    return DockerConfig(logins, problems)


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = document.get(key)
    if table is not None and not isinstance(table, dict):
        raise UserError(f"{FILE}: {key}: no object; accepted: {FORM}")
    return table or {}


def _read_entry(entry: object) -> Credential:
    """Return the login of an entry.

    Raises:
        _EntryError: it has none that can be used.
    """
    if entry is None:
        raise _EntryError(None)
    if not isinstance(entry, dict):
        raise _EntryError("no object")
    for token in ("identitytoken", "registrytoken"):
        if entry.get(token):
            raise _EntryError(f"{token}: a token in the place of a password, which cannot be used here")
    encoded = entry.get("auth")
    if encoded:
        user, password = _decode(encoded)
    else:  # Kubernetes and podman also write them as they are
        user, password = entry.get("username") or "", entry.get("password") or ""
        if not user and not password:
            raise _EntryError(None)
    if not isinstance(user, str) or not isinstance(password, str) or not user or not password:
        raise _EntryError("no user, or no password")
    return Credential(user, password)


def _decode(encoded: object) -> tuple[str, str]:
    if not isinstance(encoded, str):
        raise _EntryError("auth: not a text")
    try:
        text = base64.b64decode("".join(encoded.split()), validate=True).decode("utf-8")
    except ValueError:
        raise _EntryError("auth: not the base64 of a text in UTF-8") from None
    user, colon, password = text.partition(":")
    if not colon:
        raise _EntryError("auth: not the base64 of user:password")
    return user, password.rstrip("\0")  # as docker does
