"""Report where an image's bytes are, as text or JSON, alone or compared with another image."""

from ci.choices import SIZE_FORMATS
from ci.inspection.measure import measure_image
from ci.inspection.sizes import format_difference, format_sizes, read_sizes, serialize_sizes
from ci.stages.builder import ImageBuilder
from ci.util.errors import require_choice


async def report_size(builder: ImageBuilder, form: str, against: tuple[str, str] | None) -> str:
    """Build and measure an image; `against` is the text and the name of a file with another image's sizes.

    Raises:
        UserError: `form` is unknown, or the file does not hold sizes.
    """
    require_choice("form of sizes", form, SIZE_FORMATS)
    before = read_sizes(*against) if against else None
    sizes = await measure_image(builder)
    if before:
        return format_difference(before, sizes)
    return serialize_sizes(sizes) if form == "json" else format_sizes(sizes)
