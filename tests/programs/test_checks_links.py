"""The checks of how an environment lies in an image, each on a small real one, and each made to fail once."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs.conftest import PROGRAMS, Run, cache_root, only_one

CHECKS = PROGRAMS / "checks"
LOCK = PROGRAMS.parent / "locks/registries/cu12.8.1-py3.13/marimo.txt"
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def check(
    name: str, *words: object, python: Path | str = sys.executable, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a check as an image does."""
    command = [str(python), "-B", str(CHECKS / f"{name}.py"), *map(str, words)]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, check=False)


def facts(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[-1]


# ---- imports ------------------------------------------------------------------------------------------------------


def add_package(site: Path, name: str, files: dict[str, str]) -> None:
    """Install a distribution."""
    info = f"{name}-1.0.dist-info"
    files |= {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"}
    for file, text in files.items():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text(text)
    (site / info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Make an environment with nothing installed."""
    env = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", env], check=True)
    return env


def test_imports_imports_what_is_installed(bare: Path) -> None:
    add_package(
        bare / SITE, "one", {"one/__init__.py": "import two.inner\n", "one/tests/broken.py": "import no\n"}
    )
    add_package(bare / SITE, "two", {"two/inner/__init__.py": "", "two/data.txt": "", "single.py": ""})
    found = facts(check("imports", python=bare / "bin/python"))
    assert found["imported"] == 3
    assert set(found["slowest"]) == {"one", "two.inner", "single"}  # type: ignore[call-overload]


def test_imports_names_what_a_rule_broke(bare: Path) -> None:
    add_package(
        bare / SITE, "one", {"one/__init__.py": "from one.test import client\n", "one/test/client.py": ""}
    )
    add_package(bare / SITE, "two", {"two/__init__.py": ""})
    facts(check("imports", python=bare / "bin/python"))
    shutil.rmtree(bare / SITE / "one/test")
    (bare / SITE / "two/__init__.py").unlink()
    said = complaint(check("imports", python=bare / "bin/python"))
    assert "one (ModuleNotFoundError: No module named 'one.test')" in said
    assert "two (nothing but a folder is there)" in said


def test_modules_that_do_not_go_together_are_imported_alone(bare: Path) -> None:
    add_package(bare / SITE, "one", {"one.py": "import sys\nsys.one = True\n"})
    add_package(bare / SITE, "two", {"two.py": "import sys\nassert not hasattr(sys, 'one')\n"})
    assert facts(check("imports", python=bare / "bin/python"))["imported"] == 2


# ---- bytecode -----------------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """Make an environment with bytecode, a module without, one that is none, and one behind a link."""
    env = tmp_path / "env"
    for name, text in {
        "pkg/__init__.py": "x = 1\n",
        "pkg/cold.py": "",
        "pkg/template.py": "{{ x }} y\n",
    }.items():
        (env / SITE / name).parent.mkdir(parents=True, exist_ok=True)
        (env / SITE / name).write_text(text)
    (env / SITE / "pkg/linked.py").symlink_to("__init__.py")
    words = [
        sys.executable,
        PROGRAMS / "compile_env.py",
        env,
        "--prefix",
        "/opt/env",
        "--without",
        "**/cold.py",
    ]
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
    return env


def check_bytecode(env: Path) -> subprocess.CompletedProcess[str]:
    return check("bytecode", "--prefix", env, "--folder", env / SITE, "--without", "**/cold.py")


def test_bytecode_finds_what_is_compiled(compiled: Path) -> None:
    assert facts(check_bytecode(compiled))["modules"] == 2


@pytest.mark.parametrize("harm", ["gone", "with a time", "changed source", "other Python"])
def test_bytecode_names_what_python_would_compile_or_run_wrongly(compiled: Path, harm: str) -> None:
    module = compiled / SITE / "pkg/__init__.py"
    (cached,) = (compiled / SITE / "pkg/__pycache__").glob("__init__*")
    if harm == "gone":
        cached.unlink()
    elif harm == "with a time":
        subprocess.run([sys.executable, "-m", "compileall", "-q", "-f", module], check=True)
    elif harm == "changed source":
        module.write_text("x = 2\n")
    else:
        cached.write_bytes(b"abcd" + cached.read_bytes()[4:])
    said = complaint(check_bytecode(compiled))
    assert f"{SITE}/pkg/__init__.py has " in said
    words = {"gone": "no bytecode", "with a time": "another kind", "changed source": "another source"}
    assert words.get(harm, "another Python") in said


# ---- links: replaced and copied packages --------------------------------------------------------------------------


@pytest.fixture
def linked(bare: Path, run: Run) -> Path:
    """Make an environment with a library of a package of NVIDIA's, which is a link in a real folder."""
    subprocess.run([bare / "bin/python", "-m", "ensurepip"], check=True, capture_output=True)
    source = bare / "toy.c"
    source.write_text("int toy(void) { return 7; }\n")
    library = bare / SITE / "nvidia/toy/lib/libtoy.so.1"
    add_package(bare / SITE, "nvidia_toy", {"nvidia/toy/lib/libtoy.so.1": "", "nvidia/toy/version.py": ""})
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    shutil.move(bare / SITE / "nvidia", bare / "lib/nvidia")
    run("link_libraries.py", bare / "lib/nvidia", bare / SITE / "nvidia", "--at", "../../nvidia")
    return bare


def test_replace_packages_replaces_and_removes_with_pip_and_uv(linked: Path, tools: Path) -> None:
    found = facts(check("replace_packages", "--tools", "pip", tools / "uv", python=linked / "bin/python"))
    assert (found["replaced"], found["tools"]) == ("nvidia_toy", ["pip", str(tools / "uv")])


def test_replace_packages_refuses_one_link_for_the_whole_folder(linked: Path) -> None:
    shutil.rmtree(linked / SITE / "nvidia")
    (linked / SITE / "nvidia").symlink_to("../../nvidia")
    assert "has files that are links" in complaint(check("replace_packages", python=linked / "bin/python"))


def test_replace_packages_names_a_tool_that_fails(linked: Path, tmp_path: Path) -> None:
    tool = tmp_path / "uv"
    tool.write_text("#!/bin/sh\necho 'nvidia: Not a directory' >&2\nexit 2\n")
    tool.chmod(0o755)
    said = complaint(check("replace_packages", "--tools", tool, python=linked / "bin/python"))
    assert said.endswith("nvidia: Not a directory")


def copy_command(env: Path) -> tuple[object, ...]:
    return ("env", f"COPY_PACKAGES_PYTHON={env}/bin/python", "sh", PROGRAMS / "copy_packages.sh")


def copy(env: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in (*copy_command(env), *words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_copied_packages_are_files(linked: Path) -> None:
    words = ("--command", *copy_command(linked))
    # argparse would take `-` words of a command for its own: there are none
    found = facts(check("copied_packages", *words, python=linked / "bin/python"))
    assert (found["links"], found["copied"]) == (2, "nvidia/toy/lib/libtoy.so.1")


def test_copied_packages_notices_links_that_stay_or_lead_nowhere(linked: Path, tmp_path: Path) -> None:
    script = tmp_path / "copy"
    script.write_text(f'#!/bin/sh\nmkdir -p "$1"\ncd {linked / SITE} && cp -a --parents "$2" "$1"\n')
    script.chmod(0o755)
    said = complaint(check("copied_packages", "--command", script, python=linked / "bin/python"))
    assert said == "copied_packages: nvidia/toy/lib/libtoy.so.1 is not copied as a file"
    (linked / "lib/nvidia/toy/lib/libtoy.so.1").unlink()
    said = complaint(check("copied_packages", "--command", script, python=linked / "bin/python"))
    assert "libtoy.so.1 leads nowhere" in said


def test_copy_packages_copies_all_packages_to_a_folder_that_works_alone(linked: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert copy(linked, out).returncode == 0
    shutil.rmtree(linked / "lib/nvidia")
    assert [path for path in out.rglob("*") if path.is_symlink()] == []
    program = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1] + '/nvidia/toy/lib/libtoy.so.1').toy())"
    done = subprocess.run([sys.executable, "-c", program, out], capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"
    assert (out / "pip/__init__.py").is_file()


def test_copy_packages_refuses_what_it_cannot_do_in_a_line(linked: Path, tmp_path: Path) -> None:
    assert copy(linked, tmp_path).stderr == f"copy-packages: {tmp_path} is not empty\n"
    assert copy(linked, tmp_path / "a", "no/such").stderr.startswith("copy-packages: no no/such in ")
    assert (done := copy(linked)).returncode == 2
    assert "copy-packages FOLDER [PATH...]" in done.stderr


# ---- linking ------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make a toolkit that is nothing but a header."""
    (tmp_path / "cuda/include").mkdir(parents=True)
    (tmp_path / "cuda/lib64").mkdir()
    (tmp_path / "cuda/include/toy.h").write_text("int toy(void);\n")
    return tmp_path / "cuda"


def test_cuda_link_links_and_runs_a_program(home: Path) -> None:
    found = facts(check("cuda_link", "--functions", "m=lgammal", "--headers", "toy.h", CUDA_HOME=str(home)))
    assert found["libraries"] == ["m"]


def test_cuda_link_names_what_the_linker_or_the_compiler_does_not_find(home: Path) -> None:
    said = complaint(check("cuda_link", "--headers", "toy.h", CUDA_HOME=str(home)))
    assert "cannot find -lcublas" in said
    said = complaint(check("cuda_link", "--functions", "m=lgammal", CUDA_HOME=str(home)))
    assert "cublas_v2.h: No such file" in said
    said = complaint(
        check("cuda_link", "--functions", "m=no_such_name", "--headers", "toy.h", CUDA_HOME=str(home))
    )
    assert "undefined reference to `no_such_name'" in said


def test_cuda_link_wants_the_names_without_variables_too(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "toy.c"
    source.write_text("int toy(void) { return 7; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(home / "lib64/libtoy.so"), str(source)], check=True)
    env = {"CUDA_HOME": str(home), "LIBRARY_PATH": str(home / "lib64")}
    said = complaint(check("cuda_link", "--functions", "toy=toy", "--headers", "toy.h", **env))
    assert "cannot find -ltoy" in said


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake")
def test_cmake_torch_builds_a_project_or_says_what_cmake_does_not_find(home: Path) -> None:
    project = "cmake_minimum_required(VERSION 3.18)\nproject(p CXX)\nadd_executable(p main.cpp)\n"
    assert facts(check("cmake_torch", "--project", project))["torch"] is False
    said = complaint(check("cmake_torch", CUDA_HOME=str(home), PATH="/usr/bin:/bin"))
    assert re.search(r"Could (not|NOT) find.*(nvcc|CUDAToolkit)", said)


# ---- completion ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def jedi(tools: Path, clean_env: dict[str, str]) -> Path:
    """Return a folder with the jedi that images have."""
    (version,) = re.findall(r"^jedi==(\S+)", LOCK.read_text("utf-8"), re.MULTILINE)
    folder = cache_root() / f"jedi-{version}"
    with only_one(folder.name):
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            words = [tools / "uv", "pip", "install", "-q", "--target", partial, f"jedi=={version}"]
            subprocess.run([str(word) for word in words], check=True, env=clean_env)
            partial.rename(folder)
    return folder


def test_completion_offers_names(jedi: Path) -> None:
    typed = ("--typed", "import json\njson.dum", "dumps", "--typed", "import os\nos.getc", "getcwd")
    found = facts(check("completion", *typed, PYTHONPATH=str(jedi)))
    assert set(found["offered"]) == {"json.dum", "os.getc"}  # type: ignore[call-overload]


def test_completion_fails_without_stubs_and_for_names_that_are_not_offered(
    jedi: Path, tmp_path: Path
) -> None:
    said = complaint(check("completion", "--typed", "import json\njson.dum", "nothing", PYTHONPATH=str(jedi)))
    assert "json.dum (no nothing, but dump" in said
    harmed = shutil.copytree(jedi, tmp_path / "harmed")
    for stub in harmed.rglob("*.pyi"):
        stub.unlink()
    env = {"PYTHONPATH": str(harmed), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert "not completed" in complaint(check("completion", "--typed", "import os\nos.getc", "getcwd", **env))


# ---- conda's tools ------------------------------------------------------------------------------------------------


@pytest.fixture
def conda(short: Path, channel: Path, run: Run) -> Path:
    """Make an environment by conda from the channel."""
    cache, env = short / "p", short / "e"
    words = ("--channel", channel.as_uri(), "--glibc", "2.36", "--spec", "zstd")
    run("make_env.py", "create", "--prefix", env, "--pkgs-cache", cache, *words)
    return env


def test_conda_tools_lists_and_packs_a_trimmed_environment(
    conda: Path, tools: Path, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    tool = ("--list", tools / "python", PROGRAMS / "make_env.py", "list", "--pack", tools / "conda-pack")

    def tried() -> subprocess.CompletedProcess[str]:
        return check("conda_tools", "--prefix", conda, *tool)

    assert isinstance(facts(tried())["packages"], int)
    shutil.rmtree(conda.parent / "p")  # no image has the package cache, which knows what was removed
    (tmp_path / "rules.json").write_text('[{"name": "all", "remove": ["lib/libzstd*"]}]')
    words = [sys.executable, PROGRAMS / "trim_env.py", conda, "--rules", tmp_path / "rules.json"]
    removed = subprocess.run(
        [str(word) for word in words], check=True, capture_output=True, text=True, env=clean_env
    )
    assert json.loads(removed.stdout)["all"]["files"] > 0
    facts(tried())
    record = next((conda / "conda-meta").glob("zstd-*.json"))
    listed = json.loads(record.read_text("utf-8"))
    record.write_text(json.dumps({**listed, "files": [*listed["files"], "lib/gone"]}), "utf-8")
    assert complaint(tried()) == "conda_tools: 1 listed files are missing, such as zstd: lib/gone"
