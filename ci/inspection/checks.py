"""What an image promises by its target, and what the checks are told: pure data."""

import json

from ci.plan.image_config import LABEL
from ci.plan.plan import Plan
from ci.plan.stages.image import ImageSpec
from ci.plan.stages.pyg import PygSpec
from ci.plan.stages.wheels import WheelsSpec
from ci.util.model import FrozenModel

# The name that the check of versions uses, and the label that holds the expectation.
LABELLED = {
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


class Check(FrozenModel):
    """One check: the program in `ci/programs/promises` and its arguments."""

    name: str
    arguments: tuple[str, ...] = ()


def checks_for(plan: Plan) -> tuple[Check, ...]:
    """List the promises of a plan's image in the order in which they are checked."""
    labels = dict(plan.spec("image", ImageSpec).labels)
    compiled = plan.spec("wheels", WheelsSpec) if plan.has("wheels") else None
    found = [Check(name="versions", arguments=("--expect", json.dumps(expected(plan), sort_keys=True)))]
    first = ("imports", "standard_library", "pip_check", "train_step", "extension_ops")
    found += [Check(name=name) for name in first]
    if plan.spec("image", ImageSpec).kind == "runtime":
        found.append(Check(name="no_root_needed"))
    found += [Check(name="cpp_extension_cpu"), Check(name="torch_compile_cpu")]
    if plan.cell.cuda != "cpu":
        archs = labels[f"{LABEL}.archs"]
        found.append(Check(name="cpp_extension_cuda", arguments=("--arch-list", archs)))
        if compiled:
            names = tuple(pin.split("==")[0] for pin in plan.spec("pyg", PygSpec).compiled)
            found.append(Check(name="extension_archs", arguments=(*names, "--expect", archs)))
        found += [Check(name="triton_compile"), Check(name="cuda_libraries")]
    found += [Check(name="profiler_symbols"), Check(name="pip_install")]
    if plan.spec("image", ImageSpec).kind == "devel":
        found.append(Check(name="conda_install"))
    if plan.has("ray"):
        found.append(Check(name="ray_task"))
    if plan.has("marimo"):
        found.append(Check(name="marimo_page"))
    return tuple(promise for promise in found if promise.name in plan.checks)


def expected(plan: Plan) -> dict[str, str]:
    """Return the versions that must be found in the image."""
    labels = dict(plan.spec("image", ImageSpec).labels)
    found = {name: labels[label] for name, label in LABELLED.items() if label in labels}
    found = {name: version.removesuffix(" (source)").removeprefix("nvcc ") for name, version in found.items()}
    extensions = plan.spec("pyg", PygSpec)
    pins = [*extensions.compiled, *(f"{wheel.name}=={wheel.version}" for wheel in extensions.wheels)]
    return found | dict(pin.split("==", 1) for pin in pins)
