"""The message and the last lines that a failure keeps, and the policy of each kind."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.history.failures import LENGTH, POLICIES, TAIL, classify_failure
from ci.history.records import FailureKind
from tests.unit.history.sample_outputs import SAMPLES, classify_sample
from tests.unit.user_errors import is_one_line, texts

# The most informative line, or a part of it, for one sample of each tool.
SUMMARIES = {
    "network/uv-refused": "Failed to fetch: http://127.0.0.1:9/simple/demo/",
    "network/uv-503": "503 Service Unavailable",
    "network/pip-503": "too many 503 error responses",
    "network/pip-refused": "[Errno 111] Connection refused",
    "network/apt-update-install": "Could not connect to 127.0.0.1:9",
    "network/curl-dns": "Could not resolve host: index.example.invalid",
    "network/rattler-refused": "Connection refused (os error 111)",
    "missing-wheel/uv-nover": "there is no version of demo==9.9",
    "missing-wheel/uv-other-python": "no wheels with a matching Python implementation tag",
    "missing-wheel/uv-404-wheel": "404 Not Found",
    "missing-wheel/pip-nover": "the requirement demo==9.9 (from versions: 1.0)",
    "missing-wheel/apt-unknown": "E: Unable to locate package nowhere-package-dev",
    "hash-mismatch/uv-hash": "Hash mismatch for `demo==1.0`",
    "hash-mismatch/pip-hash": "demo==1.0 from http://127.0.0.1:8080/ok",
    "hash-mismatch/sha256": "1 computed checksum did NOT match",
    "registry/crane-401": "UNAUTHORIZED: authentication required",
    "registry/uv-401": "401 Unauthorized",
    "disk-full/full-ld": "final link failed: No space left on device",
    "disk-full/full-uv": "No space left on device (os error 28)",
    "out-of-memory/gcc-killed": "Killed signal terminated program cc1plus",
    "out-of-memory/python-killed": "killed (exit status 137)",
    "out-of-memory/python-memory": "MemoryError",
    "crash/sh-segv": "Segmentation fault",
    "crash/sh-abort": "Aborted",
    "compile-error/gcc-header": "header.c:1:10: fatal error: cusparse_nowhere.h: No such file or directory",
    "compile-error/gcc-undefined": "undefined reference to `missing_symbol'",
    "compile-error/gcc-warnings-too": "2:71: error:",
    "compile-error/ninja": "cusparse_nowhere.h",
    "compile-error/setuptools": "broken.cpp:4:5: error: expected initializer",
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_message_is_the_most_informative_line(name: str) -> None:
    (path,) = SAMPLES.glob(f"{name}.*.txt")
    assert SUMMARIES[name] in classify_sample(path).message


def test_the_message_of_a_killed_process_has_its_last_line() -> None:
    found = classify_failure("pyg", "[1/9] a.o\n[2/9] b.o\n", exit_code=137)
    assert found.message == "killed (exit status 137); its last line: [2/9] b.o"


def test_the_message_of_a_silent_step_is_its_exit_code() -> None:
    assert classify_failure("pack", "", exit_code=3).message == "exit status 3"
    assert classify_failure("pack", " \n\n", exit_code=3).tail == ()


def test_the_message_of_an_unknown_cause_is_the_last_error_else_the_last_line() -> None:
    assert classify_failure("pack", "error: no idea\nbye\n", exit_code=1).message == "error: no idea"
    assert classify_failure("pack", "hello\nbye\n", exit_code=1).message == "bye"


def test_a_warning_is_not_the_message_of_an_error() -> None:
    text = "x.c:1:2: warning: cannot allocate memory\n    1 | failed\n      | ^~~~\nbye\n"
    assert classify_failure("pack", text, exit_code=1).message == "bye"


def test_the_errors_of_a_chain_are_one_message() -> None:
    older = (
        "  \u00d7 Failed to download `x`\n"
        "  ├─▶ Failed to fetch: `http://127.0.0.1/x`\n"
        "  ╰─▶ Connection refused (os error 111)\n"
    )
    found = classify_failure("torch", older, exit_code=1)
    assert found.kind == "network"
    assert found.message == (
        "\u00d7 Failed to download `x`: Failed to fetch: `http://127.0.0.1/x`: Connection refused (os error 111)"
    )


def test_lines_after_an_error_are_not_its_cause() -> None:
    found = classify_failure("torch", "error: Failed to fetch: x\nbye\n    indented\n", exit_code=1)
    assert found.message == "error: Failed to fetch: x"


def test_a_compiler_error_inside_a_failed_build_is_the_message() -> None:
    text = (
        "error: Failed to build `x`\n  cause: The build backend returned an error\n"
        "  cause: Call to `setuptools` failed (exit status: 1)\n\n"
        "         [stderr]\n         x.cpp:4:5: error: expected initializer\n"
    )
    found = classify_failure("pyg", text, exit_code=1)
    assert (found.kind, found.message) == ("compile-error", "x.cpp:4:5: error: expected initializer")


def test_a_record_keeps_the_end_of_the_output_and_the_command() -> None:
    output = "".join(f"line {number}\n\n" for number in range(100))
    found = classify_failure("pyg", output, exit_code=1, command="sh -c\nset -eu\tx")
    assert found.tail == tuple(f"line {number}" for number in range(100 - TAIL, 100))
    assert found.command == "sh -c set -eu x"
    assert (found.stage, found.exit_code) == ("pyg", 1)


def test_terminal_colours_neither_hide_a_pattern_nor_reach_a_record() -> None:
    found = classify_failure(
        "torch", "\x1b[31merror\x1b[39m: Connection \x1b[1mrefused\x1b[0m\n", exit_code=1
    )
    assert found.kind == "network"
    assert found.message == found.tail[0] == "error: Connection refused"


def test_no_credentials_in_a_url_reach_a_record() -> None:
    line = "Failed to fetch: https://me:s3cret@index.example.invalid/x: connection refused"
    found = classify_failure("torch", line, exit_code=1, command=f"uv --index {line}", message=line)
    assert "s3cret" not in found.model_dump_json()
    assert "https://***@index.example.invalid/x" in found.message


@given(texts, st.none() | st.integers(0, 255), texts, texts)
def test_any_output_makes_a_failure_of_printable_lines(
    output: str, code: int | None, command: str, message: str
) -> None:
    found = classify_failure("s", output, exit_code=code, command=command, message=message)
    for line in (found.message, found.command, *found.tail):
        assert is_one_line(line) or not line
        assert len(line) <= LENGTH
    assert len(found.tail) <= TAIL
    assert found.message or code is None


def test_every_kind_has_a_policy() -> None:
    assert set(POLICIES) == set(get_args(FailureKind))
    assert all(policy.advice or kind == "unknown" for kind, policy in POLICIES.items())
    assert all(is_one_line(policy.advice) for policy in POLICIES.values() if policy.advice)


def test_only_transient_failures_are_retried() -> None:
    assert {kind: policy.tries for kind, policy in POLICIES.items() if policy.tries != 1} == {
        "network": 4,
        "out-of-memory": 3,
        "crash": 2,
    }
    assert {kind for kind, policy in POLICIES.items() if policy.halves_jobs} == {"out-of-memory"}
    assert {kind for kind, policy in POLICIES.items() if policy.pause} == {"network"}
    assert min(policy.tries for policy in POLICIES.values()) == 1


def test_a_part_of_a_chain_is_cut_where_it_is_too_long() -> None:
    def message(length: int) -> str:
        return classify_failure(
            "torch", f"  \u00d7 {'x' * (length - 2)}\n  ╰─▶ no route to host\n", exit_code=1
        ).message

    assert message(140) == f"\u00d7 {'x' * 138}: no route to host"
    assert message(141) == f"\u00d7 {'x' * 138}…: no route to host"
