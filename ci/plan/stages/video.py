"""Plan the packages that decode video and sound in the environment: torchcodec, PyAV, and OpenCV if it is wanted."""

from collections.abc import Mapping

from ci.config.matrix import Cell
from ci.plan import installs
from ci.plan.definition import StageDefinition
from ci.plan.dockerfile_writer import DockerfileWriter
from ci.plan.externals import ExternalInput
from ci.plan.installs import InstallSpec
from ci.plan.paths import PREFIX
from ci.plan.plan import Plan
from ci.plan.programs import python_command
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage

PROGRAM = "place_ffmpeg.py"


class VideoSpec(Spec):
    """The packages, and the folder of Python packages below the prefix that FFmpeg's libraries come with."""

    install: InstallSpec
    site_packages: str


def applies(resolver: Resolver) -> bool:
    """Return whether images have video."""
    return resolver.matrix.has_video


def resolve(resolver: Resolver) -> Stage:
    """Resolve the packages.

    Raises:
        UserError: no torchcodec is pinned for the cell's torch.
    """
    pair, video = resolver.pair, resolver.matrix.video
    assert video is not None
    where = "CPU and GPU" if pair.pins.torchcodec_cuda and resolver.cell.cuda != "cpu" else "CPU"
    parts = [f"torchcodec {pair.torchcodec} (decodes on {where})", f"PyAV {video.av} with FFmpeg's libraries"]
    parts += [f"OpenCV {video.opencv_python_headless}"] if video.opencv else []
    install = pair.install("video")
    spec = VideoSpec(install=install.spec, site_packages=f"lib/python{resolver.cell.python}/site-packages")
    return resolver.make("video", spec, (resolver.top,), "; ".join(parts), install.notes)


def place_ffmpeg_command(spec: VideoSpec) -> list[str]:
    """Return the command that makes the FFmpeg of PyAV's wheel the one that torchcodec finds."""
    return python_command(PROGRAM, PREFIX, spec.site_packages)


def list_external_inputs(spec: VideoSpec, cell: Cell) -> Mapping[str, ExternalInput]:
    """Return the packages."""
    return installs.list_install_inputs("video", spec.install, cell)


def write_dockerfile(writer: DockerfileWriter, plan: Plan) -> None:
    """Write the stage."""
    spec = plan.spec("video", VideoSpec)
    writer.stage(plan.stage("video").parents[0].name, "video", "Packages that decode video and sound.")
    installs.write_install(writer, "video", spec.install)
    writer.run(writer.programs(PROGRAM), place_ffmpeg_command(spec))


STAGE = StageDefinition(
    name="video",
    resolve=resolve,
    applies=applies,
    scope="pair",
    layer=True,
    programs=(installs.PROGRAM, PROGRAM),
    modules=installs.MODULES,
    list_external_inputs=list_external_inputs,
    write_dockerfile=write_dockerfile,
)
