"""What the stages run in their containers, from their specs: the same with Dagger and in a Dockerfile."""

import json
from collections.abc import Sequence

from ci.config.sources import Deb
from ci.plan.specs import (
    CUDA_HOME,
    PREFIX,
    Account,
    CondaSpec,
    InstallSpec,
    InterpreterSpec,
    PackSpec,
    ToolkitSpec,
    WheelsSpec,
)

PROGRAMS = "/run/cslr-images"  # where the programs of ci/programs are mounted
TOOLS = "/opt/tools"
CHANNEL = "/channel"
EPOCH = 315_532_800  # 1980, the first year that a wheel can tell

# What steps that make something need beside what is installed in images.
CHANNEL_DEBS = ("ca-certificates", "dpkg-dev", "maven", "python3", "python3-venv")
TOOLKIT_DEBS = ("build-essential", "ca-certificates", "dpkg-dev", "python3", "python3-venv")
RAY_DEBS = ("nodejs", "npm")
BAZELISK = "bazelisk"  # the folder of its lock, beside the programs

# Programs that download Debian packages themselves need apt's lists, which no layer keeps.
REFRESH = ("apt-get", "update", "-qq", "-o", "Acquire::Retries=3")

_PYTHON = f"{TOOLS}/bin/python"
_PARTS = "/var/tmp/parts"  # noqa: S108 - in a container of its own
# Debian's own list of CAs: the bundle in /etc/ssl may also hold a site's proxy, which no image should trust.
_AUTHORITIES = "cat /usr/share/ca-certificates/mozilla/*.crt >/run/ca.pem"


def shell(name: str, *arguments: str) -> list[str]:
    """Run one of the shell programs."""
    return ["sh", f"{PROGRAMS}/{name}", *arguments]


def add_user(account: Account) -> list[str]:
    """Add the user that images run as."""
    return shell("add_user.sh", account.user, str(account.uid), account.workdir)


def make_channel(recipe: str) -> list[list[str]]:
    """Download what a recipe names, check it, and build the channel's folder."""
    program = [_PYTHON, f"{PROGRAMS}/make_channel.py"]
    given = [f"--{kind}={_PARTS}/{kind}" for kind in ("jars", "debs", "wheels")]
    return [
        [*program, "fetch", _PARTS, "--recipe", recipe],
        ["sh", "-c", _AUTHORITIES],
        [*program, "build", CHANNEL, "--recipe", recipe, *given, "--cacert", "/run/ca.pem"],
    ]


def make_toolkit(spec: ToolkitSpec, lock: str, out: str, deb: str | None = None) -> list[str]:
    """Make the toolkit's tree; `lock` is its locked wheels, `deb` its compiler, both files, where there are any."""
    command = [_PYTHON, f"{PROGRAMS}/cuda_home.py", out, "--check"]
    if spec.provider == "image":
        command += ["--installed", CUDA_HOME]
    if spec.locked:
        command += ["--require", lock]
    else:
        command += [word for line in spec.wheels for word in ("--requirement", line)]
    return [*command, *_compiler(spec.deb), *(["--deb", deb] if deb else [])]


def _compiler(deb: Deb | None) -> list[str]:
    if deb is None:
        return []
    found = ["--compiler", f"{deb.package}={deb.version}", "--sha256", deb.sha256]
    return [*found, "--suite", deb.suite, "--components", deb.component]


def make_interpreter(recipe: str, out: str) -> list[list[str]]:
    """Download what a recipe's CPython is made of, and lay it down as it lies in the environment."""
    program = f"{PROGRAMS}/make_interpreter.py"
    given = [f"--{kind}={_PARTS}/{kind}" for kind in ("jars", "debs")]
    fetch = [_PYTHON, f"{PROGRAMS}/make_channel.py", "fetch", _PARTS, "--recipe", recipe]
    return [
        [*fetch, "--only", "jars", "debs"],
        ["sh", "-c", _AUTHORITIES],
        [
            _PYTHON,
            program,
            "made",
            out,
            "--at",
            PREFIX,
            "--recipe",
            recipe,
            *given,
            "--cacert",
            "/run/ca.pem",
        ],
    ]


def fetch_interpreter(spec: InterpreterSpec) -> list[str]:
    """Have uv fetch a standalone CPython into the environment's place."""
    command = [_PYTHON, f"{PROGRAMS}/make_interpreter.py", "standalone", spec.prefix, "--python", spec.python]
    return [*command, *(["--mirror", spec.standalone] if spec.standalone else [])]


def create_env(spec: CondaSpec, cache: str) -> list[str]:
    """Create the conda environment; `cache` is the folder of conda's packages."""
    command = [_PYTHON, f"{PROGRAMS}/make_env.py", "create", "--prefix", spec.prefix, "--pkgs-cache", cache]
    command += ["--glibc", spec.glibc, *(["--cuda", spec.cuda] if spec.cuda else [])]
    return [*command, "--channel", *_channels(spec), "--spec", *spec.packages]


