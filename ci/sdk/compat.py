"""What differs between the Dagger clients that this module runs on, 0.19.10 to 1.0.0b21: here, and nowhere else.

Compared as PyPI has them, 0.19.10, 0.21.11 and 1.0.0b21: each name, keyword and type that `ci` uses.

Handled here:

- `function(cache=…)`: all take it, the type hints of none know it.
- `FunctionError`: private in all, and the only way to end a call with a message and no traceback.
- `check`: in all, with type hints too loose for a method.
- The fields of the main object: 1.0 adds one of its own, `_dagger_collection_base`, which is no option.

Not used, or the same in use:

- Ids: a type for each kind up to 0.20 (`ContainerID`), which the client checks at run time; text in 0.21, and in 1.0
  the types are gone. Objects are passed as objects. What is laid over the client's calls must give an id in the type
  that was asked for, or no object can be passed on.
- Objects are loaded by `load…FromID` in 0.19, by `node` since 0.21, and 1.0 has no `load…FromID`.
- `cache_volume(…, sharing=)`: since 0.21, where it is a part of the volume's identity. 0.19.10 takes it at the mount
  only; what is said there goes before it in 0.21 too, so it is said there (`stages/cache_volumes.py`).
- `with_default_terminal_cmd`: 1.0 warns that `with_shell` comes in its place, which older clients do not have.
- Came after 0.19.10: `generate`, `up`, `DefaultAddress`, `with_mounted_directory(read_only=)`,
  `with_directory(permissions=)`, `http(checksum=)`, `exists(expand=)`, `from_` and `publish(registry_service=)`.
  `Check.source` went.
- Came in 1.0: `from_` and `tag(no_lock=)`, which pass over the caller's dagger.lock; `protocol=` of registries;
  `inherit_owner=` of what is copied and mounted; `with_exec(disable_dagger_in_dagger=)`; `agent`, `collection`.
- The engine: 0.19.10 limits how many steps run at once, 0.21 does not. The limit is the sweep's own (`sweep.py`).

Every name, keyword and type that `ci` uses is in the oldest and the newest, each public function composes under both
with the client's run-time checks, and the module describes itself in the same way: `tests/newest`. The names that
options and functions must not have are listed for each Dagger: `tests/unit/data/dagger_names.toml`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import Field, fields
from typing import Any, Literal, ParamSpec, TypeVar, cast

import dagger

try:
    from dagger.mod._exceptions import FunctionError
except ImportError:  # pragma: no cover - another SDK; the message then comes with a traceback
    FunctionError = ValueError  # type: ignore[assignment,misc]

__all__ = ["Cache", "FunctionError", "Method", "check", "function", "own_fields"]

P = ParamSpec("P")
R = TypeVar("R")
Method = Callable[P, Awaitable[R]]
Cache = Literal["session", "never"]


def function(method: Method[P, R], *, cache: Cache) -> Method[P, R]:
    """Make a method a function of the module."""
    return cast("Method[P, R]", dagger.function(cache=cache)(method))  # type: ignore[call-overload]


def check(method: Method[P, R]) -> Method[P, R]:
    """Let `dagger check` run a function; it stands under the decorator that makes it one, and takes no argument."""
    return cast("Method[P, R]", dagger.check(method))


def own_fields(module: Any) -> list[Field[Any]]:
    """Return the fields that a main object was written with, without those that the client adds."""
    return [field for field in fields(module) if not field.name.startswith("_")]
