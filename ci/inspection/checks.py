"""List the checks that an image must pass: pure data, made from its plan."""

import json

from ci.plan.image_config import LABEL
from ci.plan.plan import Plan
from ci.plan.stages.image import ImageSpec
from ci.plan.stages.pyg import PygSpec
from ci.util.model import FrozenModel

# The name that the check `versions` uses, and the label of the image that holds the expected version.
VERSION_LABELS = {
    "python": f"{LABEL}.python",
    "torch": f"{LABEL}.torch",
    "torchvision": f"{LABEL}.torchvision",
    "torchaudio": f"{LABEL}.torchaudio",
    "torch-geometric": f"{LABEL}.torch-geometric",
    "toolkit": f"{LABEL}.toolkit",
    "nvcc": f"{LABEL}.toolkit-compiler",
    "ray": f"{LABEL}.ray",
    "marimo": f"{LABEL}.marimo",
}


_EXPECTED = "/run/expected.json"


class Check(FrozenModel):
    """One check: the program in `ci/programs/checks`, its arguments, and texts that it gets as files, by path."""

    name: str
    arguments: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


def checks_for(plan: Plan) -> tuple[Check, ...]:
    """List the checks of a plan's image in the order in which they run."""
    image = plan.spec("image", ImageSpec)
    expect = json.dumps(expected_versions(plan), sort_keys=True)
    checks = [Check(name="versions", arguments=("--expect", _EXPECTED), texts=((_EXPECTED, expect),))]
    always = ("imports", "standard_library", "pip_check", "train_step", "extension_ops")
    checks += [Check(name=name) for name in always]
    if image.kind == "runtime":
        checks.append(Check(name="no_root_needed"))
    checks += [Check(name="cpp_extension_cpu"), Check(name="torch_compile_cpu")]
    if plan.cell.cuda != "cpu":
        checks += _cuda_checks(plan, dict(image.labels)[f"{LABEL}.archs"])
    checks += [Check(name="profiler_symbols"), Check(name="pip_install")]
    if image.kind == "devel":
        checks.append(Check(name="conda_install"))
    if plan.has("ray"):
        checks.append(Check(name="ray_task"))
    if plan.has("marimo"):
        checks.append(Check(name="marimo_page"))
    return tuple(check for check in checks if check.name in plan.checks)


def _cuda_checks(plan: Plan, archs: str) -> list[Check]:
    """List the checks of compiled CUDA code; `archs` are GPU architectures such as `8.0 9.0+PTX`."""
    checks = [Check(name="cpp_extension_cuda", arguments=("--arch-list", archs))]
    if plan.has("wheels"):
        names = tuple(pin.split("==")[0] for pin in plan.spec("pyg", PygSpec).compiled)
        checks.append(Check(name="extension_archs", arguments=(*names, "--expect", archs)))
    return [*checks, Check(name="triton_compile"), Check(name="cuda_libraries")]


def expected_versions(plan: Plan) -> dict[str, str]:
    """Return the versions that the image must have, by package: `{"torch": "2.11.0+cu128", …}`."""
    labels = dict(plan.spec("image", ImageSpec).labels)
    versions = {
        name: labels[label].removesuffix(" (source)").removeprefix("nvcc ")
        for name, label in VERSION_LABELS.items()
        if label in labels
    }
    extensions = plan.spec("pyg", PygSpec)
    pins = [*extensions.compiled, *(f"{wheel.name}=={wheel.version}" for wheel in extensions.wheels)]
    return versions | dict(pin.split("==", 1) for pin in pins)
