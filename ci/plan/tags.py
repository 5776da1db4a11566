"""Make the tags of an image, from its cell and from the versions that were found in it."""

import re
from collections.abc import Mapping

from ci.config.names import is_tag
from ci.plan.plan import Plan
from ci.util.errors import UserError, quote_value

# Packages whose versions appear in the tag.
_PACKAGES = ("torch", "ray", "marimo")
# The other names of docker.io: of its index, which docker writes into its configuration, and of its server.
_HUBS = ("index.docker.io", "registry-1.docker.io")


def make_tags(plan: Plan, wheel_tag: str, versions: Mapping[str, str]) -> tuple[str, str]:
    """Return the tag that stays and the one that moves on with each build.

    `ray-runtime-cu128-py313-torch2.8.0-ray2.54.0` and `ray-runtime-cu128-py313`: torch's local label (`+cu128`) is
    not repeated. Ray and marimo appear only where the target has them, a variant after the target:
    `runtime-slim-cu128-…`.

    Raises:
        UserError: a version that the tag needs was not found in the image, or cannot stand in a tag.
    """
    wanted = [name for name in _PACKAGES if name == "torch" or plan.has(name)]
    missing = [name for name in wanted if name not in versions]
    if missing:
        raise UserError(
            f"{plan.cell.id}: no tag without the version of {', '.join(missing)}, which was not found in the image"
        )
    parts = [(name, versions[name].partition("+")[0]) for name in wanted]
    moves = make_moving_tag(plan, wheel_tag)
    stays = "-".join([moves, *(f"{name}{version}" for name, version in parts)])
    if not is_tag(stays) or not all(version for _, version in parts):
        raise UserError(
            f"{plan.cell.id}: {quote_value(stays, 200)} is no tag; accepted: 128 of A-Z a-z 0-9 _ . -"
        )
    return stays, moves


def make_moving_tag(plan: Plan, wheel_tag: str) -> str:
    """Return the tag that moves on with each build: `ray-runtime-cu128-py313`."""
    less = "" if plan.variant == "default" else f"-{plan.variant}"
    return f"{plan.cell.target}{less}-{wheel_tag}-py{plan.cell.python.replace('.', '')}"


def find_registry(address: str) -> str:
    """Return the registry of an image's address, or of a login as docker's configuration names it.

    >>> find_registry("127.0.0.1:5000/team/image:tag"), find_registry("https://index.docker.io/v1/")
    ('127.0.0.1:5000', 'docker.io')
    """
    host = address.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "docker.io" if host in _HUBS else host


def parse_repository(value: str) -> str:
    """Accept a repository as `docker push` takes it, without a tag: `registry.example:5000/team/image`.

    Raises:
        UserError: it is not one, or has a tag or a digest.
    """
    part = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
    label = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    host = rf"(?:{label}(?:\.{label})+|localhost|{label}(?=:))(?::([0-9]{{1,5}}))?"
    match = re.fullmatch(rf"{host}/{part}(?:/{part})*", value) if len(value) <= 200 else None
    if not match or (match[1] and not 1 <= int(match[1]) <= 65535):
        raise UserError(
            f"bad repository {quote_value(value)}; accepted: host, then a name without a tag: docker.io/team/image"
        )
    return value
