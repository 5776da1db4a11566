"""Plans synthetic matrices in the pure core: `python -m benchmarks.plans` writes its part of BENCHMARKS.md."""

import time

from benchmarks.page import machine, put
from ci.config.sources import read_sources
from ci.history.history import History
from ci.plan.inputs import PlanInputs
from ci.plan.planner import Planner
from ci.sweep.preview import preview
from tests.unit.plans import code, locks, matrix_with

CUDAS = [f"{12 + number // 10}.{number % 10}.0" for number in range(42)]
PYTHONS = [f"3.{minor}" for minor in range(10, 50)]
SIZES = (1_250, 2_500, 5_000, 10_000)
TARGETS = 6
ROUNDS = 3


def synthetic(cells: int) -> PlanInputs:
    """Make a matrix of at least so many cells, each pair with its own CUDA and Python version."""
    pairs = [(cuda, python) for cuda in CUDAS for python in PYTHONS][: cells // TARGETS + 1]
    text = "".join(
        f'[[pairs]]\ncuda = "{cuda}"\npython = "{python}"\nphases = {{ runtime = 1, devel = 1 }}\n'
        for cuda, python in pairs
    )
    pins = 'torch = "2.10.0"\ntorchvision = "0.25.0"\ntorchaudio = "2.10.0"\n'
    for cuda in CUDAS:
        text += f'[cuda."{cuda}"]\nwheel_tag = "cu{"".join(cuda.split(".")[:2])}"\n[torch.registries."{cuda}"]\n{pins}'
    text += "[archs.registries]\n" + "".join(f'"{cuda}" = "8.0+PTX"\n' for cuda in CUDAS)
    toolkits = "".join(
        f'[toolkit."{cuda}"]\nprovider = "wheels"\ncompiler = "13.1.115"\nwheels = ["nvidia-cuda-nvcc==13.1.115"]\n'
        for cuda in CUDAS
    )
    sources = read_sources("registries", toolkits)
    return PlanInputs(
        matrix=matrix_with(text), sources_name="registries", sources=sources, locks=locks(), code=code()
    )


def timed(inputs: PlanInputs, cells: int) -> tuple[float, float]:
    """Plan the first cells of a matrix with all digests, then survey the plans; seconds of CPU for each."""
    chosen = inputs.matrix.cells[:cells]
    began = time.process_time()
    planner = Planner(inputs, {})
    plans = [planner.plan(cell) for cell in chosen]
    assert all(plan.digest for plan in plans)
    planned = time.process_time()
    assert len(preview(plans, {}, History()).cells) == cells
    return planned - began, time.process_time() - planned


def main() -> None:
    """Measure each size, and take the best of some rounds."""
    rows = []
    for cells in SIZES:
        inputs = synthetic(cells)
        best = min(timed(inputs, cells) for _ in range(ROUNDS))
        rows.append(f"| {cells:,} | {best[0]:.2f} | {best[1]:.2f} | {sum(best) / cells * 1e6:.0f} |")
        print(rows[-1], flush=True)
    text = [
        "## Planning",
        "",
        f"`python -m benchmarks.plans`, {machine()}; the best of {ROUNDS} rounds. Synthetic matrices,",
        "planned with all digests, then laid side by side as `plan` prints them; no engine, no network.",
        "",
        "| cells | plans, s of CPU | survey, s of CPU | µs a cell |",
        "|---|---|---|---|",
        *rows,
    ]
    put("plans", "\n".join(text))


if __name__ == "__main__":
    main()
