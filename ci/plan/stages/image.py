"""Plan the configuration of a finished image: user, environment, labels, login shells, names of CUDA's libraries."""

from typing import Literal

from ci.plan.definition import StageDefinition
from ci.plan.image_config import has_toolkit, make_base_labels, make_env, make_labels
from ci.plan.paths import CUDA_HOME, LIBRARIES
from ci.plan.programs import python_command
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage
from ci.plan.system import EPOCH, PROFILE_PROGRAM, Account

NAMES_PROGRAM = "name_libraries.py"


class ImageSpec(Spec):
    """The configuration of a finished image; a layer of two small files gives login shells its variables.

    `base_labels` are those that all images on one base have, `labels` the image's own. `names_libraries` links CUDA's
    libraries to where compilers look: a small layer on that of the libraries.
    """

    kind: Literal["devel", "runtime"]
    account: Account
    env: tuple[tuple[str, str], ...]
    base_labels: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    entrypoint: tuple[str, ...]
    args: tuple[str, ...]
    port: int | None
    names_libraries: bool = False

    @property
    def all_labels(self) -> dict[str, str]:
        """Return all labels, sorted by name."""
        return dict(sorted((*self.base_labels, *self.labels)))


def resolve(resolver: Resolver) -> Stage:
    """Resolve the configuration by target and variant."""
    target = resolver.target
    serves = "marimo" in target.layers
    port = resolver.matrix.marimo.port if serves else None
    args: tuple[str, ...] = ("bash",)
    if serves and target.kind == "runtime":
        args = ("marimo", "edit", "--headless", "--host", "0.0.0.0", "--port", str(port), "--no-token")  # noqa: S104
    spec = ImageSpec(
        kind=target.kind,
        account=resolver.account,
        env=make_env(resolver),
        base_labels=make_base_labels(resolver),
        labels=make_labels(resolver),
        entrypoint=("tini", "--"),
        args=args,
        port=port,
        names_libraries=has_toolkit(resolver) and resolver.pair.libraries is not None,
    )
    base = resolver.stages["runtime-base" if target.kind == "runtime" else "base"]
    reason = f"{resolver.image_name}: user, environment, labels"
    return resolver.make("image", spec, (base, resolver.stages["pack"]), reason)


def name_libraries_command(libraries: str, out: str, base: str) -> list[str]:
    """Return the command that links CUDA's libraries to where compilers look; `base` is a base's file system."""
    options = ["--at", LIBRARIES, "--base", base, "--home", CUDA_HOME]
    return [
        "env",
        f"SOURCE_DATE_EPOCH={EPOCH}",
        *python_command(NAMES_PROGRAM, libraries, out, *options),
    ]


STAGE = StageDefinition(
    name="image",
    resolve=resolve,
    scope="cell",
    programs=(NAMES_PROGRAM, PROFILE_PROGRAM),
    modules=("plan/image_config.py", "plan/system.py"),
)
