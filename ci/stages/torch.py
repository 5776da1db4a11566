"""torch, torchvision and torchaudio in the environment."""

import dagger

from ci.plan.specs import InstallSpec
from ci.stages.context import BuildContext
from ci.stages.install import install


def build(context: BuildContext, spec: InstallSpec, conda: dagger.Container) -> dagger.Container:
    """Install the PyTorch packages."""
    return install(conda, context, spec)
