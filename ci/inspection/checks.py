"""List the checks that an image must pass, and what each needs: pure data, made from its plan."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from ci.config.fields import CheckName, Layer
from ci.inspection.circumstances import (
    AS_ANY_USER,
    AS_IS,
    AS_ROOT,
    FOREIGN_HOME,
    Circumstance,
    with_foreign_home,
    with_read_only_home,
    with_read_only_root,
)
from ci.plan.image_config import LABEL
from ci.plan.plan import Plan
from ci.plan.stages.image import ImageSpec
from ci.plan.stages.pack import PackSpec, list_patterns
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
    "torchcodec": f"{LABEL}.torchcodec",
    "av": f"{LABEL}.av",
    "opencv-python-headless": f"{LABEL}.opencv",
    "ray": f"{LABEL}.ray",
    "marimo": f"{LABEL}.marimo",
}


class CheckNeeds(FrozenModel):
    """What a check needs while it runs, and on which layers its result does not depend.

    - `memory_gb` is the memory of all its processes at their peak, in GB (10^9 bytes), `cores` how many it keeps busy.
    - `alone`: nothing else is checked meanwhile, as for one that takes all cores, opens a fixed port or has a time-out
      that a busy machine would exceed.
    - `seconds` is about how long it takes on an idle machine with two cores; those that take longest start first.
    - `independent_of` are layers without which it does the same: its program and what that imports or runs is in the
      layers below. Where such a layer only adds to the image below, the check's result there counts
      (`ci.inspection.check_runs`). A layer that is not listed is one that the check may depend on.
    """

    memory_gb: float
    cores: int = 1
    alone: bool = False
    seconds: float = 1.0
    independent_of: tuple[Layer, ...] = ()


_ADDED: tuple[Layer, ...] = ("ray", "marimo")  # on the environment with PyTorch and PyG


def _below(memory_gb: float, seconds: float, cores: int = 1) -> CheckNeeds:
    """Return the needs of a check of what lies below Ray and marimo."""
    return CheckNeeds(memory_gb=memory_gb, cores=cores, seconds=seconds, independent_of=_ADDED)


# Memory: peaks of all processes of a check, measured with torch 2.11 (BENCHMARKS.md) and rounded up; Ray, marimo, PyG
# and Triton are estimates.
CHECK_NEEDS: Mapping[CheckName, CheckNeeds] = MappingProxyType(
    {
        "versions": CheckNeeds(memory_gb=0.8, seconds=5),  # of all packages
        "imports": CheckNeeds(memory_gb=3.0, seconds=17),  # of all packages
        "standard_library": _below(0.1, 1),
        "pip_check": CheckNeeds(memory_gb=0.1, seconds=2),  # of all packages
        "train_step": _below(1.2, 10),
        "extension_ops": _below(1.0, 8),
        "no_root_needed": _below(0.1, 1),
        "cpp_extension_cpu": _below(2.2, 32),  # one C++ file with all of torch's headers
        "torch_compile_cpu": _below(1.3, 50),
        "cpp_extension_cuda": _below(3.0, 40, cores=2),  # ninja compiles a C++ and a CUDA file at once
        "extension_archs": _below(0.2, 2),
        "triton_compile": _below(1.0, 8),
        "cuda_libraries": _below(0.8, 5),
        "profiler_symbols": _below(0.8, 9),
        "pip_install": _below(0.2, 2),
        "conda_install": _below(0.3, 3),
        "variables": _below(0.1, 2),
        "user_places": _below(0.8, 5),
        "user_site": _below(0.3, 4),
        "certificates": _below(0.2, 12),
        "apt_install": _below(0.2, 3),
        "driver_mount": _below(0.1, 1),
        "video": _below(1.2, 8),
        # Ray gives itself 30 seconds to start, which no setting changes.
        "ray_task": CheckNeeds(memory_gb=2.5, alone=True, seconds=20, independent_of=("marimo",)),
        "marimo_page": CheckNeeds(memory_gb=0.5, seconds=6),
        "bytecode": CheckNeeds(memory_gb=0.2, seconds=10),  # of all packages
        "replace_packages": _below(0.3, 10),
        "completion": CheckNeeds(memory_gb=1.0, seconds=26),
        "cuda_link": _below(0.5, 4),
        "cmake_torch": _below(1.0, 3),
        "copied_packages": CheckNeeds(memory_gb=0.2, seconds=5),  # of all packages
        "conda_tools": _below(0.3, 36),
    }
)
_EXPECTED = "/run/expected.json"
_EXPECTED_VARIABLES = "/run/expected_variables.json"
_WITHOUT = "/run/bytecode.txt"


class Check(FrozenModel):
    """One check: the program in `ci/programs/checks`, its arguments, and texts that it gets as files, by path.

    With `reads_user` its program is also told the user that the image's configuration names (`--user`).
    `circumstance` is what is different from an image that starts by itself.
    """

    name: CheckName
    arguments: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    circumstance: Circumstance = AS_IS
    reads_user: bool = False

    @property
    def title(self) -> str:
        """Return the name of its result: `ray_task`, `ray_task as any user`."""
        return f"{self.name} {self.circumstance.name}".rstrip()

    @property
    def needs(self) -> CheckNeeds:
        """Return what it needs while it runs."""
        return CHECK_NEEDS[self.name]


_ALWAYS: tuple[CheckName, ...] = ("imports", "standard_library", "pip_check", "train_step", "extension_ops")


def checks_for(plan: Plan) -> tuple[Check, ...]:
    """List the checks of a plan's image in the order of the results; `run_all` decides when each starts."""
    image = plan.spec("image", ImageSpec)
    expect = json.dumps(expected_versions(plan), sort_keys=True)
    checks = [Check(name="versions", arguments=("--expect", _EXPECTED), texts=((_EXPECTED, expect),))]
    checks += [Check(name=name) for name in _ALWAYS]
    if image.kind == "runtime":
        checks.append(Check(name="no_root_needed", reads_user=True))
    checks += [Check(name="cpp_extension_cpu"), Check(name="torch_compile_cpu")]
    if image.kind == "runtime":
        checks.append(Check(name="torch_compile_cpu", circumstance=AS_ANY_USER))
    if plan.cell.cuda != "cpu":
        checks += _cuda_checks(plan, image.all_labels[f"{LABEL}.archs"])
    checks += [Check(name="profiler_symbols"), Check(name="pip_install")]
    if image.kind == "devel":
        checks.append(Check(name="conda_install"))
    checks += _environment_checks(plan, image)
    checks += _user_checks(plan)
    if plan.has("video"):
        checks.append(Check(name="video"))
    if plan.has("ray"):
        checks.append(Check(name="ray_task"))
        if image.kind == "runtime":
            checks.append(Check(name="ray_task", circumstance=AS_ANY_USER))
    if plan.has("marimo"):
        checks += [Check(name="marimo_page"), Check(name="completion")]
    return tuple(check for check in checks if check.name in plan.checks)


