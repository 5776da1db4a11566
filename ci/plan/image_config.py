"""Write the environment variables and labels of an image."""

from ci.plan.pair import PairInputs
from ci.plan.paths import CUDA_HOME, PREFIX, TOOLS
from ci.plan.resolver import Resolver

LABEL = "io.cslr-images"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make_env(resolver: Resolver) -> tuple[tuple[str, str], ...]:
    """Return the variables of an image; PATH comes first."""
    cuda = resolver.cell.cuda != "cpu"
    # Without the toolkit there is no CUDA_HOME, and nothing of it on PATH.
    toolkit = cuda and (resolver.target.kind == "devel" or resolver.variant.toolkit)
    path = [f"{PREFIX}/bin"]
    path += [f"{CUDA_HOME}/bin"] if toolkit else []
    path += [f"{TOOLS}/bin"] if resolver.target.kind == "devel" else []
    env = [("PATH", ":".join([*path, _SYSTEM_PATH])), ("LANG", "C.UTF-8")]
    env += [("CONDA_PREFIX", PREFIX)] if resolver.pair.conda else []
    env += [("CUDA_HOME", CUDA_HOME)] if toolkit else []
    if cuda:
        env += [("NVIDIA_VISIBLE_DEVICES", "all"), ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility")]
    return tuple(env)


def make_base_labels(resolver: Resolver) -> tuple[tuple[str, str], ...]:
    """Return the labels that all images on one base have, sorted."""
    pair = resolver.pair
    labels = {
        "org.opencontainers.image.source": pair.matrix.image.source,
        f"{LABEL}.cuda": pair.cuda,
        f"{LABEL}.python": pair.python,
        f"{LABEL}.sources": pair.inputs.sources_name,
        f"{LABEL}.torch": _torch_version(pair),
        f"{LABEL}.torchvision": pair.pins.torchvision,
        f"{LABEL}.torchaudio": pair.pins.torchaudio,
        f"{LABEL}.torch-geometric": pair.matrix.pyg.torch_geometric,
    }
    if pair.toolkit:
        labels[f"{LABEL}.archs"] = pair.arch_list or ""
        if resolver.variant.toolkit:
            labels[f"{LABEL}.toolkit"] = pair.cuda
            labels[f"{LABEL}.toolkit-compiler"] = f"nvcc {pair.toolkit.compiler}"
    if resolver.target.kind == "runtime":
        labels[f"{LABEL}.variant"] = resolver.variant_name
    return tuple(sorted(labels.items()))


def make_labels(resolver: Resolver) -> tuple[tuple[str, str], ...]:
    """Return the labels that an image has for itself, sorted."""
    matrix, target = resolver.matrix, resolver.target
    labels = {
        "org.opencontainers.image.title": resolver.image_name,
        f"{LABEL}.target": resolver.cell.target,
    }
    if matrix.has_video and matrix.video:
        labels[f"{LABEL}.torchcodec"] = resolver.pair.torchcodec
        labels[f"{LABEL}.av"] = matrix.video.av
        if matrix.video.opencv:
            labels[f"{LABEL}.opencv"] = matrix.video.opencv_python_headless
    if "ray" in target.layers:
        versions = {"stable": matrix.ray.version, "nightly": matrix.ray.nightly}
        labels[f"{LABEL}.ray"] = versions.get(resolver.options.ray, f"{matrix.ray.version} (source)")
    if "marimo" in target.layers:
        labels[f"{LABEL}.marimo"] = matrix.marimo.version
    return tuple(sorted(labels.items()))


def _torch_version(pair: PairInputs) -> str:
    # PyPI's torch is a CUDA build, in CPU images too: only an index of its own has +cpu.
    own = pair.tag != "cpu" or pair.inputs.sources.wheels.torch
    return f"{pair.pins.torch}+{pair.tag}" if own else pair.pins.torch
