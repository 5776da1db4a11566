"""Adapt to differences between Dagger's Python clients 0.19.10 to 1.0.0b21; no other file knows a version.

The list compares 0.19.10, 0.21.11 and 1.0.0b21 of PyPI: each name, keyword and type that `ci` uses.

Handled here:

- `function(cache=…)`: all clients accept it, the type hints of none have it.
- `FunctionError`: private in all, and the only way to end a call with a message and without a traceback.
- `check`: in all, with type hints too loose for a method.
- The fields of the main object: 1.0 adds one of its own, `_dagger_collection_base`, which is not an option.

Not used, or used in a way that works in all:

- Ids: up to 0.20 each kind has its own type (`ContainerID`), which the client checks at run time; 0.21 uses text, and
  1.0 has no such types. The module passes objects, not ids. Code that wraps the client's calls must return an id of
  the requested type, or no object can be passed on.
- Objects are loaded by `load…FromID` in 0.19, by `node` since 0.21; 1.0 has no `load…FromID`. An object that was loaded
  so is recognized by both (`sdk/ids.py`).
- `cache_volume(…, sharing=)`: since 0.21, where it is part of the volume's identity. 0.19.10 has it at the mount
  only; at the mount it takes precedence in 0.21 too, so it is set there (`stages/cache_volumes.py`).
- `with_default_terminal_cmd`: 1.0 warns that `with_shell` replaces it, which older clients do not have.
- New after 0.19.10: `generate`, `up`, `DefaultAddress`, `with_mounted_directory(read_only=)`,
  `with_directory(permissions=)`, `http(checksum=)`, `exists(expand=)`, `from_` and `publish(registry_service=)`.
  Removed: `Check.source`.
- New in 1.0: `from_` and `tag(no_lock=)`, which ignore the caller's dagger.lock; `protocol=` of registries;
  `inherit_owner=` of copies and mounts; `with_exec(disable_dagger_in_dagger=)`; `agent`, `collection`.
- The engine: 0.19.10 limits how many steps run at once, 0.21 does not. The sweep has its own limit
  (`sweep/scheduler.py`).

`tests/newest` checks that the oldest and the newest client have every name, keyword and type that `ci` uses, that each
public function composes under both with the client's run-time checks, and that the module describes itself equally.
`tests/unit/data/dagger_names.toml` lists, for each Dagger, the names that options and functions must not have.
"""

from collections.abc import Awaitable, Callable
from dataclasses import Field, fields
from typing import Any, Literal, ParamSpec, TypeVar, cast

import dagger

try:
    from dagger.mod._exceptions import FunctionError
except ImportError:  # pragma: no cover - another SDK; messages then have a traceback
    FunctionError = ValueError  # type: ignore[assignment,misc]

__all__ = ["Cache", "FunctionError", "Method", "check", "function", "own_fields"]

P = ParamSpec("P")
R = TypeVar("R")
Method = Callable[P, Awaitable[R]]
Cache = Literal["session", "never"]


def function(method: Method[P, R], *, cache: Cache) -> Method[P, R]:
    """Expose a method as a function of the module; `cache` says how long Dagger keeps its result."""
    return cast("Method[P, R]", dagger.function(cache=cache)(method))  # type: ignore[call-overload]


def check(method: Method[P, R]) -> Method[P, R]:
    """Let `dagger check` run a function without arguments; goes below the decorator that exposes it."""
    return cast("Method[P, R]", dagger.check(method))


def own_fields(module: Any) -> list[Field[Any]]:
    """Return the fields of a main object, without those that the client adds."""
    return [field for field in fields(module) if not field.name.startswith("_")]
