"""Test the embedded engine's decisions, bundles and image layouts, and daggerw's own commands."""

import ast
import json
import os
import re
import socket
import subprocess
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.programs import make_bundle
from ci.programs.make_bundle import Manifest, add, verify
from engine import bundle as bundle_module
from engine import server
from engine.arguments import complete_arguments
from engine.bundle import update_bundle
from engine.network import find_free_port, parse_routes
from engine.oci import Layout
from engine.paths import PROJECT, VERSION, PartDigests, Paths
from engine.setup import remove_other_parts

ROUTES = """\
default via 172.30.0.1 dev eth0
10.70.0.0/16 dev cni0 proto kernel scope link src 10.70.0.1
172.30.0.0/24 dev eth0 proto kernel scope link src 172.30.0.2
local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1
broadcast 10.70.255.255 dev cni0 table local proto kernel scope link src 10.70.0.1
"""


@pytest.mark.parametrize(
    ("given_arguments", "full"),
    [
        ("call cells", "call --sources registries cells"),
        ("--progress plain call cells", "--progress plain call --sources registries cells"),
        ("call --sources upstream cells", "call --sources upstream cells"),
        ("call cells --sources=upstream", "call cells --sources=upstream"),
        ("-m . call cells", "-m . call --sources registries cells"),
        ("functions", "functions"),
        ("core version", "core version"),
        ("query", "query"),
        ("", ""),
        ("--progress", "--progress"),
    ],
)
def test_calls_of_this_module_get_the_sources(given_arguments: str, full: str) -> None:
    arguments, added = complete_arguments(given_arguments.split(), PROJECT)
    assert arguments == full.split()
    assert added == (arguments != given_arguments.split())


def test_calls_of_another_module_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dagger.json").write_text('{"name": "other"}')
    assert complete_arguments(["call", "cells"], tmp_path) == (["call", "cells"], False)
    (tmp_path / "dagger.json").write_text("not JSON")
    assert complete_arguments(["call", "cells"], tmp_path) == (["call", "cells"], False)
    assert complete_arguments(["-m", str(tmp_path), "call", "cells"], PROJECT)[1] is False
    assert complete_arguments([f"--mod={tmp_path}", "call", "cells"], PROJECT)[1] is False


def test_a_folder_in_the_project_counts_as_the_project() -> None:
    assert complete_arguments(["call", "cells"], PROJECT / "tests/unit")[1] is True


def test_routes_become_networks() -> None:
    networks = ["10.70.0.0/16", "172.30.0.0/24", "127.0.0.1/32", "10.70.255.255/32"]
    assert parse_routes(ROUTES) == [ip_network(network) for network in networks]


