"""torch, torchvision and torchaudio in the environment."""

import dagger

from ci.specs import InstallSpec
from ci.stages.install import install
from ci.stages.site import Site


def build(site: Site, spec: InstallSpec, conda: dagger.Container) -> dagger.Container:
    """Install the PyTorch packages."""
    return install(conda, site, spec)
