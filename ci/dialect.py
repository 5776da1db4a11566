"""What differs between the Dagger clients that this module runs on, 0.19.10 to 0.21.11: here, and nowhere else.

Read and compared, both clients as PyPI has them, and the schema of 0.21.8:

- `function(cache=…)`: all take it, the type hints of none know it.
- `FunctionError`: private in all, and the only way to end a call with a message and no traceback.
- `check`: in all, with type hints too loose for a method. `generate`, `up`, `DefaultAddress`: after 0.19.10, not used.
- Ids: a type for each kind up to 0.20 (`ContainerID`), `str` in 0.21. Not used: objects are passed as objects.
- `cache_volume(…, sharing=)`: since 0.21, where it is a part of the volume's identity. 0.19.10 takes it at the mount
  only; what is said there goes before it in 0.21 too, so it is said there (`stages/caches.py`).
- `Check.source` went; `with_mounted_directory(read_only=)`, `with_directory(permissions=)`, `http(checksum=)` and
  `publish(registry_service=)` came. Not used.
- The engine: 0.19.10 limits how many steps run at once, 0.21 does not. The limit is the sweep's own (`sweep.py`).

Every name and keyword that `ci` uses is in both, and the module describes itself to the engine in the same way under
both: `tests/engine/test_newest_client.py`.
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
