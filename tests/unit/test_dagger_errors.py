"""Text made from Dagger's errors has no trace id: neither messages nor records contain it."""

import ast
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import dagger
import pytest
from dagger._exceptions import QueryErrorValue
from gql import gql

import ci
from ci.sdk.functions import describe_exec_error
from ci.sweep.executor import classify_error
from ci.util.errors import error_message, remove_trace_ids

TRACE = "[traceparent:0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331]"
ERRORS = ("QueryError", "ExecError", "DaggerError", "ClientError", "TransportError")
# Allowed uses of such an error: these attributes have no trace id, and these functions remove it.
PARTS = ("command", "exit_code", "stderr", "stdout")
READERS = (
    "error_message",
    "describe_exec_error",
    "classify_error",
    "classify_in_thread",
    "isinstance",
    "summarize_error",
)


def query_error(message: str, **extensions: object) -> dagger.QueryError:
    """Return an error as the client makes it from the engine's answer."""
    return dagger.QueryError([QueryErrorValue(message, extensions=dict(extensions))], gql("{ version }"))


def exec_error(stderr: str) -> dagger.ExecError:
    """Return the error of a command that failed."""
    found = query_error(
        f"exit code: 1 {TRACE}", _type="EXEC_ERROR", cmd=["x"], exitCode=1, stdout="", stderr=stderr
    )
    assert isinstance(found, dagger.ExecError)
    return found


def test_the_message_of_an_error_has_no_trace() -> None:
    error = query_error(f"failed to resolve image {TRACE}")
    assert TRACE in str(error)
    assert error_message(error) == "failed to resolve image"
    assert error_message(query_error(f"a {TRACE}: b {TRACE}")) == "a: b"
    assert error_message(exec_error("")) == "exit code: 1"


@pytest.mark.parametrize("text", ["", "traceparent", "[traceparent", "a [trace] b", "[traceparent: x y]"])
def test_other_words_stay(text: str) -> None:
    assert remove_trace_ids(text) == text


def test_a_record_of_a_failure_has_no_trace() -> None:
    failure = classify_error("torch", query_error(f"failed to resolve image: connection refused {TRACE}"))
    assert (failure.kind, failure.message) == ("network", "failed to resolve image: connection refused")
    assert "traceparent" not in classify_error("torch", exec_error("error: no\n")).model_dump_json()
    assert describe_exec_error(exec_error("error: no\n")) == "a step ended with exit status 1: x\nerror: no"


def scopes(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield each name that holds an error of Dagger's, and its scope."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.name and node.type and of_dagger(node.type):
            yield node.name, node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            yield from ((one.arg, node) for one in given if one.annotation and of_dagger(one.annotation))


def of_dagger(kind: ast.expr) -> bool:
    """Return whether a type is one of Dagger's errors or contains one."""
    return any(name in ast.unparse(kind) for name in ERRORS)


def bypasses(text: str) -> list[str]:
    """Return the lines of a module that use an error of Dagger's in a way that is not allowed."""
    found = []
    for name, scope in scopes(ast.parse(text)):
        parents = {child: node for node in ast.walk(scope) for child in ast.iter_child_nodes(node)}
        for node, parent in parents.items():
            if not (isinstance(node, ast.Name) and node.id == name):
                continue
            part = isinstance(parent, ast.Attribute) and parent.attr in PARTS
            read = isinstance(parent, ast.Call) and ast.unparse(parent.func) in READERS
            if not part and not read:
                found.append(f"line {node.lineno}: {ast.unparse(parent)}")
    return found


def modules() -> list[Path]:
    """List the modules of `ci` without the programs, which do not use Dagger."""
    root = Path(str(resources.files(ci)))
    return [path for path in sorted(root.rglob("*.py")) if "programs" not in path.relative_to(root).parts]


def test_every_error_of_dagger_becomes_text_in_one_place() -> None:
    texts = {path: path.read_text("utf-8") for path in modules()}
    holding = {path.name for path, text in texts.items() if list(scopes(ast.parse(text)))}
    assert {"session.py", "debug.py", "publish.py", "executor.py", "functions.py"} <= holding
    assert {path.name: lines for path, text in texts.items() if (lines := bypasses(text))} == {}


@pytest.mark.parametrize(
    "use",
    [
        "str(error)",
        "f'{error}'",
        "repr(error)",
        "error.message",
        "error.error",
        "'%s' % error",
        "print(error)",
    ],
)
def test_another_use_is_noticed(use: str) -> None:
    assert bypasses(f"try:\n    f()\nexcept dagger.QueryError as error:\n    raise UserError({use})\n")
    assert bypasses(f"def told(error: dagger.ExecError | None) -> str:\n    return g({use})\n")
    assert not bypasses(f"try:\n    f()\nexcept ValueError as error:\n    raise UserError({use})\n")
