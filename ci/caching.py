"""Dagger's function decorator with a cache policy: the SDK's own type hints leave `cache` out."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

import dagger

F = TypeVar("F", bound=Callable[..., Any])


def cached(policy: Literal["session", "never"]) -> Callable[[F], F]:
    """Make a method public, its result kept for a session or not at all (Dagger's default is seven days)."""
    return cast("Callable[[F], F]", dagger.function(cache=policy))  # type: ignore[call-overload]