def fill_cache(spec: CondaSpec, cache: str) -> list[str]:
    """Fill the folder of conda's packages again with what the environment is made of."""
    command = [_PYTHON, f"{PROGRAMS}/make_env.py", "fill-cache", "--prefix", spec.prefix]
    return [*command, "--pkgs-cache", cache, "--channel", *_channels(spec)]


def pack_env(*options: str) -> list[str]:
    """Export the environment with conda-pack, each file with the same time: what is packed twice is the same layer."""
    return ["env", f"SOURCE_DATE_EPOCH={EPOCH}", _PYTHON, f"{PROGRAMS}/pack_env.py", PREFIX, *options]


def copy_env(out: str) -> list[str]:
    """Copy an environment that no conda made, each file with the same time."""
    return ["env", f"SOURCE_DATE_EPOCH={EPOCH}", _PYTHON, f"{PROGRAMS}/copy_env.py", PREFIX, out]


def install_packages(spec: InstallSpec, requirements: str) -> list[str]:
    """Install what a spec asks for; `requirements` is the file of its lines."""
    options = ["--require-hashes"] if spec.hashed else []
    if spec.extra_index:
        # torch's index also holds copies of common packages; the best version over all indexes is what pip takes.
        options += ["--index", spec.extra_index, "--index-strategy", "unsafe-best-match"]
    frozen, limit = "yes" if spec.frozen else "no", str(int(spec.cache_gb * 1e6))
    return shell("install_packages.sh", PREFIX, requirements, frozen, limit, *options)


def compile_wheels(spec: WheelsSpec, requirements: str, out: str, jobs: int | None) -> list[str]:
    """Compile PyG's extensions; without a number of jobs the program takes what the memory allows."""
    command = [_PYTHON, f"{PROGRAMS}/compile_wheels.py", "--requirements", requirements]
    command += ["--python", f"{PREFIX}/bin/python", "--out", out, "--job-gb", str(spec.job_gb)]
    command += ["--arch-list", spec.arch_list, "--cuda-home", CUDA_HOME] if spec.arch_list else ["--cpu"]
    return [*command, *(["--jobs", str(jobs)] if jobs else [])]


def fetch_compiler(spec: ToolkitSpec, out: str) -> list[str]:
    """Download the package of the toolkit's compiler, and make nothing of it."""
    return [_PYTHON, f"{PROGRAMS}/cuda_home.py", out, *_compiler(spec.deb), "--fetch"]


def fetch_sources(requirements: str, out: str) -> list[str]:
    """Download the source archives of PyG's extensions, and compile nothing."""
    command = [_PYTHON, f"{PROGRAMS}/compile_wheels.py", "--requirements", requirements]
    return [*command, "--python", f"{PREFIX}/bin/python", "--out", out, "--cpu", "--fetch"]


def collect_packages(
    out: str, python: str, requirements: str, cache: str, pins: str, options: Sequence[str]
) -> list[str]:
    """Download the Python packages that an installation takes; `pins` is the file that gets their versions."""
    command = [_PYTHON, f"{PROGRAMS}/collect_packages.py", out, "--python", python, "--uv", f"{TOOLS}/bin/uv"]
    return [*command, "--requirements", requirements, "--cache", cache, "--pins", pins, *options]


def mirror_channel(out: str) -> list[str]:
    """Download the conda packages of the environment once more, as a channel of their own."""
    return [_PYTHON, f"{PROGRAMS}/mirror_channel.py", PREFIX, out]


def make_bundle(out: str, collected: str, sources: str, cells: Sequence[str]) -> list[str]:
    """Make a bundle of what was collected."""
    command = [_PYTHON, f"{PROGRAMS}/bundle.py", "make", out, "--collected", collected, "--sources", sources]
    return [*command, *(word for cell in cells for word in ("--cell", cell))]


def added_files(below: str, out: str) -> list[str]:
    """Copy what the environment has and another, below it, has not, or has otherwise."""
    return [_PYTHON, f"{PROGRAMS}/added_files.py", below, PREFIX, out]


def trim_rules(spec: PackSpec) -> str:
    """Return the rules of a variant as `trim_env.py` reads them."""
    return json.dumps([trim.model_dump(mode="json") for trim in spec.trims], indent=2)


def trim_env(root: str, rules: str) -> list[str]:
    """Take out of a tree what rules name."""
    return [_PYTHON, f"{PROGRAMS}/trim_env.py", root, "--rules", rules]


def strip_libs(root: str, mode: str) -> list[str]:
    """Strip the libraries of a tree."""
    return [_PYTHON, f"{PROGRAMS}/strip_libs.py", root, "--mode", mode]


def _channels(spec: CondaSpec) -> Sequence[str]:
    return spec.channels or (f"file://{CHANNEL}",)
