"""The configuration of a finished image: user, working folder, environment, entry point, labels; no layer."""

import dagger

from ci.plan.specs import ImageSpec


def configure(container: dagger.Container, spec: ImageSpec) -> dagger.Container:
    """Set what a container runtime reads; adds no layer."""
    for name, value in spec.env:
        container = container.with_env_variable(name, value)
    for name, value in spec.labels:
        container = container.with_label(name, value)
    container = container.with_workdir(spec.account.workdir).with_entrypoint(list(spec.entrypoint))
    container = container.with_default_args(list(spec.args))
    if spec.port:
        container = container.with_exposed_port(spec.port)
    # A devel image is for installing and building, so its user is root, as in NVIDIA's own.
    return container.with_user(spec.account.user) if spec.kind == "runtime" else container
