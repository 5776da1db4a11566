"""Put the layers on a base and configure the image: user, working folder, environment, entry point, labels."""

from collections.abc import Sequence

import dagger

from ci.plan.layers import LIBRARIES_LAYER
from ci.plan.paths import PREFIX
from ci.plan.stages.image import ImageSpec
from ci.plan.system import PROFILE_PROGRAM, profile_arguments
from ci.stages.context import BuildContext
from ci.stages.image_stages import ImageStages
from ci.stages.layers import make_names


def build(stages: ImageStages, context: BuildContext) -> dagger.Container:
    """Finish the image."""
    layers, spec = stages.layers(), stages.plan.spec("image", ImageSpec)
    base = set_variables(stages.base_image(), spec)
    base = context.run_program(base, PROFILE_PROGRAM, profile_arguments(spec.env))
    if libraries := layers.pop(LIBRARIES_LAYER, None):
        # Before labels that name the Python: the layers are the same for all Pythons only on an equal container.
        names = (
            make_names(context, stages.container("base"), base, libraries) if spec.names_libraries else None
        )
        base = base.with_directory("/", stages.placed_libraries(context))
        base = base.with_directory("/", names) if names else base
    # What all images of a pair on one base have comes before their layers, so that the engine sets it once.
    return configure(unpack(describe(base, spec), list(layers.values())), spec)


def set_variables(base: dagger.Container, spec: ImageSpec) -> dagger.Container:
    """Set the variables that all images on a base have; adds no layer."""
    for name, value in spec.env:
        base = base.with_env_variable(name, value)
    return base


def describe(base: dagger.Container, spec: ImageSpec) -> dagger.Container:
    """Set the labels that all images on a base have; adds no layer."""
    for name, value in spec.base_labels:
        base = base.with_label(name, value)
    return base


def unpack(base: dagger.Container, layers: Sequence[dagger.Directory]) -> dagger.Container:
    """Copy the packed environment and what others add to it over a base, a layer each."""
    for layer in layers:
        base = base.with_directory(PREFIX, layer)
    return base


def configure(container: dagger.Container, spec: ImageSpec) -> dagger.Container:
    """Set what is an image's own: labels, user, working folder, command, port; adds no layer."""
    for name, value in spec.labels:
        container = container.with_label(name, value)
    container = container.with_workdir(spec.account.workdir).with_entrypoint(list(spec.entrypoint))
    container = container.with_default_args(list(spec.args))
    if spec.port:
        container = container.with_exposed_port(spec.port)
    # A devel image is for installing and building, so its user is root, as in NVIDIA's own.
    return container.with_user(spec.account.number) if spec.kind == "runtime" else container
