"""The runtime: a small base that can compile, and the environment's layers on top."""

from collections.abc import Sequence

import dagger

from ci.plan.specs import CUDA_HOME, PREFIX, RuntimeBaseSpec
from ci.stages import account
from ci.stages import system as apt
from ci.stages.context import BuildContext


def base(context: BuildContext, spec: RuntimeBaseSpec, toolkit: dagger.Directory | None) -> dagger.Container:
    """Compose the runtime base; the CUDA libraries come with torch's wheels, so it has none of its own."""
    container = apt.on(spec.image, context, spec.apt)
    container = account.add(context, container, spec.account)
    return container.with_directory(CUDA_HOME, toolkit) if toolkit and spec.adds_toolkit else container


def unpack(runtime_base: dagger.Container, layers: Sequence[dagger.Directory]) -> dagger.Container:
    """Lay the packed environment and what others add to it over the base, a layer each."""
    container = runtime_base
    for layer in layers:
        container = container.with_directory(PREFIX, layer)
    return container
