"""The names that the module uses of Dagger's client, and its description of itself to the engine."""

import ci
from ci.sdk.compat import own_fields
from tests.stand_ins import client_api


def test_the_client_has_the_names_that_are_used() -> None:
    # mypy checks methods here; tests/newest looks for them in the newest client.
    used = client_api.used_names()
    assert {f"dagger.{name}" for name in client_api.imported_names()} <= used
    assert {"dagger.check", "Container.with_exec(expect=)", "Container.with_mounted_cache(sharing=)"} <= used


def test_every_function_and_argument_has_text() -> None:
    found = client_api.describe_module()
    assert [name for name, function in found.items() if name and not function["doc"]] == []
    assert [
        (name, one)
        for name, function in found.items()
        for one, (_, doc, _) in function["takes"].items()
        if doc in ("", "None")
    ] == []


def test_checks_have_no_argument_and_are_cached_for_a_session_at_most() -> None:
    checks = {name: function for name, function in client_api.describe_module().items() if function["check"]}
    assert set(checks) == {"lint_matrix", "lint_locks"}
    assert [function["takes"] for function in checks.values()] == [{}, {}]
    assert {function["cache"] for function in checks.values()} == {"session"}


def test_the_fields_of_the_main_object_are_its_options() -> None:
    # A client may add fields of its own.
    assert [field.name for field in own_fields(ci.CslrImages)] == list(
        client_api.describe_module()[""]["takes"]
    )
