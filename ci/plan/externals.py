"""Name what stages take from outside: base images, Debian and Python packages, conda channels, single files.

An external input is known by what is asked for, not by where it comes from: a bundle that was made with a site's
mirrors serves a site that has none.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

from ci.util.model import FrozenModel

Kind = Literal["images", "debs", "wheels", "sdists", "channel", "files"]

# How a stage names its inputs; a file is named by its address.
IMAGE = "image"
DEBS = "debs"
TOOLS = "tools"
PACKAGES = "packages"
SOURCES = "sources"
COMPILER = "compiler"
CONDA = "conda"


class ExternalInput(FrozenModel):
    """A set of files that is collected and used together; `key` is what is asked for."""

    kind: Kind
    name: str
    key: tuple[str, ...]

    @property
    def bundle_path(self) -> str:
        """Return the folder in a bundle: `wheels/cpu-py3.13-torch-0123456789ab`."""
        text = "\0".join((self.kind, self.name, *self.key))
        return f"{self.kind}/{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def image_input(name: str) -> ExternalInput:
    """Return a base image as an input."""
    return ExternalInput(kind="images", name=_slug(name), key=(name,))


def file_input(address: str) -> ExternalInput:
    """Return a file as an input."""
    return ExternalInput(kind="files", name=_slug(address.rsplit("/", 1)[-1]), key=(address,))


def system_inputs(image: str, packages: Sequence[str]) -> dict[str, ExternalInput]:
    """Return a base image and the Debian packages that are installed in it."""
    return {
        IMAGE: image_input(image),
        DEBS: ExternalInput(kind="debs", name=_slug(image), key=(image, *packages)),
    }


def tools_input(image: str, requirements: str) -> ExternalInput:
    """Return the wheels of the tools; the image has the Python that they are installed for."""
    return ExternalInput(kind="wheels", name="tools", key=(image, requirements))


def deduplicate(externals: Iterable[ExternalInput]) -> tuple[ExternalInput, ...]:
    """Return each input once, by its folder in a bundle."""
    return tuple({external.bundle_path: external for external in externals}.values())


def _slug(name: str) -> str:
    plain = "".join(char if (char.isalnum() and char.isascii()) or char in "._" else "-" for char in name)
    return plain.strip("-._")[-80:].strip("-._") or "unnamed"
