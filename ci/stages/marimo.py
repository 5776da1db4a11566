"""marimo in the environment."""

import dagger

from ci.plan.specs import InstallSpec
from ci.stages.context import BuildContext
from ci.stages.install import install


def build(context: BuildContext, spec: InstallSpec, ray: dagger.Container) -> dagger.Container:
    """Install the notebook server."""
    return install(ray, context, spec)