def test_a_port_that_is_in_use_is_skipped() -> None:
    first = find_free_port(0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert find_free_port(0) != first


@pytest.fixture
def listening(tmp_path: Path) -> tuple[socket.socket, str]:
    """Return a listening unix socket and its path."""
    address = str(tmp_path / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    return listener, address


def test_connections_to_a_socket_are_counted(listening: tuple[socket.socket, str]) -> None:
    listener, address = listening
    table = Path("/proc/net/unix")
    with listener, socket.socket(socket.AF_UNIX) as client:
        assert server.count_clients(table.read_text(), address) == 0
        client.connect(address)
        accepted, _ = listener.accept()
        with accepted:
            assert server.count_clients(table.read_text(), address) == 1
            assert server.count_clients(table.read_text(), address + "x") == 0
        assert server.count_clients(table.read_text(), address) == 0


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in place of the engine's first one."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def make_engine(process: subprocess.Popen[bytes], address: str) -> server.Engine:
    """Return an engine with a process and a socket."""
    init = server.Process.find(process.pid)
    return server.Engine("", "", address, "", "", holder=init, init=init)


def test_a_killed_process_is_ending_before_it_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    process = server.Process.find(sleeper.pid)
    assert not process.ending
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # it is still in the process table
    assert process.ending


def test_an_engine_that_accepts_connections_and_ends_without_an_answer_is_not_used(
    listening: tuple[socket.socket, str], sleeper: subprocess.Popen[bytes]
) -> None:
    # Seen: a killed engine's socket still accepted connections, and dagger's client tried it for ten minutes.
    listener, address = listening
    killer = threading.Timer(0.3, sleeper.kill)
    with listener:
        killer.start()
        assert not make_engine(sleeper, address).alive
    killer.join()


def test_an_engine_that_answers_is_used_and_one_without_a_listener_is_not(
    listening: tuple[socket.socket, str], sleeper: subprocess.Popen[bytes]
) -> None:
    listener, address = listening
    received = []

    def answer() -> None:
        for _ in range(2):  # one connection to see that it listens, one to see that it answers
            accepted, _address = listener.accept()
            with accepted:
                received.append(accepted.recv(100))
                if received[-1]:
                    accepted.sendall(b"\0")

    answering = threading.Thread(target=answer, daemon=True)
    answering.start()
    with listener:
        assert make_engine(sleeper, address).alive
        answering.join(timeout=10)
    assert received == [b"", server.HELLO]
    assert not make_engine(sleeper, address).alive


# The fields of os.statvfs_result that make_config reads.
Disk = namedtuple("Disk", "f_bfree f_bavail f_blocks f_frsize")


@given(st.integers(10**5, 10**9), st.integers(0, 10**4))
def test_the_free_space_that_the_engine_keeps_can_be_used(blocks: int, unavailable: int) -> None:
    disk = Disk(f_bfree=blocks // 2, f_bavail=blocks // 2 - unavailable, f_blocks=blocks, f_frsize=4096)
    config = server.make_config("127.0.0.1:1", disk)  # type: ignore[arg-type]
    rule = json.loads(json.dumps(config))["gc"]["policies"][0]
    assert rule["minFreeSpace"] - unavailable * 4096 == server.KEPT_FREE
    assert rule["maxUsedSpace"] > 10 * blocks * 4096, "files that layers share are counted once per layer"


def test_blobs_of_a_layout_are_named_by_their_digests(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/tool").write_text("#!/bin/sh\n")
    layout = Layout(tmp_path / "layout")
    layer = layout.add_layer(tree, owned_by_root=True)
    first = layout.add_image([layer], {"Env": ["A=1"]})
    second = layout.add_image([layer, layer], {})
    index = json.loads((tmp_path / "layout/index.json").read_text())
    assert [entry["digest"] for entry in index["manifests"]] == [first, second]
    blobs = tmp_path / "layout/blobs/sha256"
    for blob in blobs.iterdir():
        assert sha256(blob.read_bytes()).hexdigest() == blob.name
    listed = subprocess.run(
        ["tar", "-tvf", blobs / str(layer["digest"]).removeprefix("sha256:"), "--numeric-owner"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["0/0"] * 3
    config = json.loads((blobs / first.removeprefix("sha256:")).read_text())["config"]["digest"]
    image = json.loads((blobs / config.removeprefix("sha256:")).read_text())
    assert image["rootfs"]["diff_ids"] == [layer["digest"]]


def test_a_new_bundle_is_moved_into_the_earlier_one(tmp_path: Path) -> None:
    staging, target = tmp_path / ".bundle.partial", tmp_path / "bundle"
    wheel = tmp_path / "torch.whl"
    for content in ("first", "second"):
        wheel.write_text(content, "utf-8")
        manifest = Manifest("registries", ("cpu-py3.13-runtime",), (), ())
        add(staging, manifest, ["wheels/cpu"], {"wheels/cpu/torch.whl": wheel})
        line = update_bundle(staging, target)
        start = f"{target}: 1 files in 1 contents, 0 MB, of the registries sources"
        assert line == f"{start}, for cpu-py3.13-runtime"
        assert not staging.exists()
        assert verify(target) == []
        assert (target / "wheels/cpu/torch.whl").read_text("utf-8") == content


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        Layout(tmp_path / "layout").add_layer(tmp_path / "nothing")


def test_two_cache_folders_have_different_names_and_socket_paths_that_fit(tmp_path: Path) -> None:
    one, other = Paths(tmp_path / "one"), Paths(tmp_path / ("d" * 120))
    assert one.name != other.name
    assert str(one.socket).startswith(str(tmp_path))
    assert len(os.fsencode(other.socket)) < 108


def test_a_part_is_built_again_when_its_inputs_change() -> None:
    digests, newer = PartDigests("go1", "sources"), PartDigests("go2", "sources")
    assert digests.tools != newer.tools
    assert digests.images != newer.images
    assert digests.tools == PartDigests("go1", "other sources").tools
    assert digests.roots != PartDigests("go1", "other sources").roots


def run_daggerw(cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of daggerw's own commands with a cache folder."""
    return subprocess.run(
        [PROJECT / "daggerw", *arguments],
        env={**os.environ, "CSLR_IMAGES_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )


def test_parts_of_earlier_set_ups_are_gone_at_once_and_removed_in_time(tmp_path: Path) -> None:
    for name in ("tools-new", "tools-old", "packages-new.partial", "removed-before"):
        (tmp_path / name / "folder").mkdir(parents=True)
    remove_other_parts({tmp_path / "tools-new"}, tmp_path)
    assert {part.name.split("-")[0] for part in tmp_path.iterdir()} <= {"tools", "removed"}
    assert not (tmp_path / "tools-old").exists()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(tmp_path.iterdir())) > 1:
        time.sleep(0.05)
    assert [path.name for path in tmp_path.rglob("*")] == ["tools-new", "folder"]


def test_cleaning_removes_the_engine_but_no_other_files_beside_it(tmp_path: Path) -> None:
    for name in ("parts", "run", "registry", "alone/parts"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tests-environment").touch()
    assert run_daggerw(tmp_path, "clean", "--all").stdout.startswith("freed ")
    assert {path.name for path in tmp_path.iterdir()} == {"alone", "tests-environment"}
    run_daggerw(tmp_path / "alone", "clean", "--all")
    assert not (tmp_path / "alone").exists()
    assert run_daggerw(tmp_path / "alone", "clean").stdout == "nothing to remove\n"


def test_a_removal_that_was_cut_off_leaves_no_part_of_the_engines_cache(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / f"state-{VERSION}/worker").mkdir(parents=True)
    broken = tmp_path / "bin/rm"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    broken.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{broken.parent}:{os.environ['PATH']}",
        "CSLR_IMAGES_CACHE": str(cache),
    }
    command = [str(PROJECT / "daggerw"), "clean"]
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode
    assert not (cache / f"state-{VERSION}").exists()
    assert list(cache.rglob("worker"))
    run_daggerw(cache, "clean")
    assert not list(cache.rglob("worker"))


def test_the_help_lists_every_command_of_daggerw(tmp_path: Path) -> None:
    text = run_daggerw(tmp_path, "help").stdout
    script = (PROJECT / "daggerw").read_text("utf-8")
    own = set(re.findall(r"\$\{1:-\} == (\w+)", script))
    own |= set(re.search(r"^  ([a-z |]+)\) ;;$", script, re.MULTILINE)[1].split(" | ")) - {"help"}  # type: ignore[index]
    assert own == {"bundle", "clean", "debug", "logs", "status", "stop", "sweep"}
    assert own <= set(re.findall(r"^  daggerw (\w+)", text, re.MULTILINE))


def test_dagger_has_one_version_wherever_it_is_named() -> None:
    number = VERSION.removeprefix("v")
    lines = {
        "dagger.json": f'"engineVersion": "{VERSION}"',
        "engine/sdk/runtime/dagger.json": f'"engineVersion": "{VERSION}"',
        "engine/tools/go.mod": f"github.com/dagger/dagger {VERSION} ",
        "ci/generate/ci_files.toml": f'version = "{number}"',
        **{
            f"requirements/{name}": f"dagger-io=={number}"
            for name in ("runtime.in", "runtime.txt", "dev.txt")
        },
    }
    assert [name for name, line in lines.items() if line not in (PROJECT / name).read_text("utf-8")] == []


def test_the_engine_uses_names_that_the_bundle_format_has() -> None:
    # The format is a program that the engine loads by its path: no type checker sees the names.
    source = Path(bundle_module.__file__).read_text("utf-8")
    used = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("program", "_load_program()")
    }
    assert used >= {"describe", "finish", "main"}
    assert {name for name in used if not hasattr(make_bundle, name)} == set()
