"""Write the environment variables and labels of an image."""

from ci.plan.pair import PairInputs
from ci.plan.paths import CUDA_HOME, PREFIX, TOOLS
from ci.plan.resolver import Resolver

LABEL = "io.cslr-images"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DRIVER = "/usr/local/nvidia"  # where GKE and others mount the driver
# What `update-ca-certificates` writes; each of these has certificates of its own otherwise: the environment's Python
# and uv, requests and Hugging Face, curl, git, pip.
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_TRUSTED_BY = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT")


def has_toolkit(resolver: Resolver) -> bool:
    """Return whether the image has the CUDA toolkit, and so promises to compile for GPUs."""
    return resolver.cell.cuda != "cpu" and (resolver.target.kind == "devel" or resolver.variant.toolkit)


def make_env(resolver: Resolver) -> tuple[tuple[str, str], ...]:
    """Return the variables of an image; PATH comes first."""
    cuda = resolver.cell.cuda != "cpu"
    # Without the toolkit there is no CUDA_HOME, and nothing of it on PATH.
    toolkit = has_toolkit(resolver)
    account = resolver.account
    # What the user installs with pip, wherever HOME is: another home folder brings no packages of another Python.
    user_base = f"{account.home}/.local"
    path = [f"{user_base}/bin", f"{PREFIX}/bin"]
    path += [f"{CUDA_HOME}/bin"] if toolkit else []
    path += [f"{TOOLS}/bin"] if resolver.target.kind == "devel" else []
    path += [f"{_DRIVER}/bin"] if cuda else []
    env = [("PATH", ":".join([*path, _SYSTEM_PATH])), ("LANG", "C.UTF-8"), ("PYTHONUSERBASE", user_base)]
    env += [(name, _AUTHORITIES) for name in _TRUSTED_BY]
    env += [("CONDA_PREFIX", PREFIX)] if resolver.pair.conda else []
    env += [("CUDA_HOME", CUDA_HOME)] if toolkit else []
    # Where the linker looks besides its own folders; the stubs stand for the driver, which is the machine's.
    env += [("LIBRARY_PATH", f"{CUDA_HOME}/lib64:{CUDA_HOME}/lib64/stubs")] if toolkit else []
    if cuda:
        env += [("TORCH_CUDA_ARCH_LIST", archs)] if (archs := resolver.pair.arch_list) else []
        env += [("LD_LIBRARY_PATH", f"{_DRIVER}/lib:{_DRIVER}/lib64")]
        env += [("NVIDIA_VISIBLE_DEVICES", "all"), ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility,video")]
    if resolver.target.kind == "runtime":
        # A user of another number has no entry that says them. In devel images, which root uses, they would be wrong
        # for root or for everybody else: there the container's engine sets HOME.
        env += [("HOME", account.home), ("USER", account.user), ("LOGNAME", account.user)]
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
