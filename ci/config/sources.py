"""Define where packages and images come from: profiles, and a user's file of mirrors."""

import re
from importlib import resources
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from ci.config.fields import CudaVersion, DebianName, Requirement, Version, Word
from ci.config.names import Line
from ci.util.errors import UserError, require_choice
from ci.util.model import FrozenModel, accepts, load_model, merge_tables, parse_toml


def _refuse_placeholders(text: str) -> str:
    if placeholder := re.search(r"\{[^{}]*\}?", text):
        raise ValueError(f"has the placeholder {placeholder[0]}; none is filled here")
    return text


def _check_placeholders(text: str) -> str:
    if re.search(r"[{}]", re.sub(r"\{[a-z]+\}", "", text)):
        raise ValueError(
            "has a brace that belongs to no placeholder; accepted: {cuda}, {tag}, {torch} and {wheel}"
        )
    return text


# Image references and addresses; both may have the placeholders {cuda}, {tag}, {torch} and {wheel}, which plans fill.
ImageName = Annotated[
    str,
    StringConstraints(
        pattern=accepts(
            r"^[a-z0-9][A-Za-z0-9._:/{}-]{0,200}(@sha256:[0-9a-f]{64})?$", "an image such as ubuntu:24.04"
        )
    ),
    AfterValidator(_check_placeholders),
]
Address = Annotated[
    str,
    StringConstraints(
        pattern=accepts(
            r"^https?://([A-Za-z0-9._-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~%+/={}-]*)?$",
            "an address such as https://mirror.example:8080/simple",
        ),
        max_length=400,
    ),
    AfterValidator(_check_placeholders),
]
PlainImageName = Annotated[ImageName, AfterValidator(_refuse_placeholders)]
PlainAddress = Annotated[Address, AfterValidator(_refuse_placeholders)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Images(FrozenModel):
    """Base images by use; `glibc` is the version that conda assumes in the runtime base.

    `tags` is the address of the tag list of their repository (OCI distribution API), where new CUDA versions appear.
    """

    devel: ImageName
    runtime: ImageName
    cpu: PlainImageName
    glibc: Version
    tags: PlainAddress | None = None


class Deb(FrozenModel):
    """One Debian package from a suite that the base image does not use."""

    package: DebianName
    version: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+:~-]{1,60}$")]
    suite: Word
    component: Word
    sha256: Sha256


class Toolkit(FrozenModel):
    """The source of CUDA's compiler: the devel image, wheels, or wheels with Debian's compiler."""

    provider: Literal["image", "wheels", "hybrid"]
    compiler: Version
    wheels: tuple[Requirement, ...] = ()
    deb: Deb | None = None
    note: Line = ""

    @model_validator(mode="after")
    def check_provider(self) -> Self:
        """Require what the provider takes the toolkit from."""
        if self.provider == "hybrid" and self.deb is None:
            raise ValueError("provider hybrid takes the compiler from a Debian package: deb is missing")
        if self.provider != "image" and not self.wheels:
            raise ValueError(f"provider {self.provider} takes the toolkit from wheels: wheels is empty")
        return self


class Conda(FrozenModel):
    """Conda channels in order of priority; without any, the module makes a channel itself."""

    channels: tuple[PlainAddress, ...] = ()


class Interpreter(FrozenModel):
    """CPython for environments without conda: the address of uv's standalone builds.

    Without an address the module makes an interpreter itself.
    """

    standalone: PlainAddress | None = None


class Wheels(FrozenModel):
    """Addresses of Python packages.

    Without `index` clients use their default; without another address, its packages are not available.
    """

    index: PlainAddress | None = None
    torch: Address | None = None
    pyg: Address | None = None
    ray_nightly: Address | None = None
    ray_source: PlainAddress | None = None


class Sources(FrozenModel):
    """A sources profile."""

    description: Line
    images: Images
    toolkit: dict[CudaVersion, Toolkit]
    conda: Conda
    interpreter: Interpreter = Interpreter()
    wheels: Wheels

    @model_validator(mode="after")
    def check_toolkits(self) -> Self:
        """Require that a toolkit that is taken from the devel image can be in it."""
        for cuda, toolkit in self.toolkit.items():
            if toolkit.provider == "image" and not {"{cuda}", "cuda", cuda} & set(
                _split_image(self.images.devel)
            ):
                raise ValueError(
                    f"toolkit: {cuda} is taken out of images.devel, and {self.images.devel} is no image of CUDA"
                )
        return self


def _split_image(name: str) -> list[str]:
    """Return the parts of an image's name, with placeholders and versions whole: `nvidia`, `cuda`, `{cuda}`."""
    return re.split(r"[/:@_-]", name)


def read_profiles() -> dict[str, Any]:
    """Read the profiles that come with the module, without validating them."""
    data = parse_toml(resources.files("ci").joinpath("sources.toml").read_text("utf-8"), "sources.toml")
    del data["schema"]
    return data


def read_sources(profile: str, mirrors: str | None = None, name: str = "mirrors file") -> Sources:
    """Read a profile and merge a user's file of mirrors into it.

    The file has the keys of a profile; its lists and values replace those of the profile, tables are merged:

        [wheels]
        index = "http://mirror:8080/simple"

    Raises:
        UserError: the profile is unknown, or the file has a mistake; the message names the line or the key.
    """
    known = read_profiles()
    data = known[require_choice("sources profile", profile, known)]
    if mirrors is None:
        return load_model(data, Sources, f"sources.toml [{profile}]")
    return load_model(merge_tables(data, parse_toml(mirrors, name)), Sources, name)


def fill_placeholders(template: str, **values: str) -> str:
    """Fill the placeholders of an address or image name.

    >>> fill_placeholders("nvidia/cuda:{cuda}-base", cuda="12.8.1")
    'nvidia/cuda:12.8.1-base'

    Raises:
        UserError: the template has a placeholder without a value.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UserError(
                f"sources: {template} has the placeholder {match[0]}; accepted here: {', '.join(values)}"
            )
        return values[match[1]]

    return re.sub(r"\{([^{}]*)\}", value, template)
