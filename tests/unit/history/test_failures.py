"""What kind of failure it is: the real outputs in samples/, messages of the engine, and text that must mean nothing.

A sample is what a tool printed on this side of a loopback server, a broken source or a full disk, with the paths of
the machine taken out: `samples/KIND/NAME.EXIT.txt`.
"""

import time
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.history.failures import LENGTH, POLICIES, TAIL, classify_failure, failure_kind
from ci.history.records import Failure, Kind
from tests.unit.user_errors import is_one_line, texts

SAMPLES = Path(__file__).parents[1] / "data/failures"
FILES = sorted(SAMPLES.glob("*/*.txt"))

# The line that tells most, or a part of it, for one sample of each tool.
TELLING = {
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

# What an engine and its client say; the shapes are those of reports about Dagger and BuildKit.
RESOLVE = 'failed to resolve image "r.example.invalid/x:1" (platform: "linux/amd64"): '
META = f"{RESOLVE}failed to resolve source metadata for r.example.invalid/x:1: "
HEAD = 'failed to do request: Head "https://r.example.invalid/v2/x/manifests/1": '
ENGINE = [
    ("network", f"{META}{HEAD}dial tcp 127.0.0.1:5000: connect: connection refused"),
    ("network", f"{META}{HEAD}dial tcp 127.0.0.1:443: i/o timeout"),
    ("network", f"{META}{HEAD}dial tcp: lookup r.example.invalid on 127.0.0.1:53: no such host"),
    ("network", f"{META}{HEAD}net/http: TLS handshake timeout"),
    (
        "network",
        f"{META}unexpected status from HEAD request to https://r.example.invalid: 503 Service Unavailable",
    ),
    ("network", "failed to download: invalid response status 502 Bad Gateway"),
    ("network", "invalid response status 503"),
    ("network", "failed to copy: httpReadSeeker: failed open: read tcp: read: connection reset by peer"),
    ("registry", f"{META}r.example.invalid/x:1: not found"),
    ("registry", f"{META}pull access denied, repository does not exist or may require authorization"),
    (
        "registry",
        f"{META}failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
    ),
    ("registry", "failed to solve: unexpected status: 401 Unauthorized"),
    ("registry", "failed to push r.example.invalid/x:1: unexpected status from POST request: 403 Forbidden"),
    ("registry", "failed to push r.example.invalid/x:1: denied: requested access to the resource is denied"),
    ("registry", 'Error response: Head "https://r.example.invalid/v2/x/manifests/1": denied'),
    ("missing-wheel", "invalid response status 404 Not Found"),
    (
        "hash-mismatch",
        "failed commit on ref: unexpected commit digest sha256:aa, expected sha256:bb: failed precondition",
    ),
    ("disk-full", "failed to solve: ResourceExhausted: mkdir /var/lib/dagger/x: no space left on device"),
    ("disk-full", "rpc error: code = Unavailable desc = write /var/lib/dagger/x: no space left on device"),
    ("out-of-memory", 'process "sh -c x" did not complete successfully: exit code: 137'),
    ("interrupted", 'process "sh -c x" did not complete successfully: exit code: 137: context canceled'),
    ("engine-gone", "rpc error: code = Unavailable desc = error reading from server: EOF"),
    (
        "engine-gone",
        "failed to receive status: read unix @->/run/buildkit/buildkitd.sock: connection reset by peer",
    ),
    ("engine-gone", 'Post "http://dagger/query": unexpected EOF'),
    ("engine-gone", 'failed to get requester session: session for "k484" not found'),
    ("verification", "cu12.8.1-py3.13-runtime: 2 of 9 checks failed: train_step (Connection refused)"),
    (
        "unknown",
        f"{META}{HEAD}tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    ("unknown", "something that nobody has seen before"),
]

# The programs of ci/programs say these.
OURS = [
    (
        "out-of-memory",
        "compile_wheels: error: torch-scatter 2.1.2: scatter_cuda: a compiler was killed, most likely for memory",
    ),
    (
        "missing-wheel",
        "compile_wheels: error: pip download: ERROR: No matching distribution found for torch-scatter==9",
    ),
    ("hash-mismatch", "make_channel.py: x.jar: sha256 is aa, the recipe says bb"),
    ("hash-mismatch", "make_env.py: /c/x.conda is not what its channel or the lock says (sha256)"),
    ("missing-wheel", "make_channel.py: apt-get knows none of libx, liby: is apt-get update needed?"),
    ("unknown", "compile_wheels: error: '12' in --arch-list: not like 8.0 or 9.0+PTX"),
    ("unknown", "pack_env.py: out.tar: expected .tar.zst, .tar.gz or .tar"),
    ("unknown", "make_env.py: error: the following arguments are required: --prefix"),
]

# Compilers that are not here.
NVCC = [
    ("compile-error", 'csrc/cuda/x.cu(218): error: identifier "THArgCheck" is undefined'),
    ("compile-error", "nvcc fatal   : Unsupported gpu architecture 'compute_20'"),
    ("compile-error", "ptxas fatal   : Unresolved extern function 'x'"),
    ("out-of-memory", "nvcc error   : 'cicc' died due to signal 9 (Kill signal)"),
    ("out-of-memory", "g++: internal compiler error: Killed (program cc1plus)"),
    ("unknown", 'csrc/x.cu(12): warning #177-D: variable "out_of_memory" was declared: connection refused'),
]

# Said by steps that go well, or by steps that fail of something else.
HARMLESS = [
    "x.cpp:1:2: warning: connection timed out, no space left on device, hash mismatch, cannot allocate memory",
    "/opt/env/x.py:3: UserWarning: Connection refused; Cannot allocate memory",
    '   12 |   throw Error("Cannot allocate memory");',
    "warning: Failed to fetch the optional index",
    "read timeout: 30, retries after a timeout: 4",
    "default: --timeout 60 (seconds until a request has timed-out)",
    "checking for network... yes",
    "compiled with support for out of memory handlers",
    "[500/504] x.o",
    "wrote 503 of 504 objects, exit status 1",
    "Downloading http://127.0.0.1:503/x",
    "PermissionError: [Errno 13] Permission denied: '/opt/env/x'",
    "sh: 1: nvidia-smi: not found",
    "-bash: unexpected EOF while looking for matching `\"'",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
    "test_hashes: FAILED",
    "x.py: error: argument --jobs: invalid int value",
    "context canceled",
]


def of_sample(path: Path) -> Failure:
    """Triage a sample."""
    return classify_failure("torch", path.read_text("utf-8"), exit_code=int(path.name.split(".")[-2]))


def named(path: Path) -> str:
    """Return a sample's kind and name."""
    return f"{path.parent.name}/{path.name.split('.')[0]}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_the_output_of_a_real_tool_is_of_the_kind_of_its_folder(path: Path) -> None:
    found = of_sample(path)
    assert found.kind == path.parent.name, found.message
    assert found.message
    assert is_one_line(found.message)


def test_every_kind_that_output_can_show_has_samples() -> None:
    kinds = {path.parent.name for path in FILES}
    assert kinds == {
        "network",
        "missing-wheel",
        "hash-mismatch",
        "out-of-memory",
        "disk-full",
        "compile-error",
        "crash",
        "registry",
        "unknown",
    }
    assert set(TELLING) <= {named(path) for path in FILES}


@pytest.mark.parametrize("name", TELLING)
def test_the_message_is_the_line_that_tells_most(name: str) -> None:
    (path,) = SAMPLES.glob(f"{name}.*.txt")
    assert TELLING[name] in of_sample(path).message


def test_samples_name_no_machine_and_no_index() -> None:
    # Put together here, or this file would be what it looks for.
    names = ("py" + "pi.", "python" + "hosted", "anaconda" + ".org", "/ro" + "ot/", "/ho" + "me/")
    assert not [(path.name, name) for path in FILES for name in names if name in path.read_text("utf-8")]


@pytest.mark.parametrize(("kind", "message"), ENGINE)
def test_what_the_engine_says_without_an_exit_code(kind: str, message: str) -> None:
    found = classify_failure("base", "", message=message)
    assert found.kind == kind
    assert found.exit_code is None
    assert found.message == message or len(message) > LENGTH


@pytest.mark.parametrize(("kind", "line"), OURS + NVCC)
def test_programs_of_ours_and_compilers_that_are_not_here(kind: str, line: str) -> None:
    assert classify_failure("pyg", f"some output\n{line}\nmore output\n", exit_code=1).kind == kind


@pytest.mark.parametrize("line", HARMLESS)
def test_words_that_mean_nothing(line: str) -> None:
    assert failure_kind(f"start\n{line}\nthe end\n", 1) == "unknown"


@pytest.mark.parametrize("noise", [path for path in FILES if path.parent.name == "network"], ids=named)
@pytest.mark.parametrize("kind", ["hash-mismatch", "disk-full", "compile-error"])
def test_a_fault_of_the_network_on_the_way_hides_no_other_cause(kind: str, noise: Path) -> None:
    # A wrong hash would be retried, and one of the tries might pass.
    cause = next(path for path in FILES if path.parent.name == kind).read_text("utf-8")
    retried = noise.read_text("utf-8")
    assert failure_kind(f"{retried}\n{cause}", 1) == kind
    assert failure_kind(f"{cause}\n{retried}", 1) == kind


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "hash-mismatch"], ids=named)
@pytest.mark.parametrize("code", [None, 1, 2, 137])
def test_a_wrong_hash_is_a_wrong_hash_however_the_step_ended(path: Path, code: int | None) -> None:
    assert failure_kind(path.read_text("utf-8"), code) == "hash-mismatch"


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("", "out-of-memory"),
        ("[3/9] Building x.o\n", "out-of-memory"),
        ("warning: x\nx.cpp:1:2: error: y\n", "out-of-memory"),
        ("WARNING: Retrying (Retry(total=0)) Connection refused\n", "out-of-memory"),
        ("tar: x: Cannot write: No space left on device\n", "disk-full"),
        ("error: Hash mismatch for `x`\n", "hash-mismatch"),
        ("exit code: 137: context canceled", "interrupted"),
    ],
)
def test_a_killed_process_had_no_memory_unless_another_cause_was_named(output: str, kind: str) -> None:
    assert classify_failure("pyg", output, exit_code=137).kind == kind


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("", "crash"),
        ("warning: connection refused\nSegmentation fault\n", "crash"),
        ("error: Failed to fetch: connection refused\nSegmentation fault\n", "network"),
        ("ERROR: 1 of 11 checks failed: train_step\nSegmentation fault\n", "verification"),
        ("cc1plus: out of memory allocating 65536 bytes\nAborted\n", "out-of-memory"),
    ],
)
@pytest.mark.parametrize("code", [134, 135, 139])
def test_a_process_that_crashed_did_so_unless_a_cause_was_named(output: str, kind: str, code: int) -> None:
    assert classify_failure("marimo", output, exit_code=code).kind == kind


