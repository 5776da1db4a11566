"""read_indexes.py: pages of real HTTP servers on loopback, conditional requests, and what cannot be read."""

import functools
import http.server
import io
import json
import re
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from read_indexes import MOST_PAGES, load, save
from tests.stand_ins.indexes import Indexes, indexes, project, repodata

Run = Callable[..., subprocess.CompletedProcess[str]]
Read = Callable[..., list[dict[str, Any]]]

RAY = ["ray-1.0-cp313-cp313-manylinux2014_x86_64.whl"]


@pytest.fixture
def served() -> Iterator[Indexes]:
    with indexes() as found:
        yield found


@pytest.fixture
def read(run: Run, tmp_path: Path) -> Read:
    """Read pages, with what earlier reads of the test kept."""

    def ask(
        *asks: tuple[str, str] | tuple[str, str, str],
        env: dict[str, str] | None = None,
        patience: float = 60,
    ) -> list[dict[str, Any]]:
        rows = [dict(zip(("kind", "address", "name"), (*one, ""), strict=False)) for one in asks]
        (tmp_path / "asks.json").write_text(json.dumps(rows))
        options = ("--cache", tmp_path / "cache", "--timeout", patience)
        run("read_indexes.py", tmp_path / "asks.json", tmp_path / "answers.json", *options, env=env)
        answers: list[dict[str, Any]] = json.loads((tmp_path / "answers.json").read_text())
        assert len(answers) == len(rows)
        return answers

    return ask


def at(served: Indexes, path: str = "") -> str:
    """Return an address of the server."""
    return f"http://127.0.0.1:{served.port}{path}"


# -- pages ---------------------------------------------------------------------------------------------------


def test_a_page_is_read_and_then_asked_for_conditionally(served: Indexes, read: Read) -> None:
    served.pages["/simple/ray/"] = project("ray", RAY)
    served.pages["/pyg.html"] = "<a href=x>x</a>"
    asks = (("project", at(served, "/simple"), "ray"), ("page", at(served, "/pyg.html")))
    first = read(*asks)
    assert [one["status"] for one in first] == [200, 200]
    assert json.loads(first[0]["bodies"][0])["name"] == "ray"
    assert first[0]["address"] == at(served, "/simple/ray/")
    assert served.count(304) == 0
    assert read(*asks) == first
    assert served.count(304) == 2
    assert served.count(200) == 2


def test_a_page_that_changed_is_the_new_one(served: Indexes, read: Read) -> None:
    served.pages["/pyg.html"] = "old"
    read(("page", at(served, "/pyg.html")))
    served.pages["/pyg.html"] = "new"
    assert read(("page", at(served, "/pyg.html")))[0]["bodies"] == ["new"]


