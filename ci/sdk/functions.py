"""Provide `@public`: expose a method to Dagger, with a cache policy, an example and one-line errors."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagger

from ci.sdk.compat import Cache, FunctionError, Method, function
from ci.util.errors import SweepError, UserError, one_line

P = ParamSpec("P")
R = TypeVar("R")

TAIL = 15  # lines of a failed command's output in the message
MAX_COMMAND = 300  # characters of a failed command in the message


def public(*, cache: Cache, example: str = "") -> Callable[[Method[P, R]], Method[P, R]]:
    """Expose a method to Dagger; its result is cached for a session or never (Dagger's default is seven days).

    `example` are arguments for which the method works, as the command line takes them; the example ends its help.
    A user's mistake ends the call with one line, a failed command with itself and the end of its output; a bug of
    the module keeps its traceback.
    """

    def decorate(method: Method[P, R]) -> Method[P, R]:
        @wraps(method)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await method(*args, **kwargs)
            except (UserError, SweepError) as error:
                raise FunctionError(str(error)) from None
            except dagger.ExecError as error:
                raise FunctionError(describe_exec_error(error)) from None

        call = f"{wrapper.__name__.replace('_', '-')} {example}".strip()
        wrapper.__doc__ = f"{inspect.getdoc(method)}\n\nExample: `{call}`."
        return function(wrapper, cache=cache)

    return decorate


def describe_exec_error(error: dagger.ExecError) -> str:
    """Return a failed command, its exit status and the last lines of its output."""
    output = (error.stderr or error.stdout).strip().splitlines()
    command = one_line(" ".join(error.command))
    if len(command) > MAX_COMMAND:
        command = command[:MAX_COMMAND] + "…"
    return "\n".join([f"a step ended with exit status {error.exit_code}: {command}", *output[-TAIL:]])
