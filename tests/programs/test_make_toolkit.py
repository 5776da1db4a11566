"""make_toolkit.py on small trees: wheels of both layouts, a real .deb from a real apt archive, an installed toolkit."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import make_toolkit
from common.errors import UserError

NVCC = "#!/bin/sh\necho 'Cuda compilation tools, release 13.1, V13.1.115'\n"
KEPT_IN_LIB = {"libcudart.so", "libcudart.so.13", "libcudart_static.a", "libcudadevrt.a"}

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb")
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get")


def put(path: Path, text: str = "", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def distribution(parts: Path, name: str, version: str) -> None:
    folder = parts / f"{name.replace('-', '_')}-{version}.dist-info"
    put(folder / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    put(folder / "License.txt", "terms")


@pytest.fixture
def wheels13(tmp_path: Path) -> Path:
    """CUDA 13 wheels as they unpack: one folder for all components, with a compiler."""
    parts = tmp_path / "parts13"
    root = parts / "nvidia/cu13"
    put(root / "bin/nvcc", NVCC, 0o755)
    for tool in ("nvcc.profile", "crt/link.stub", "ptxas", "nvdisasm"):
        put(root / "bin" / tool)
    put(root / "nvvm/bin/cicc")
    for header in ("cublas_v2.h", "cccl/thrust/sort.h"):
        put(root / "include" / header)
    for library in ("libcublas.so.13", "libcudart.so.13", "libcudart_static.a", "libcudadevrt.a"):
        put(root / "lib" / library, library)
    distribution(parts, "cuda-toolkit", "13.1.1")
    distribution(parts, "nvidia-cuda-nvcc", "13.1.115")
    return parts


@pytest.fixture
def wheels12(tmp_path: Path) -> Path:
    """CUDA 12 wheels: a folder for each component, and no compiler."""
    parts = tmp_path / "parts12"
    put(parts / "nvidia/cuda_nvcc/bin/ptxas", "of the wheel")
    put(parts / "nvidia/cuda_nvcc/include/crt/host_config.h")
    put(parts / "nvidia/cuda_runtime/include/cuda_runtime.h")
    put(parts / "nvidia/cuda_runtime/include/__init__.py")
    put(parts / "nvidia/cuda_runtime/lib/libcudart.so.12")
    put(parts / "nvidia/cusparse/include/cusparse.h")
    put(parts / "nvidia/cusparse/lib/libcusparse.so.12")
    distribution(parts, "cuda-toolkit", "12.8.1")
    distribution(parts, "nvidia-cuda-nvcc-cu12", "12.8.93")
    return parts


@pytest.fixture
def deb(tmp_path: Path) -> Path:
    """A package laid out as Debian's nvidia-cuda-toolkit, with a script in the compiler's place."""
    tree = tmp_path / "tree"
    private = tree / "usr/lib/nvidia-cuda-toolkit"
    put(private / "bin/nvcc", NVCC.replace("13.1", "12.4").replace("V12.4.115", "V12.4.131"), 0o755)
    put(private / "bin/cicc", mode=0o755)
    put(private / "bin/crt/link.stub")
    put(private / "libdevice/libdevice.10.bc")
    for tool in (*make_toolkit.COMPILER_TOOLS, *make_toolkit.BINARY_TOOLS):
        put(tree / "usr/bin" / tool, "of Debian", 0o755)
    control = "Package: nvidia-cuda-toolkit\nVersion: 12.4.131~12.4.1-2\nArchitecture: amd64\n"
    put(
        tree / "DEBIAN/control",
        control + "Maintainer: Nobody <nobody@example.org>\nDescription: a compiler\n",
    )
    package = tmp_path / "nvidia-cuda-toolkit_12.4.131~12.4.1-2_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, package], check=True, capture_output=True)
    return package


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def versions(home: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((home / "version.json").read_text(encoding="utf-8"))
    return found


def test_wheels_of_cuda_13_become_one_tree(tmp_path: Path, wheels13: Path) -> None:
    home = tmp_path / "cuda"
    assert make_toolkit.main([str(home), "--parts", str(wheels13)]) == 0
    assert names(home / "lib") == KEPT_IN_LIB
    assert names(home / "bin") == {"nvcc", "nvcc.profile", "crt", "ptxas"}
    assert (home / "lib64").readlink() == Path("lib")
    assert (home / "lib/libcudart.so").readlink() == Path("libcudart.so.13")
    assert (home / "include/cccl/thrust/sort.h").exists()
    assert names(home / "licenses") == {"cuda_toolkit-13.1.1.txt", "nvidia_cuda_nvcc-13.1.115.txt"}
    assert versions(home)["cuda"]["version"] == "13.1.1"
    assert versions(home)["cuda_nvcc"]["version"] == "13.1.115"
    assert home.stat().st_mode & 0o777 == 0o755
    assert names(tmp_path) == {"cuda", "parts13"}, "the scratch folder is gone"


def test_a_library_can_be_kept(tmp_path: Path, wheels13: Path) -> None:
    home = tmp_path / "cuda"
    assert make_toolkit.main([str(home), "--parts", str(wheels13), "--keep", "libcublas.so*"]) == 0
    assert names(home / "lib") == KEPT_IN_LIB | {"libcublas.so.13", "libcublas.so"}


def test_binary_tools_are_kept_on_request(tmp_path: Path, wheels13: Path) -> None:
    home = tmp_path / "cuda"
    assert make_toolkit.main([str(home), "--parts", str(wheels13), "--with-binary-tools"]) == 0
    assert "nvdisasm" in names(home / "bin")


def test_wheels_of_cuda_12_need_a_compiler(
    tmp_path: Path, wheels12: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "cuda"
    assert make_toolkit.main([str(home), "--parts", str(wheels12)]) == 1
    assert "no nvcc in these packages" in capsys.readouterr().err
    assert not home.exists()


@needs_dpkg
def test_the_hybrid_names_the_compiler_it_has(tmp_path: Path, wheels12: Path, deb: Path) -> None:
    home = tmp_path / "cuda"
    assert make_toolkit.main([str(home), "--parts", str(wheels12), "--deb", str(deb)]) == 0
    assert (home / "bin/ptxas").read_text(encoding="utf-8") == "of Debian"
    assert names(home / "bin") == {"nvcc", "nvcc.profile", "crt", *make_toolkit.COMPILER_TOOLS}
    assert names(home / "include") == {"crt", "cuda_runtime.h", "cusparse.h"}
    assert "INPUT(-lcudart)" in (home / "lib/libcudart_static.a").read_text(encoding="ascii")
    assert versions(home)["cuda"]["version"] == "12.8.1"
    assert versions(home)["cuda_nvcc"]["version"] == "12.4.131"
    assert versions(home)["cuda_nvcc_headers"]["version"] == "12.8.93"


@needs_apt
@needs_dpkg
@pytest.mark.parametrize("right", [True, False])
def test_the_deb_comes_from_the_given_archive_and_is_checked(tmp_path: Path, deb: Path, right: bool) -> None:
    archive, digest = tmp_path / "archive", hashlib.sha256(deb.read_bytes()).hexdigest()
    binary = "non-free/binary-amd64/Packages"
    pool = archive / "pool" / deb.name
    pool.parent.mkdir(parents=True)
    shutil.copyfile(deb, pool)
    entry = "Package: nvidia-cuda-toolkit\nVersion: 12.4.131~12.4.1-2\nArchitecture: amd64\n"
    entry += f"Filename: pool/{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n"
    packages = put(archive / "dists/trixie" / binary, entry)
    total = hashlib.sha256(packages.read_bytes()).hexdigest()
    release = "Suite: trixie\nCodename: trixie\nArchitectures: amd64\nComponents: non-free\nSHA256:\n"
    put(archive / "dists/trixie/Release", f"{release} {total} {packages.stat().st_size} {binary}\n")
    (scratch := tmp_path / "scratch").mkdir()
    package, mirror = "nvidia-cuda-toolkit=12.4.131~12.4.1-2", f"[trusted=yes] file:{archive}"
    if right:
        found = make_toolkit.fetch_deb(
            make_toolkit.Deb(package, "trixie", "non-free", digest, mirror), scratch
        )
        assert found.read_bytes() == deb.read_bytes()
    else:
        with pytest.raises(UserError, match="sha256 is"):
            make_toolkit.fetch_deb(make_toolkit.Deb(package, "trixie", "non-free", "0" * 64, mirror), scratch)


def test_an_installed_toolkit_is_copied_without_its_bulk(tmp_path: Path, wheels13: Path) -> None:
    installed, home = tmp_path / "installed", tmp_path / "cuda"
    root = wheels13 / "nvidia/cu13"
    shutil.copytree(root, installed)
    targets = installed / "targets/x86_64-linux"
    for folder in ("include", "lib"):
        targets.mkdir(parents=True, exist_ok=True)
        (installed / folder).rename(targets / folder)
    (installed / "include").symlink_to("targets/x86_64-linux/include")
    (installed / "lib64").symlink_to("targets/x86_64-linux/lib")
    (targets / "lib/libcudart.so").symlink_to("libcudart.so.13")
    put(installed / "bin/compute-sanitizer")
    put(installed / "version.json", json.dumps({"cuda": {"name": "CUDA SDK", "version": "13.1.1"}}))
    assert make_toolkit.main([str(home), "--installed", str(installed)]) == 0
    assert names(home / "lib") == KEPT_IN_LIB
    assert names(home / "bin") == {"nvcc", "nvcc.profile", "crt", "ptxas"}
    assert (home / "include/cublas_v2.h").is_file()
    assert versions(home)["cuda"]["version"] == "13.1.1"
    assert installed.exists(), "the image's own toolkit stays"


def test_a_folder_that_is_no_toolkit_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (empty := tmp_path / "empty").mkdir()
    assert make_toolkit.main([str(tmp_path / "cuda"), "--installed", str(empty)]) == 1
    assert "not a CUDA toolkit" in capsys.readouterr().err


def test_a_home_with_something_in_it_is_left_alone(
    tmp_path: Path, wheels13: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = put(tmp_path / "cuda/mine")
    assert make_toolkit.main([str(mine.parent), "--parts", str(wheels13)]) == 1
    assert "already there" in capsys.readouterr().err
    assert names(mine.parent) == {"mine"}


def test_a_link_out_of_the_tree_is_refused(
    tmp_path: Path, wheels13: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (wheels13 / "nvidia/cu13/include/outside.h").symlink_to("/etc/hostname")
    assert make_toolkit.main([str(tmp_path / "cuda"), "--parts", str(wheels13)]) == 1
    assert "the link leaves the tree" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["cuda"], "give the parts"),
        (["cuda", "--parts", "p", "--installed", "i"], "give the parts"),
        (["cuda", "--parts", "p", "--compiler", "nvcc=1"], "--compiler needs --suite and --sha256"),
    ],
)
def test_options_that_do_not_fit(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        make_toolkit.parse(words)
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("http://a.example/security/|bookworm-security|main\nhttp://a.example/debian/|bookworm|main\n", "http://a.example/debian"),
        ("http://a.example/x|bookworm|contrib\nhttps://b.example/d|bookworm|main\nhttp://c.example|bookworm|main", "https://b.example/d"),
    ],
)  # fmt: skip
def test_the_mirror_is_the_one_that_apt_uses(targets: str, mirror: str) -> None:
    assert make_toolkit.configured_mirror(targets, "bookworm") == mirror


def test_without_a_mirror_it_says_how_to_give_one() -> None:
    with pytest.raises(UserError, match="--mirror"):
        make_toolkit.configured_mirror("http://a.example/debian|trixie|main", "bookworm")


def test_functions_of_the_driver_are_found_behind_their_macros() -> None:
    text = "CUresult cuInit(unsigned int Flags); typedef int x;\nCUresult  cuMemAlloc_v2(CUdeviceptr *p, size_t n);"
    assert make_toolkit.driver_functions(text) == ["cuInit", "cuMemAlloc_v2"]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_the_driver_stub_exports_them_under_the_driver_s_name(tmp_path: Path) -> None:
    put(tmp_path / "include/cuda.h", "#define A b\ntypedef int CUresult;\nCUresult cuInit(unsigned int);\n")
    (tmp_path / "lib").mkdir()
    make_toolkit.make_driver_stub(tmp_path)
    stub = (tmp_path / "lib/stubs/libcuda.so").read_bytes()
    assert b"cuInit\0" in stub
    assert b"libcuda.so.1\0" in stub
    assert names(tmp_path / "lib/stubs") == {"libcuda.so"}