def test_a_date_is_a_validator_too(read: Read, tmp_path: Path) -> None:
    asked: list[str] = []

    class Dated(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code: int | str = "-", _: int | str = "-") -> None:
            asked.append(str(int(code)))

    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "page.html").write_text("dated")
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Dated, directory=str(folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ask = ("page", f"http://127.0.0.1:{server.server_port}/page.html")
        assert [read(ask)[0]["bodies"] for _ in range(2)] == [["dated"], ["dated"]]
        server.shutdown()
    assert asked == ["200", "304"]


@pytest.mark.parametrize("damage", [b"", b"{}\nold", b"not json\nold"])
def test_a_damaged_cache_counts_as_none(served: Indexes, read: Read, tmp_path: Path, damage: bytes) -> None:
    served.pages["/pyg.html"] = "good"
    read(("page", at(served, "/pyg.html")))
    for kept in (tmp_path / "cache").iterdir():
        if kept.is_file():
            kept.write_bytes(damage)
    assert read(("page", at(served, "/pyg.html")))[0]["bodies"] == ["good"]


@pytest.mark.parametrize("kind", ["page", "metadata"])
def test_a_page_that_was_cut_off_in_the_cache_is_read_again(
    served: Indexes, read: Read, tmp_path: Path, kind: str
) -> None:
    served.pages["/x.whl.metadata"] = "Requires-Dist: torch\n"
    ask = (kind, at(served, "/x.whl.metadata"))
    assert read(ask) == read(ask)
    assert len(served.answered) - served.count(304) == 1, "it is kept"
    (kept,) = (path for path in (tmp_path / "cache").iterdir() if path.is_file())
    kept.write_bytes(kept.read_bytes()[:-5])
    assert load(kept) is None
    # Validators with it would be answered by "not modified".
    assert read(ask)[0]["bodies"] == ["Requires-Dist: torch\n"]
    assert served.count(200) == 2


def test_a_page_is_kept_whole(tmp_path: Path) -> None:
    save(tmp_path / "one", "http://x/", {"If-None-Match": "a"}, b"a\nb\n")
    found = load(tmp_path / "one")
    assert found
    assert (found.url, found.headers, found.body) == ("http://x/", {"If-None-Match": "a"}, b"a\nb\n")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_no_address_is_the_index_of_pip(served: Indexes, read: Read) -> None:
    served.pages["/other/ray/"] = project("ray", RAY)
    (answer,) = read(("project", "", "ray"), env={"PIP_INDEX_URL": at(served, "/other/")})
    assert answer["address"] == at(served, "/other/ray/")


def test_an_index_that_passes_on_is_followed(served: Indexes, read: Read) -> None:
    (answer,) = read(("project", at(served, "/simple"), "packaging"))
    assert answer["status"] == 200, answer["problem"]
    assert str(served.port) not in answer["address"]
    assert '"packaging-' in answer["bodies"][0], "JSON is asked for there too"


# -- tags ----------------------------------------------------------------------------------------------------


def test_tags_are_read_with_a_token_and_to_the_last_page(served: Indexes, read: Read) -> None:
    served.pages["/v2/nvidia/cuda/tags/list"] = json.dumps(["12.8.1-base", "13.1.1-base", "latest"])
    (answer,) = read(("tags", at(served, "/v2/nvidia/cuda/tags/list")))
    assert [json.loads(body)["tags"] for body in answer["bodies"]] == [
        ["12.8.1-base"],
        ["13.1.1-base", "latest"],
    ]
    assert served.count(401) == 1


@pytest.mark.parametrize("token", ["{}", "", "[]", "null"])
def test_a_registry_that_gives_no_token_is_said(served: Indexes, read: Read, token: str) -> None:
    served.pages["/token"] = token
    (answer,) = read(("tags", at(served, "/v2/x/tags/list")))
    assert answer["problem"] == "the registry gave no token to anonymous readers"


class Listing(http.server.BaseHTTPRequestHandler):
    """Serves lists of tags to whoever has the token; `heard` has each path with the token that came with it.

    `far` is where /v2/moved leads, and where the next page of /v2/leads is.
    """

    far = ""
    heard: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.heard.append((self.path, self.headers.get("Authorization", "")))
        path, own = self.path.partition("?")[0], f"http://{self.headers['Host']}"
        if path == "/token":
            self.say(200, '{"token": "t"}')
        elif not self.headers.get("Authorization"):
            self.say(401, **{"WWW-Authenticate": f'Bearer realm="{own}/token"'})
        elif path == "/v2/moved":
            self.say(302, Location=f"{self.far}/there")
        elif path == "/v2/leads":
            self.say(200, Link=f'<{self.far}/v2/leads?last=x>; rel="next"')
        else:
            self.say(200, Link=f'<{self.path}>; rel="next"')

    def say(self, status: int, text: str = '{"tags": ["1"]}', **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def listing() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listing) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        Listing.heard.clear()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def elsewhere() -> Iterator[Indexes]:
    """Another host, which must hear no token; where the first one leads."""
    with indexes() as found:
        Listing.far = at(found)
        yield found


def test_the_next_page_of_tags_is_not_read_from_another_host(
    listing: str, elsewhere: Indexes, read: Read
) -> None:
    (answer,) = read(("tags", f"{listing}/v2/leads"))
    assert answer["problem"] == "the list of tags does not end, or leads to another host"
    assert (answer["bodies"], elsewhere.answered) == ([], [])


def test_a_list_of_tags_without_end_is_left(listing: str, read: Read) -> None:
    (answer,) = read(("tags", f"{listing}/v2/endless"))
    assert answer["problem"] == "the list of tags does not end, or leads to another host"
    pages = [path for path, token in Listing.heard if token]
    assert pages == ["/v2/endless"] * MOST_PAGES


def test_a_token_does_not_follow_a_redirection(listing: str, read: Read) -> None:
    class There(Listing):
        heard: ClassVar[list[tuple[str, str]]] = []

        def do_GET(self) -> None:
            self.heard.append((self.path, self.headers.get("Authorization", "")))
            self.say(200)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), There) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        Listing.far = f"http://127.0.0.1:{server.server_port}"
        (answer,) = read(("tags", f"{listing}/v2/moved"))
        server.shutdown()
    assert answer["bodies"] == ['{"tags": ["1"]}']
    assert ("/v2/moved", "Bearer t") in Listing.heard
    assert There.heard == [("/there", "")]


# -- channels ------------------------------------------------------------------------------------------------


