"""Kinds of failures by their output: real tools, messages of the engine, and harmless words."""

import time
from pathlib import Path

import pytest

from ci.history.failures import LENGTH, classify_failure
from tests.unit.history.sample_outputs import FILES, classify_sample, sample_name
from tests.unit.user_errors import is_one_line


def kind_of(output: str, exit_code: int | None) -> str:
    """Return the kind of a failure with an output."""
    return classify_failure("torch", output, exit_code=exit_code).kind


# Messages of an engine and its client, as in bug reports about Dagger and BuildKit.
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
    ("disk-full", "failed to copy files: write /var/lib/dagger/x: disk quota exceeded"),
    ("disk-full", "npm ERR! ENOSPC: write"),
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


# Messages of the programs in ci/programs.
OURS = [
    (
        "out-of-memory",
        "compile_wheels.py: error: torch-scatter 2.1.2: scatter_cuda: a compiler was killed, most likely for memory",
    ),
    (
        "missing-wheel",
        "compile_wheels.py: error: pip download: ERROR: No matching distribution found for torch-scatter==9",
    ),
    ("hash-mismatch", "make_channel.py: error: x.jar: sha256 is aa, the recipe says bb"),
    ("hash-mismatch", "make_env.py: /c/x.conda is not what its channel or the lock says (sha256)"),
    ("missing-wheel", "make_channel.py: error: apt-get knows none of libx, liby: is apt-get update needed?"),
    ("unknown", "compile_wheels.py: error: '12' in --arch-list: not like 8.0 or 9.0+PTX"),
    ("unknown", "pack_env.py: error: out.tar: expected .tar.zst, .tar.gz or .tar"),
    ("unknown", "make_env.py: error: the following arguments are required: --prefix"),
]


# Messages of compilers that are not installed for the tests.
NVCC = [
    ("compile-error", 'csrc/cuda/x.cu(218): error: identifier "THArgCheck" is undefined'),
    ("compile-error", "nvcc fatal   : Unsupported gpu architecture 'compute_20'"),
    ("compile-error", "ptxas fatal   : Unresolved extern function 'x'"),
    ("out-of-memory", "nvcc error   : 'cicc' died due to signal 9 (Kill signal)"),
    ("out-of-memory", "g++: internal compiler error: Killed (program cc1plus)"),
    ("unknown", 'csrc/x.cu(12): warning #177-D: variable "out_of_memory" was declared: connection refused'),
]


# Printed by steps that succeed, or that fail for another reason.
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


@pytest.mark.parametrize("path", FILES, ids=sample_name)
def test_the_output_of_a_real_tool_is_of_the_kind_of_its_folder(path: Path) -> None:
    found = classify_sample(path)
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


def test_samples_name_no_machine_and_no_index() -> None:
    # Split, so that this file does not contain them itself.
    names = ("py" + "pi.", "python" + "hosted", "anaconda" + ".org", "/ro" + "ot/", "/ho" + "me/")
    assert not [(path.name, name) for path in FILES for name in names if name in path.read_text("utf-8")]


@pytest.mark.parametrize(("kind", "message"), ENGINE)
def test_messages_of_the_engine_have_no_exit_code(kind: str, message: str) -> None:
    found = classify_failure("base", "", message=message)
    assert found.kind == kind
    assert found.exit_code is None
    assert found.message == message or len(message) > LENGTH


@pytest.mark.parametrize(("kind", "line"), OURS + NVCC)
def test_messages_of_our_programs_and_of_other_compilers(kind: str, line: str) -> None:
    assert classify_failure("pyg", f"some output\n{line}\nmore output\n", exit_code=1).kind == kind


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless_lines_are_no_cause(line: str) -> None:
    assert kind_of(f"start\n{line}\nthe end\n", 1) == "unknown"


@pytest.mark.parametrize("noise", [path for path in FILES if path.parent.name == "network"], ids=sample_name)
@pytest.mark.parametrize("kind", ["hash-mismatch", "disk-full", "compile-error"])
def test_a_network_fault_hides_no_other_cause(kind: str, noise: Path) -> None:
    # Otherwise a wrong hash would be retried, and one of the tries might succeed.
    cause = next(path for path in FILES if path.parent.name == kind).read_text("utf-8")
    retried = noise.read_text("utf-8")
    assert kind_of(f"{retried}\n{cause}", 1) == kind
    assert kind_of(f"{cause}\n{retried}", 1) == kind


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.parent.name == "hash-mismatch"], ids=sample_name
)
@pytest.mark.parametrize("code", [None, 1, 2, 137])
def test_a_wrong_hash_is_a_wrong_hash_however_the_step_ended(path: Path, code: int | None) -> None:
    assert kind_of(path.read_text("utf-8"), code) == "hash-mismatch"


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
def test_a_killed_process_ran_out_of_memory_unless_it_names_another_cause(output: str, kind: str) -> None:
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
def test_a_crashed_process_crashed_unless_it_names_a_cause(output: str, kind: str, code: int) -> None:
    assert classify_failure("marimo", output, exit_code=code).kind == kind


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
