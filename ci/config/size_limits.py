"""Limits on the size of images, as the matrix states them."""

from typing import Annotated

from pydantic import Field, StringConstraints

from ci.util.model import FrozenModel

# Over names of images as records have them: `*-ray-runtime`, `*-runtime@slim`.
ImageGlob = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.*?\[\]!_@-]{1,80}$")]


class SizeLimits(FrozenModel):
    """Limits of sizes: `growth_percent` against the last good build, `max_gb` (10^9 bytes) by names of images."""

    growth_percent: Annotated[float, Field(gt=0, le=1e6)] | None = None
    max_gb: dict[ImageGlob, Annotated[float, Field(gt=0, le=1e6)]] = Field(default_factory=dict)
