"""Install the packages that decode video and sound, and make FFmpeg's libraries known to torchcodec."""

import dagger

from ci.plan.stages.video import PROGRAM, VideoSpec, place_ffmpeg_command
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.install import install
from ci.stages.programs import with_program, without_program


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Install the packages, then place the libraries."""
    spec = stages.plan.spec("video", VideoSpec)
    container = install(context, stages.container_below("video"), spec.install)
    return without_program(context.run(with_program(container, PROGRAM), place_ffmpeg_command(spec)), PROGRAM)
