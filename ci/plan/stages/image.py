"""Plan the configuration of a finished image: user, environment, labels, entry point, and login shells."""

from typing import Literal

from ci.plan.definition import StageDefinition
from ci.plan.image_config import make_base_labels, make_env, make_labels
from ci.plan.resolver import Resolver
from ci.plan.stage import Spec, Stage
from ci.plan.system import PROFILE_PROGRAM, Account


class ImageSpec(Spec):
    """The configuration of a finished image; a layer of two small files gives login shells its variables.

    `base_labels` are those that all images on one base have, `labels` the image's own.
    """

    kind: Literal["devel", "runtime"]
    account: Account
    env: tuple[tuple[str, str], ...]
    base_labels: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    entrypoint: tuple[str, ...]
    args: tuple[str, ...]
    port: int | None

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
    )
    base = resolver.stages["runtime-base" if target.kind == "runtime" else "base"]
    reason = f"{resolver.image_name}: user, environment, labels"
    return resolver.make("image", spec, (base, resolver.stages["pack"]), reason)


STAGE = StageDefinition(
    name="image",
    resolve=resolve,
    scope="cell",
    programs=(PROFILE_PROGRAM,),
    modules=("plan/image_config.py", "plan/system.py"),
)
