"""Define the limits on the size of images that the matrix sets in `[gates]`."""

from typing import Annotated

from pydantic import Field

from ci.config.fields import ImageGlob
from ci.util.model import FrozenModel


class SizeLimits(FrozenModel):
    """Limits on sizes of images on disk.

    `growth_percent` limits the growth since the last good build, `max_gb` (10^9 bytes) the size by globs over names.
    """

    growth_percent: Annotated[float, Field(gt=0, le=1e6)] | None = None
    max_gb: dict[ImageGlob, Annotated[float, Field(gt=0, le=1e6)]] = Field(default_factory=dict)
