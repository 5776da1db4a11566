"""Where an image's bytes are, told in one of two forms, alone or against another image."""

from ci.choices import SIZE_FORMATS
from ci.inspection.measure import measure_image
from ci.inspection.sizes import difference, document, read_sizes, text
from ci.stages.builder import ImageBuilder
from ci.util.errors import require_choice


async def size_report(build: ImageBuilder, form: str, against: tuple[str, str] | None) -> str:
    """Build and measure an image; `against` is the text and the name of the file with another one's sizes.

    Raises:
        UserError: there is no such form, or the file holds something else.
    """
    require_choice("form of sizes", form, SIZE_FORMATS)
    before = read_sizes(*against) if against else None
    found = await measure_image(build)
    if before:
        return difference(before, found)
    return document(found) if form == "json" else text(found)
