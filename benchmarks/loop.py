"""Compares a sweep with a loop of `docker build`s over the same 18 images: `python -m benchmarks.loop` (as root).

The images are those of the tests' small stack: the environment, the compiler and the extensions are real, torch, Ray
and marimo are stand-ins. The loop takes the Dockerfiles that this module writes, and Docker with BuildKit from
Debian's packages, which are unpacked into a folder of their own and not installed. Both are measured with everything
built (nothing changed), and after another version of Ray was pinned, which 12 of the 18 images have in them. Neither
verifies the images; the sweep measures them and records each try, the loop does neither. Beside them stands what a
call of the module takes that builds nothing: no call is faster. The API steps of a sweep are those that Dagger's plain
log ends with DONE or CACHED. Before, the files of the environment are compared.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.page import machine, put
from engine.progress import COLORS
from tests.engine.conftest import ROOT, SmallStack, succeed
from tests.stand_ins import packages, servers, small_stack
from tests.stand_ins.cache import CACHE

ROUNDS = 3
IMAGE = "debian:bookworm-slim"
PACKAGES = ("docker.io", "containerd", "runc", "libdevmapper1.02.1")
# The machine's own CAs, which the engine lends to its containers.
AUTHORITIES = Path("/usr/local/share/ca-certificates")
# Not compared: what holds a time (uv's notes) or a folder's name (the stand-in library, compiled for each run).
FILES = (
    "cd /opt/env && find . -type f ! -name '*.pyc' ! -name uv_cache.json ! -name libstand_in.so"
    " -printf '%P %s\\n' | sort"
)


# The end of a step of Dagger's API in its log: `Container.withExec CACHED [0.0s]`.
STEP = re.compile(r" [A-Z]\w*\.\w+ (?:DONE|CACHED)\b")


@dataclass(frozen=True)
class Times:
    """Seconds of each round, and the API steps of the sweep."""

    sweep: list[float]
    loop: list[float]
    steps: list[int]

    @property
    def ratio(self) -> float:
        """Return what part of the loop's time the sweep takes, by medians."""
        return statistics.median(self.sweep) / statistics.median(self.loop)


