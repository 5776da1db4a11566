"""Write and read requirement lines of the stages of an environment, as pip and uv read them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ci.config.matrix import Matrix
from ci.config.pins import TorchPins

STAGES = ("torch", "pyg", "video", "ray", "marimo")


def list_locked_stages(matrix: Matrix) -> tuple[str, ...]:
    """Return the stages that install packages, each on top of the ones before, without one that is switched off."""
    return tuple(stage for stage in STAGES if stage != "video" or matrix.has_video)


def write_requirements(
    stage: str, matrix: Matrix, pinned_versions: TorchPins, local: str | None = None, *, nightly: bool = False
) -> str:
    """Return the requirement lines of a stage, by version; `local` is the label of torch's own index (`cu128`).

    >>> from ci.config.matrix import default_matrix
    >>> matrix = default_matrix()
    >>> write_requirements("marimo", matrix, matrix.torch["upstream"]["cpu"]).startswith("marimo==")
    True
    """
    label = f"+{local}" if local else ""
    ray = f"ray[{','.join(matrix.ray.extras)}]=={matrix.ray.nightly if nightly else matrix.ray.version}"
    asked: dict[str, Sequence[str]] = {
        "torch": [
            f"torch=={pinned_versions.torch}{label}",
            f"torchvision=={pinned_versions.torchvision}{label}",
            f"torchaudio=={pinned_versions.torchaudio}{label}",
            *matrix.environment.packages,
        ],
        "pyg": [f"torch-geometric=={matrix.pyg.torch_geometric}"],
        "video": _list_video_packages(matrix, pinned_versions),
        "ray": [ray],
        "marimo": [f"marimo=={matrix.marimo.version}"],
    }
    return "".join(f"{line}\n" for line in asked[stage])


def _list_video_packages(matrix: Matrix, pins: TorchPins) -> list[str]:
    video = matrix.video
    if video is None or pins.torchcodec is None:
        return []
    opencv = [f"opencv-python-headless=={video.opencv_python_headless}"] if video.opencv else []
    # `===` is the very text: for `==` a build with a CUDA label, which torch's own index also has, is the newer one.
    return [f"torchcodec==={pins.torchcodec}", f"av=={video.av}", *opencv]


@lru_cache(maxsize=256)
def pinned_versions(locked: str) -> Mapping[str, str]:
    """Return the versions that a locked requirements text pins, by normalized name."""
    found = (
        line.split()[0].partition("==") for line in locked.splitlines() if "==" in line and line[0].isalnum()
    )
    return MappingProxyType({str(canonicalize_name(name)): version for name, _, version in found})


@lru_cache(maxsize=256)
def list_cuda_libraries(text: str) -> str:
    """Return the pins that fix CUDA's libraries in an environment: their own in a lock, else torch's.

    >>> locked = "numpy==2.1\\nnvidia-nccl-cu12==2.27.5 \\\\\\n"
    >>> list_cuda_libraries(locked), list_cuda_libraries("numpy>=2\\ntorch==2.11.0\\n")
    ('nvidia-nccl-cu12==2.27.5', 'torch==2.11.0')
    """
    found = pinned_versions(text)
    names = [name for name in found if name.startswith("nvidia-")] or ["torch"]
    return " ".join(f"{name}=={found[name]}" for name in sorted(names))


@lru_cache(maxsize=1024)
def satisfies(locked: str, asked: str) -> bool:
    """Return whether a lock has every pin that is asked for, so that it never overrules a changed pin."""
    have = pinned_versions(locked)
    for line in map(Requirement, asked.splitlines()):
        version = have.get(str(canonicalize_name(line.name)))
        if version is None or not line.specifier.contains(version):
            return False
    return True


def select_pins(locked: str, wanted_pins: Sequence[str]) -> str | None:
    """Return some pins of a locked text with their hashes, None if it lacks one of them."""
    return _select_pins(locked, tuple(wanted_pins))


@lru_cache(maxsize=256)
def _select_pins(locked: str, wanted_pins: tuple[str, ...]) -> str | None:
    blocks: dict[str, str] = {}
    pin = ""
    for line in locked.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            pin = line.split(" ")[0].rstrip("\\")
        if pin:
            blocks[pin] = blocks.get(pin, "") + line + "\n"
    if not set(wanted_pins) <= set(blocks):
        return None
    return "".join(blocks[name] for name in wanted_pins)


def name_ray_nightly_wheel(version: str, abi: str) -> str:
    """Name Ray's nightly wheel for an interpreter; the tag comes from the cell, never from a constant.

    >>> name_ray_nightly_wheel("3.0.0.dev0", "cp313")
    'ray-3.0.0.dev0-cp313-cp313-manylinux2014_x86_64.whl'
    """
    return f"ray-{version}-{abi}-{abi}-manylinux2014_x86_64.whl"
