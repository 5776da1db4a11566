"""The module's own code as an input of its stages: a stage that works differently is another stage."""

import hashlib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType

# What carries out each stage, under `ci/`. A change of anything else leaves the images as they are.
# The commands of all stages are in one file: they are the same with Dagger and in a Dockerfile.
_ALL = ("plan/commands.py",)
_APT = (*_ALL, "stages/system.py", "programs/install_debs.sh")
_TOOLS = (*_APT, "stages/tools.py", "programs/install_tools.sh")
_USER = ("stages/account.py", "programs/add_user.sh")
_INSTALL = (*_ALL, "stages/install.py", "programs/install_packages.sh")
FILES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "channel": ("stages/channel.py", *_TOOLS, "programs/make_channel.py"),
        "toolkit": ("stages/toolkit.py", *_TOOLS, "programs/cuda_home.py"),
        "base": ("stages/bases.py", *_TOOLS, *_USER, "programs/make_env.py", "programs/conda_env.sh"),
        "conda": (*_ALL, "stages/conda.py", "programs/make_env.py"),
        "interpreter": (
            "stages/interpreter.py",
            *_TOOLS,
            *_INSTALL,
            "programs/make_channel.py",
            "programs/make_interpreter.py",
        ),
        "torch": ("stages/torch.py", *_INSTALL),
        "wheels": (*_ALL, "stages/wheels.py", "programs/compile_wheels.py"),
        "pyg": ("stages/pyg.py", *_INSTALL, "programs/install_wheels.sh"),
        "ray": (
            "stages/ray.py",
            *_INSTALL,
            *_APT,
            "programs/install_wheels.sh",
            "programs/build_ray.sh",
            "programs/bazelisk/package.json",
            "programs/bazelisk/package-lock.json",
        ),
        "marimo": ("stages/marimo.py", *_INSTALL),
        "runtime-base": ("stages/runtime.py", *_APT, *_USER),
        "pack": (
            *_ALL,
            "stages/pack.py",
            "stages/delta.py",
            "stages/layers.py",
            "stages/trim.py",
            "programs/trim_env.py",
            "programs/pack_env.py",
            "programs/copy_env.py",
            "programs/strip_libs.py",
        ),
        "image": ("stages/image.py",),
    }
)


class CodeDigests:
    """The digest of the code of each stage."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = dict(files)
        self._digests: dict[str, str] = {}

    def digest(self, stage: str) -> str:
        """Return the SHA-256 of the texts that carry out a stage."""
        if stage not in self._digests:
            total = hashlib.sha256()
            for name in FILES[stage]:
                total.update(hashlib.sha256(self._files[name].encode()).digest())
            self._digests[stage] = total.hexdigest()
        return self._digests[stage]

    def changed(self, name: str, text: str) -> "CodeDigests":
        """Return the code with another text for one file."""
        return CodeDigests({**self._files, name: text})


def read_code() -> CodeDigests:
    """Read the code of the module's stages."""
    root = resources.files("ci")
    names = {name for files in FILES.values() for name in files}
    return CodeDigests({name: root.joinpath(name).read_text("utf-8") for name in names})
