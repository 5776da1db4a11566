"""marimo in the environment."""

import dagger

from ci.specs import InstallSpec
from ci.stages.install import install
from ci.stages.site import Site


def build(site: Site, spec: InstallSpec, ray: dagger.Container) -> dagger.Container:
    """Install the notebook server."""
    return install(ray, site, spec)
