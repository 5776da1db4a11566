"""What one environment adds to another: the layers that runtime images share are made of this."""

import dagger

from ci.plan.specs import PREFIX


def added(below: dagger.Container, above: dagger.Container) -> dagger.Directory:
    """Return what `above` adds to or changes in the environment of `below`."""
    return below.directory(PREFIX).diff(above.directory(PREFIX))
