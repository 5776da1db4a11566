"""What the module asks of Dagger's client, and how it describes itself to the engine."""

import ci
from ci.sdk.compat import own_fields
from tests.stand_ins import client_api


def test_the_client_has_what_is_taken_from_it() -> None:
    # Methods are mypy's affair here; under the newest client, tests/newest looks for them.
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


def test_checks_take_no_argument_and_are_kept_for_a_session_at_most() -> None:
    checks = {name: function for name, function in client_api.describe_module().items() if function["check"]}
    assert set(checks) == {"lint_matrix", "lint_locks"}
    assert [function["takes"] for function in checks.values()] == [{}, {}]
    assert {function["cache"] for function in checks.values()} == {"session"}


def test_the_fields_of_the_main_object_are_its_options() -> None:
    # A client may add fields that are none of ours.
    assert [field.name for field in own_fields(ci.CslrImages)] == list(
        client_api.describe_module()[""]["takes"]
    )