def test_a_killed_process_is_told_with_its_last_line() -> None:
    found = classify_failure("pyg", "[1/9] a.o\n[2/9] b.o\n", exit_code=137)
    assert found.message == "killed (exit status 137); its last line: [2/9] b.o"


def test_a_step_that_says_nothing_is_told_by_its_exit_code() -> None:
    assert classify_failure("pack", "", exit_code=3).message == "exit status 3"
    assert classify_failure("pack", " \n\n", exit_code=3).tail == ()


def test_a_cause_that_nobody_knows_is_told_by_the_last_error_else_the_last_line() -> None:
    assert classify_failure("pack", "error: no idea\nbye\n", exit_code=1).message == "error: no idea"
    assert classify_failure("pack", "hello\nbye\n", exit_code=1).message == "bye"


def test_a_warning_is_not_the_message_of_an_error() -> None:
    text = "x.c:1:2: warning: cannot allocate memory\n    1 | failed\n      | ^~~~\nbye\n"
    assert classify_failure("pack", text, exit_code=1).message == "bye"


def test_the_errors_of_a_chain_are_told_together() -> None:
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


def test_what_follows_an_error_is_not_its_cause() -> None:
    found = classify_failure("torch", "error: Failed to fetch: x\nbye\n    indented\n", exit_code=1)
    assert found.message == "error: Failed to fetch: x"