def test_a_channel_is_asked_and_then_conditionally(served: Indexes, read: Read) -> None:
    served.pages["/channel/linux-64/repodata.json"] = repodata("3.13.5", "3.14.3")
    ask = ("conda", at(served, "/channel"), "python")
    for _ in range(2):
        (answer,) = read(ask)
        assert json.loads(answer["bodies"][0]) == [["3.13.5", "h_0_cp313"], ["3.14.3", "h_0_cp314"]]
    assert served.count(304, "repodata.json") == 1


def test_a_channel_without_the_package_has_none_of_it(served: Indexes, read: Read) -> None:
    served.pages["/channel/linux-64/repodata.json"] = repodata()
    assert read(("conda", at(served, "/channel"), "python"))[0]["bodies"] == ["[]"]


# -- metadata ------------------------------------------------------------------------------------------------


class Ranged(http.server.BaseHTTPRequestHandler):
    """Serves a wheel, by ranges if asked so; `sent` counts the bytes."""

    wheel = b""
    sent = 0

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        first, last = (
            (int(asked[1]), min(int(asked[2]), len(self.wheel) - 1)) if asked else (0, len(self.wheel) - 1)
        )
        body = self.wheel[first : last + 1]
        self.send_response(206 if asked and "norange" not in self.path else 200)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.wheel)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        type(self).sent += len(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def wheels() -> Iterator[str]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("torch/lib.so", b"x" * 3_000_000)
        archive.writestr("torch-1.0.dist-info/METADATA", "Requires-Dist: nvidia-cuda-runtime==13.0.1\n")
        archive.writestr("torch/other.dist-info/METADATA", "no\n")
    Ranged.wheel, Ranged.sent = buffer.getvalue(), 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranged) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_metadata_is_read_out_of_a_wheel_by_ranges_once(wheels: str, read: Read) -> None:
    ask = ("wheel", f"{wheels}/torch-1.0-py3-none-any.whl")
    assert read(ask)[0]["bodies"] == ["Requires-Dist: nvidia-cuda-runtime==13.0.1\n"]
    sent = Ranged.sent
    assert sent < 300_000, "little of the wheel is read"
    assert read(ask)[0]["bodies"] == ["Requires-Dist: nvidia-cuda-runtime==13.0.1\n"]
    assert Ranged.sent == sent


def test_a_server_without_ranges_says_nothing_of_a_wheel(wheels: str, read: Read) -> None:
    (answer,) = read(("wheel", f"{wheels}/norange.whl"))
    assert answer["problem"] == "neither metadata nor parts of files"


def test_what_is_no_wheel_says_nothing(wheels: str, read: Read) -> None:
    Ranged.wheel = b"<p>log in</p>" * 10
    assert "not a wheel" in read(("wheel", f"{wheels}/x.whl"))[0]["problem"]


def test_a_metadata_file_is_read_once(served: Indexes, read: Read) -> None:
    served.pages["/files/x.whl.metadata"] = "Requires-Dist: torch\n"
    for _ in range(2):
        assert read(("metadata", at(served, "/files/x.whl.metadata")))[0]["bodies"] == [
            "Requires-Dist: torch\n"
        ]
    assert len(served.answered) == 1


# -- what cannot be read -------------------------------------------------------------------------------------


def test_each_page_fails_for_itself(served: Indexes, read: Read) -> None:
    served.pages["/good"] = "good"
    served.hanging.add("/hangs")
    found = read(
        ("page", "http://127.0.0.1:1/"),
        ("page", at(served, "/gone")),
        ("page", at(served, "/hangs")),
        ("page", "http://no-such-host.invalid/"),
        ("page", "file:///etc/passwd"),
        ("conda", "http://127.0.0.1:1/channel", "python"),
        ("wheel", "http://127.0.0.1:1/x.whl"),
        ("page", at(served, "/good")),
        patience=5,
    )
    assert [one["status"] for one in found] == [None, 404, None, None, None, None, None, 200]
    problems = [one["problem"] for one in found]
    assert problems[1:3] == ["HTTP 404", "timed out"]
    assert problems[4] == "neither http nor https"
    assert all("refused" in problems[index] for index in (0, 5, 6))
    assert problems[3]
    assert found[-1]["bodies"] == ["good"]


def test_a_page_of_another_time_is_no_answer(served: Indexes, read: Read) -> None:
    served.pages["/simple/ray/"] = project("ray", RAY)
    ask = ("project", at(served, "/simple"), "ray")
    assert read(ask)[0]["bodies"]
    served.hanging.add("/simple/ray/")
    (answer,) = read(ask, patience=1)
    assert (answer["bodies"], answer["problem"]) == ([], "timed out")
    assert answer["address"] == at(served, "/simple/ray/")