def _user_checks(plan: Plan) -> list[Check]:
    """List the checks of what the image's user, root and any other user find, in the circumstances that matter."""
    image = plan.spec("image", ImageSpec)
    account = image.account
    own = [("HOME", account.home), ("USER", account.user), ("LOGNAME", account.user)]
    shared = json.dumps(
        {name: value for name, value in image.env if (name, value) not in own}, sort_keys=True
    )
    folders = (account.home, account.workdir)
    shadow = f"{FOREIGN_HOME}/.local/lib/python{plan.cell.python}/site-packages/numpy/__init__.py"
    foreign_home = with_foreign_home(account)
    return [
        Check(
            name="variables",
            arguments=("--expect", _EXPECTED_VARIABLES, "--user", account.user),
            texts=((_EXPECTED_VARIABLES, shared),),
            circumstance=AS_ROOT,
        ),
        Check(name="user_places", arguments=folders),
        Check(name="user_places", arguments=("--torch", *folders), circumstance=AS_ANY_USER),
        Check(name="user_places", arguments=(account.workdir,), circumstance=foreign_home),
        Check(name="user_places", arguments=(account.workdir,), circumstance=with_read_only_home(account)),
        Check(name="user_places", arguments=("--torch",), circumstance=with_read_only_root(account)),
        Check(name="user_site"),
        Check(name="user_site", circumstance=AS_ANY_USER),
        Check(
            name="user_site",
            texts=((shadow, 'raise ImportError("numpy of another home folder")\n'),),
            circumstance=foreign_home,
        ),
        Check(name="certificates", circumstance=AS_ROOT),
        Check(name="apt_install", circumstance=AS_ROOT),
        *([Check(name="driver_mount", circumstance=AS_ROOT)] if plan.cell.cuda != "cpu" else []),
    ]


def _cuda_checks(plan: Plan, archs: str) -> list[Check]:
    """List the checks of compiled CUDA code; `archs` are GPU architectures such as `8.0 9.0+PTX`."""
    checks = [Check(name="cpp_extension_cuda", arguments=("--expect", archs))]
    if plan.has("wheels"):
        names = tuple(pin.split("==")[0] for pin in plan.spec("pyg", PygSpec).compiled)
        checks.append(Check(name="extension_archs", arguments=(*names, "--expect", archs)))
    return [*checks, Check(name="triton_compile"), Check(name="cuda_libraries")]


def _environment_checks(plan: Plan, image: ImageSpec) -> list[Check]:
    """List the checks of how the environment lies in the image: bytecode, links, conda's lists, names for linkers."""
    pack, checks = plan.spec("pack", PackSpec), []
    if pack.without_bytecode is not None:
        text = list_patterns(pack.without_bytecode)
        arguments = ("--without", f"@{_WITHOUT}")
        checks.append(Check(name="bytecode", arguments=arguments, texts=((_WITHOUT, text),)))
    if pack.libraries:
        checks += [Check(name="replace_packages"), Check(name="copied_packages")]
    if image.names_libraries:
        checks.append(Check(name="cuda_link"))
        if image.kind == "devel":
            checks.append(Check(name="cmake_torch", arguments=_cmake_arguments(image.all_labels)))
    if image.kind == "devel" and pack.conda:
        checks.append(Check(name="conda_tools"))
    return checks


def _cmake_arguments(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return `--torch` where the compiler is of the toolkit's CUDA version: torch's files for CMake demand it."""
    compiler = labels[f"{LABEL}.toolkit-compiler"].removeprefix("nvcc ")
    same = compiler.split(".")[:2] == labels[f"{LABEL}.toolkit"].split(".")[:2]
    return ("--torch",) if same else ()


def expected_versions(plan: Plan) -> dict[str, str]:
    """Return the versions that the image must have, by package: `{"torch": "2.11.0+cu128", …}`."""
    labels = plan.spec("image", ImageSpec).all_labels
    versions = {
        name: labels[label].removesuffix(" (source)").removeprefix("nvcc ")
        for name, label in VERSION_LABELS.items()
        if label in labels
    }
    extensions = plan.spec("pyg", PygSpec)
    pins = [*extensions.compiled, *(f"{wheel.name}=={wheel.version}" for wheel in extensions.wheels)]
    return versions | dict(pin.split("==", 1) for pin in pins)