def test_a_compiler_inside_a_failed_build_is_told_by_its_own_line() -> None:
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


def test_colours_of_a_terminal_neither_hide_a_sign_nor_reach_a_record() -> None:
    found = classify_failure(
        "torch", "\x1b[31merror\x1b[39m: Connection \x1b[1mrefused\x1b[0m\n", exit_code=1
    )
    assert found.kind == "network"
    assert found.message == found.tail[0] == "error: Connection refused"


def test_no_credentials_of_an_address_reach_a_record() -> None:
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


@pytest.mark.parametrize(
    "output",
    [
        "error: command gcc " * 100_000,
        ("E: Version '" * 20 + "\n") * 2000,
        "failed to resolve " * 100_000,
        ("compiling x.cpp with many words and -D" + "X" * 200 + "\n") * 20_000,
        "\x1b[" * 500_000,
        "://" * 500_000,
        " " * 1_000_000 + "x",
    ],
    ids=["one line", "quotes", "words", "a long log", "escapes", "addresses", "spaces"],
)
def test_a_large_output_takes_no_time(output: str) -> None:
    began = time.process_time()
    classify_failure("pyg", output, exit_code=1)
    assert time.process_time() - began < 10


def test_every_kind_has_a_policy() -> None:
    assert set(POLICIES) == set(get_args(Kind))
    assert all(policy.advice or kind == "unknown" for kind, policy in POLICIES.items())
    assert all(is_one_line(policy.advice) for policy in POLICIES.values() if policy.advice)


def test_only_what_may_pass_is_worth_another_try() -> None:
    assert {kind: policy.tries for kind, policy in POLICIES.items() if policy.tries != 1} == {
        "network": 4,
        "out-of-memory": 3,
        "crash": 2,
    }
    assert {kind for kind, policy in POLICIES.items() if policy.halves_jobs} == {"out-of-memory"}
    assert {kind for kind, policy in POLICIES.items() if policy.pause} == {"network"}
    assert min(policy.tries for policy in POLICIES.values()) == 1