class Loop:
    """A loop of `docker build`s, with a Docker of its own."""

    def __init__(self, folder: Path, small: SmallStack) -> None:
        self.folder = folder
        self.context = folder / "context"
        (self.context / "ci").mkdir(parents=True)
        for name in ("programs", "locks"):
            shutil.copytree(ROOT / "ci" / name, self.context / "ci" / name)
        packages = folder / "packages"
        packages.mkdir()
        subprocess.run(
            ["apt-get", "download", "-qq", *PACKAGES], cwd=packages, check=True, stderr=subprocess.DEVNULL
        )
        for package in packages.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder / "docker"], check=True)
        root = folder / "docker"
        libraries = (root / "lib/x86_64-linux-gnu", root / "usr/lib/x86_64-linux-gnu")
        self.env = {
            **os.environ,
            "PATH": f"{root}/usr/bin:{root}/usr/sbin:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "DOCKER_HOST": f"unix://{folder}/docker.sock",
            "DOCKER_BUILDKIT": "1",
        }
        index = f"http://mirror:{small.port}/simple"
        given = {
            "PIP_INDEX_URL": index,
            "UV_DEFAULT_INDEX": index,
            "PIP_TRUSTED_HOST": f"mirror:{small.port}",
        }
        self.options = ["--quiet", "--network=host", "--add-host=mirror:127.0.0.1"]
        self.options += [f"--build-arg={name}={value}" for name, value in given.items()]

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """Run the daemon; its network is the machine's."""
        command = ["dockerd", f"--data-root={self.folder}/data", f"--exec-root={self.folder}/exec"]
        command += [f"--host={self.env['DOCKER_HOST']}", f"--pidfile={self.folder}/pid"]
        command += ["--bridge=none", "--iptables=false", "--ip-masq=false"]
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
            try:
                for _ in range(100):
                    if (self.folder / "docker.sock").exists():
                        break
                    time.sleep(0.2)
                self.docker("info")
                yield
            finally:
                process.terminate()
                process.wait()
                # The daemon leaves the network that its builds had.
                left = f"{self.folder}/exec/netns/default"
                subprocess.run(["umount", left], check=False, stderr=subprocess.DEVNULL)

    def docker(self, *words: str) -> str:
        """Run docker and return what it printed."""
        ran = subprocess.run(["docker", *words], env=self.env, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr[-4000:]
        return ran.stdout

    def base(self) -> None:
        """Take the engine's stand-in for Debian's image, and let it trust what the machine trusts."""
        layout = next(CACHE.glob("parts/images-*/base"))
        context = self.folder / "base"
        (context / "ca").mkdir(parents=True)
        lines = ["FROM scratch"]
        for number, digest in enumerate(layers(layout)):
            shutil.copy(layout / "blobs" / digest.replace(":", "/"), context / f"layer{number}.tar")
            lines.append(f"ADD layer{number}.tar /")
        if AUTHORITIES.is_dir():
            shutil.copytree(AUTHORITIES, context / "ca", dirs_exist_ok=True)
        lines.append(f"COPY ca {AUTHORITIES}")
        lines.append("RUN ! command -v update-ca-certificates || update-ca-certificates")
        (context / "Dockerfile").write_text("\n".join(lines), "utf-8")
        self.docker("build", "--quiet", "--network=host", f"--tag={IMAGE}", str(context))

    def files(self, small: SmallStack, pair: tuple[str, str], matrix: Path) -> None:
        """Write the Dockerfile of a pair."""
        target = self.context / "dockerfiles" / f"cu{pair[0]}-py{pair[1]}"
        words = small.words(matrix=matrix)
        chosen = (f"--cuda={pair[0]}", f"--python={pair[1]}")
        succeed(*words, "dockerfile", *chosen, "export", f"--path={target}")
        file = target / "Dockerfile"
        # The newest syntax would be read from Docker Hub; the daemon's own will do.
        file.write_text(file.read_text("utf-8").replace("# syntax=", "# not read here: "), "utf-8")

    def build(self, cells: Sequence[str]) -> None:
        """Build the images one after the other."""
        for cell in cells:
            pair, _, target = cell.partition("-py")
            python, _, target = target.partition("-")
            file = self.context / "dockerfiles" / f"{pair}-py{python}" / "Dockerfile"
            where = (f"--file={file}", f"--target={target}", f"--tag={cell}", str(self.context))
            self.docker("build", *self.options, *where)

    def listing(self, cell: str) -> str:
        """List the files of an image's environment."""
        return self.docker(
            "run", "--rm", "--network=host", "--user=root", "--entrypoint=sh", cell, "-c", FILES
        )


def layers(layout: Path) -> list[str]:
    """Return the digests of the layers of the image in an OCI layout."""

    def read(digest: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text("utf-8"))
        return found

    index = json.loads((layout / "index.json").read_text("utf-8"))
    return [layer["digest"] for layer in read(index["manifests"][0]["digest"])["layers"]]


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.monotonic()
    run()
    return time.monotonic() - began


def sweep(small: SmallStack, matrix: Path) -> None:
    """Build all cells by one call."""
    succeed(*small.words(matrix=matrix), "matrix", "--verify=none", "--disk-floor=1")


def count_steps() -> int:
    """Return the API steps of the last call, which the log of the call has."""
    log = max((CACHE / "run").glob("call-*.log"), key=lambda path: path.stat().st_mtime)
    return len(STEP.findall(COLORS.sub("", log.read_text("utf-8", errors="replace"))))


def bare(small: SmallStack, matrix: Path) -> None:
    """Call the module for nothing but the names of its cells."""
    succeed(*small.words(matrix=matrix), "cells")


def compare(small: SmallStack, loop: Loop, cells: Sequence[str], matrix: Path) -> int:
    """Compare the files of each image of the first pair; return how many there were in all."""
    compared = 0
    for cell in cells[:6]:
        pair, _, target = cell.removeprefix("cu").partition("-py")
        python, _, target = target.partition("-")
        ours = succeed(
            *small.words(matrix=matrix),
            *("build", f"--cuda={pair}", f"--python={python}", f"--target={target}"),
            *("with-user", "--name=root", "with-exec", f"--args=sh,-c,{FILES}", "stdout"),
        )
        theirs = loop.listing(cell)
        odd = sorted(set(ours.splitlines()) ^ set(theirs.splitlines()))
        assert not odd, f"{cell}: the files of the environments differ: {odd[:20]}"
        compared += len(theirs.splitlines())
    return compared


def part(cold: tuple[float, float], warm: Times, ray: Times, calls: list[float], compared: int) -> str:
    """Write the numbers down."""

    def row(name: str, found: Times) -> str:
        shown = (" / ".join(f"{one:.1f}" for one in times) for times in (found.sweep, found.loop))
        steps = " / ".join(map(str, found.steps))
        return f"| {name} | {' | '.join(shown)} | {found.ratio:.2f} | {steps} |"

    return "\n".join(
        [
            "## A sweep, and a loop of builds",
            "",
            f"`python -m benchmarks.loop`, {machine()}; the embedded engine, and Debian's Docker with BuildKit.",
            "All 18 cells of the tests' small stack, not verified; seconds of wall time of each round, and what",
            "part of the loop's median the sweep's median is. The sweep also measures the images and records each",
            "try; a call of the module costs what the last row says before it does anything.",
            "",
            "| | `matrix` | loop of `docker build` | ratio | API steps of `matrix` |",
            "|---|---|---|---|---|",
            row("nothing changed", warm),
            row("Ray's pin changed", ray),
            f"| a call that builds nothing: `cells` | {' / '.join(f'{one:.1f}' for one in calls)} | | | |",
            "",
            f"The first round of both, from what their caches had: {cold[0]:.0f} s and {cold[1]:.0f} s.",
            f"Both give the same files in `/opt/env`: {compared:,} compared by path and size, in 6 images.",
        ]
    )


def main() -> None:
    """Measure both, round by round, and write the page."""
    versions = [f"0.1.{number}" for number in range(2, 2 + ROUNDS)]
    with TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        mirror = small_stack.make(folder / "mirror")
        for version in versions:
            packages.wheel(mirror / "simple" / "ray", "ray", version)
        with servers.folder_over_http(mirror, wanted=small_stack.usual_port()) as port, ExitStack() as ended:
            mirrors = folder / "mirrors.toml"
            mirrors.write_text(f'[wheels]\nindex = "http://mirror:{port}/simple"\n', "utf-8")
            usual = small_stack.HERE / "matrix.toml"
            small = SmallStack(port=port, matrix=usual, folder=mirror, mirrors=mirrors)
            cells = succeed(*small.words(), "cells").split()
            loop = Loop(folder / "loop", small)
            ended.enter_context(loop.daemon())
            loop.base()

            def pairs(matrix: Path) -> None:
                for pair in (("12.8.1", "3.13"), ("12.8.1", "3.14"), ("13.1.1", "3.14")):
                    loop.files(small, pair, matrix)

            pairs(usual)
            cold = (timed(lambda: sweep(small, usual)), timed(lambda: loop.build(cells)))
            print(f"first round: {cold[0]:.0f} s, {cold[1]:.0f} s", flush=True)
            compared = compare(small, loop, cells, usual)
            warm, ray = Times([], [], []), Times([], [], [])
            calls: list[float] = []
            for _ in range(ROUNDS):
                calls.append(timed(lambda: bare(small, usual)))
                warm.sweep.append(timed(lambda: sweep(small, usual)))
                warm.steps.append(count_steps())
                warm.loop.append(timed(lambda: loop.build(cells)))
                print(f"nothing changed: {warm.sweep[-1]:.1f} s, {warm.loop[-1]:.1f} s", flush=True)
            for version in versions:
                matrix = small_stack.matrix_with(folder / f"{version}.toml", ray=version)
                pairs(matrix)
                ray.sweep.append(timed(lambda matrix=matrix: sweep(small, matrix)))  # type: ignore[misc]
                ray.steps.append(count_steps())
                ray.loop.append(timed(lambda: loop.build(cells)))
                print(f"Ray {version}: {ray.sweep[-1]:.1f} s, {ray.loop[-1]:.1f} s", flush=True)
            put("loop", part(cold, warm, ray, calls, compared))


if __name__ == "__main__":
    main()
