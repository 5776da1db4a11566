"""A public method has its example in its help text, and errors that are messages."""

import dagger
import pytest
from dagger._exceptions import QueryErrorValue
from gql import gql

from ci.sdk.compat import FunctionError
from ci.sdk.functions import MAX_COMMAND, TAIL, describe_exec_error, public
from ci.util.errors import SweepError, UserError


def exec_error(command: list[str], stdout: str = "", stderr: str = "") -> dagger.ExecError:
    """Return the error of a command that failed, as the client makes it."""
    details = {"_type": "EXEC_ERROR", "cmd": command, "exitCode": 2, "stdout": stdout, "stderr": stderr}
    error = dagger.QueryError([QueryErrorValue("exit code: 2", extensions=details)], gql("{ version }"))
    assert isinstance(error, dagger.ExecError)
    return error


@public(cache="never", example="--times 2")
async def fail_with(error: Exception) -> str:
    """Fail with an error.

    Always.
    """
    raise error


@public(cache="session")
async def succeed() -> str:
    """Succeed."""
    return "done"


def test_the_help_text_ends_with_the_example() -> None:
    assert fail_with.__doc__ == "Fail with an error.\n\nAlways.\n\nExample: `fail-with --times 2`."
    assert succeed.__doc__ == "Succeed.\n\nExample: `succeed`."


async def test_a_result_is_passed_on() -> None:
    assert await succeed() == "done"


@pytest.mark.parametrize("error", [UserError("no such target"), SweepError("two cells\nfailed")])
async def test_an_error_of_the_user_is_its_message(error: Exception) -> None:
    with pytest.raises(FunctionError) as raised:
        await fail_with(error)
    assert str(raised.value) == str(error)
    assert raised.value.__cause__ is None


async def test_a_failed_command_is_a_message() -> None:
    with pytest.raises(FunctionError, match="a step ended with exit status 2: pip check\nbroken"):
        await fail_with(exec_error(["pip", "check"], stderr="broken\n"))


async def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        await fail_with(ZeroDivisionError())


def test_of_a_command_and_its_output_only_a_part_is_shown() -> None:
    error = exec_error(["x" * 1000], stdout="\n".join(f"line {number}" for number in range(100)))
    head, *lines = describe_exec_error(error).splitlines()
    assert head == f"a step ended with exit status 2: {'x' * MAX_COMMAND}…"
    assert lines == [f"line {number}" for number in range(100 - TAIL, 100)]
