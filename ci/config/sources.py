"""Where bytes come from: named profiles, and a user's own file of mirrors laid over one."""

import re
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, StringConstraints

from ci.config.fields import CudaVersion, DebianName, Requirement, Version, Word
from ci.util.errors import UserError, require_choice
from ci.util.model import FrozenModel, load, merged, parse_toml


def _plain(text: str) -> str:
    if found := re.search(r"\{[^{}]*\}?", text):
        raise ValueError(f"has the place {found[0]}; here none is filled")
    return text


# An image reference or an address; both may hold the places {cuda}, {tag}, {torch} and {wheel} where a plan fills them.
ImageName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][A-Za-z0-9._:/{}-]{0,200}(@sha256:[0-9a-f]{64})?$")
]
Address = Annotated[
    str,
    StringConstraints(
        pattern=r"^https?://([A-Za-z0-9._-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~%+/={}-]*)?$",
        max_length=400,
    ),
]
PlainImageName = Annotated[ImageName, AfterValidator(_plain)]
PlainAddress = Annotated[Address, AfterValidator(_plain)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Images(FrozenModel):
    """Base images by use; `glibc` is what conda may count on in the runtime's base.

    `tags` lists the tags of the repository that has them (OCI distribution API), where new CUDA versions appear.
    """

    devel: ImageName
    runtime: ImageName
    cpu: PlainImageName
    glibc: Version
    tags: PlainAddress | None = None


class Deb(FrozenModel):
    """One Debian package taken by itself, from a suite that the base does not use."""

    package: DebianName
    version: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+:~-]{1,60}$")]
    suite: Word
    component: Word
    sha256: Sha256


class Toolkit(FrozenModel):
    """Where the CUDA compiler comes from: the devel image, PyPI's wheels, or wheels with Debian's compiler."""

    provider: Literal["image", "wheels", "hybrid"]
    compiler: Version
    wheels: tuple[Requirement, ...] = ()
    deb: Deb | None = None
    note: str = ""


class Conda(FrozenModel):
    """Conda channels in order of priority; none means the channel that the module makes itself."""

    channels: tuple[PlainAddress, ...] = ()


class Interpreter(FrozenModel):
    """CPython for environments without conda: where uv finds standalone builds; none means that one is made."""

    standalone: PlainAddress | None = None


class Wheels(FrozenModel):
    """Addresses of Python packages; one that is not given means the client's own default, or that there is none."""

    index: PlainAddress | None = None
    torch: Address | None = None
    pyg: Address | None = None
    ray_nightly: Address | None = None
    ray_source: PlainAddress | None = None


class Sources(FrozenModel):
    """One profile."""

    description: str
    images: Images
    toolkit: dict[CudaVersion, Toolkit]
    conda: Conda
    interpreter: Interpreter = Interpreter()
    wheels: Wheels


def profiles() -> dict[str, Any]:
    """Read the profiles that come with the module, not yet validated."""
    data = parse_toml(resources.files("ci").joinpath("sources.toml").read_text("utf-8"), "sources.toml")
    del data["schema"]
    return data


def read_sources(profile: str, mirrors: str | None = None, name: str = "mirrors file") -> Sources:
    """Read a profile, with a user's file of mirrors laid over it.

    The file has the keys of one profile; lists and values replace, tables are joined:

        [wheels]
        index = "http://mirror:8080/simple"

    Raises:
        UserError: an unknown profile, or a mistake in the file, told by line or key.
    """
    known = profiles()
    data = known[require_choice("sources profile", profile, known)]
    if mirrors is None:
        return load(data, Sources, f"sources.toml [{profile}]")
    return load(merged(data, parse_toml(mirrors, name)), Sources, name)


def filled(template: str, **places: str) -> str:
    """Fill the places of an address or image name.

    >>> filled("nvidia/cuda:{cuda}-base", cuda="12.8.1")
    'nvidia/cuda:12.8.1-base'
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in places:
            raise UserError(
                f"sources: {template} has the place {match[0]}; accepted here: {', '.join(places)}"
            )
        return places[match[1]]

    return re.sub(r"\{([^{}]*)\}", value, template)
