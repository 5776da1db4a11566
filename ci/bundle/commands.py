"""Write the commands that collect a bundle."""

from collections.abc import Sequence

from ci.plan.paths import PREFIX, TOOLS
from ci.plan.programs import python_command

COLLECT_PROGRAM = "collect_packages.py"
MIRROR_PROGRAM = "mirror_channel.py"
BUNDLE_PROGRAM = "bundle.py"


def collect_packages_command(
    out: str, python: str, requirements: str, cache: str, pins: str, options: Sequence[str]
) -> list[str]:
    """Return the command that downloads what an installation takes; `pins` is the file that gets the versions."""
    words = [out, "--python", python, "--uv", f"{TOOLS}/bin/uv", "--requirements", requirements]
    return python_command(COLLECT_PROGRAM, *words, "--cache", cache, "--pins", pins, *options)


def mirror_channel_command(out: str) -> list[str]:
    """Return the command that downloads the conda packages of the environment as a channel of their own."""
    return python_command(MIRROR_PROGRAM, PREFIX, out)


def make_bundle_command(out: str, collected: str, sources: str, cells: Sequence[str]) -> list[str]:
    """Return the command that makes a bundle of what was collected."""
    words = ["make", out, "--collected", collected, "--sources", sources]
    return python_command(BUNDLE_PROGRAM, *words, *(word for cell in cells for word in ("--cell", cell)))
