"""What makes a method public: Dagger's decorator with a cache policy, and the edge where errors become messages."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagger

from ci.sdk.compat import Cache, FunctionError, Method, function
from ci.util.errors import SweepError, UserError, one_line

P = ParamSpec("P")
R = TypeVar("R")

TAIL = 15  # lines of a failed step's output that the message keeps


def public(*, cache: Cache) -> Callable[[Method[P, R]], Method[P, R]]:
    """Make a method public, its result kept for a session or not at all (Dagger's default is seven days).

    A user's mistake leaves as one line, a failed step as its command and the end of its output; a bug of ours keeps
    its traceback.
    """

    def decorate(method: Method[P, R]) -> Method[P, R]:
        @wraps(method)
        async def told(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await method(*args, **kwargs)
            except (UserError, SweepError) as error:
                raise FunctionError(str(error)) from None
            except dagger.ExecError as error:
                raise FunctionError(failed_step(error)) from None

        return function(told, cache=cache)

    return decorate


def failed_step(error: dagger.ExecError) -> str:
    """Tell which command failed, how, and the end of what it printed."""
    output = (error.stderr or error.stdout).strip().splitlines()
    command = one_line(" ".join(error.command))
    if len(command) > 300:
        command = command[:300] + "…"
    return "\n".join([f"a step ended with exit status {error.exit_code}: {command}", *output[-TAIL:]])
