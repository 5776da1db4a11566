"""What an image promises by its target, and what the checks are told: pure data."""

import json

from ci.documents import Document
from ci.pair import LABEL
from ci.plan import Plan
from ci.specs import ImageSpec, PygSpec, WheelsSpec

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


class Promise(Document):
    """One check: the program in `ci/programs/promises` and its arguments."""

    name: str
    arguments: tuple[str, ...] = ()


def promises(plan: Plan) -> tuple[Promise, ...]:
    """List the promises of a plan's image in the order in which they are checked."""
    labels = dict(plan.spec("image", ImageSpec).labels)
    compiled = plan.spec("wheels", WheelsSpec) if plan.has("wheels") else None
    found = [Promise(name="versions", arguments=("--expect", json.dumps(expected(plan), sort_keys=True)))]
    first = ("imports", "standard_library", "pip_check", "train_step", "extension_ops")
    found += [Promise(name=name) for name in first]
    if plan.spec("image", ImageSpec).kind == "runtime":
        found.append(Promise(name="no_root_needed"))
    found += [Promise(name="cpp_extension_cpu"), Promise(name="torch_compile_cpu")]
    if plan.cell.cuda != "cpu":
        archs = labels[f"{LABEL}.archs"]
        found.append(Promise(name="cpp_extension_cuda", arguments=("--arch-list", archs)))
        if compiled:
            names = tuple(pin.split("==")[0] for pin in plan.spec("pyg", PygSpec).compiled)
            found.append(Promise(name="extension_archs", arguments=(*names, "--expect", archs)))
        found += [Promise(name="triton_compile"), Promise(name="cuda_libraries")]
    found += [Promise(name="profiler_symbols"), Promise(name="pip_install")]
    if plan.spec("image", ImageSpec).kind == "devel":
        found.append(Promise(name="conda_install"))
    if plan.has("ray"):
        found.append(Promise(name="ray_task"))
    if plan.has("marimo"):
        found.append(Promise(name="marimo_page"))
    return tuple(promise for promise in found if promise.name in plan.promised)


def expected(plan: Plan) -> dict[str, str]:
    """Return the versions that must be found in the image."""
    labels = dict(plan.spec("image", ImageSpec).labels)
    found = {name: labels[label] for name, label in LABELLED.items() if label in labels}
    found = {name: version.removesuffix(" (source)").removeprefix("nvcc ") for name, version in found.items()}
    extensions = plan.spec("pyg", PygSpec)
    pins = [*extensions.compiled, *(f"{wheel.name}=={wheel.version}" for wheel in extensions.wheels)]
    return found | dict(pin.split("==", 1) for pin in pins)
