"""Check that the compiled operators of PyTorch Geometric's extensions compute the right numbers on the CPU."""

from __future__ import annotations

import argparse
import importlib
from typing import TYPE_CHECKING, Any

import torch  # type: ignore[import-not-found,unused-ignore]
from check import CheckError, Facts, require, run_check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def require_equal(what: str, found: Any, wanted: Sequence[Any]) -> None:
    """Fail the check unless an operator's result is the expected one."""
    tensor = torch.as_tensor(wanted, dtype=found.dtype)
    require(
        found.shape == tensor.shape and torch.allclose(found, tensor),
        f"{what}: {found.tolist()}, not {wanted}",
    )


def scatter(m: Any) -> None:
    """Check torch_scatter."""
    values, index = torch.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True), torch.tensor([0, 1, 0, 1])
    added = m.scatter_add(values, index)
    require_equal("scatter_add", added, [4.0, 6.0])
    (added * torch.tensor([1.0, 2.0])).sum().backward()
    require_equal("gradient of scatter_add", values.grad, [1.0, 2.0, 1.0, 2.0])
    maximum, where = m.scatter_max(values.detach(), index)
    require_equal("scatter_max", maximum, [3.0, 4.0])
    require_equal("arguments of scatter_max", where, [2, 3])
    require_equal("segment_csr", m.segment_csr(values.detach(), torch.tensor([0, 2, 4])), [3.0, 7.0])
    require_equal("segment_coo", m.segment_coo(values.detach(), torch.tensor([0, 0, 0, 1])), [6.0, 4.0])


def sparse(m: Any) -> None:
    """Check torch_sparse."""
    row, column, value = torch.tensor([0, 0, 1]), torch.tensor([0, 2, 1]), torch.tensor([1.0, 2.0, 3.0])
    matrix = m.SparseTensor(row=row, col=column, value=value, sparse_sizes=(2, 3))
    require_equal("SparseTensor @ dense", matrix @ torch.tensor([[1.0], [10.0], [100.0]]), [[201.0], [30.0]])
    require_equal("SparseTensor @ SparseTensor", (matrix @ matrix.t()).to_dense(), [[5.0, 0.0], [0.0, 9.0]])
    require_equal("sum of rows", matrix.sum(dim=1), [3.0, 3.0])


def cluster(m: Any) -> None:
    """Check torch_cluster."""
    points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    require_equal(
        "knn", m.knn(points, torch.tensor([[0.9], [10.2]]), 2)[1].view(2, 2).sort().values, [[0, 1], [2, 3]]
    )
    edges = m.radius_graph(points, r=2.0)
    require_equal("radius_graph", edges[:, edges[0].argsort()], [[0, 1, 2, 3], [1, 0, 3, 2]])
    require_equal("fps", m.fps(points, ratio=0.5, random_start=False), [0, 3])
    require_equal("grid_cluster", m.grid_cluster(points, torch.tensor([5.0])), [0, 0, 2, 2])
    pairs = m.graclus_cluster(torch.tensor([0, 1, 2, 3]), torch.tensor([1, 0, 3, 2]))
    require_equal("graclus_cluster", pairs, [0, 0, 2, 2])
    require_equal(
        "random_walk",
        m.random_walk(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0]), 2),
        [[0, 1, 0]],
    )


def spline_conv(m: Any) -> None:
    """Check torch_spline_conv."""
    features, weight = torch.tensor([[1.0], [2.0]]), torch.tensor([[[1.0]], [[5.0]]])
    edges, where = torch.tensor([[0, 1], [1, 0]]), torch.tensor([[0.25], [0.5]])
    size, is_open = torch.tensor([2]), torch.tensor([1], dtype=torch.uint8)
    basis, _ = m.spline_basis(where, size, is_open, 1)
    require_equal("spline_basis", basis, [[0.75, 0.25], [0.5, 0.5]])
    arguments = (features, edges, where, weight, size, is_open)
    # The second node sends 2 · (½·1 + ½·5) to the first, the first 1 · (¾·1 + ¼·5) to the second.
    found = m.spline_conv(*arguments, degree=1, norm=False, root_weight=None, bias=None)
    require_equal("spline_conv", found, [[4.0], [3.0]])


CHECKS: dict[str, Callable[[Any], None]] = {
    "torch_scatter": scatter,
    "torch_sparse": sparse,
    "torch_cluster": cluster,
    "torch_spline_conv": spline_conv,
}


def check() -> Facts:
    """Check the named extensions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extensions", nargs="*", default=list(CHECKS), metavar=" | ".join(CHECKS))
    names = [name.replace("-", "_") for name in parser.parse_args().extensions]
    for name in names:
        if name not in CHECKS:
            raise CheckError(f"no check for {name}: {', '.join(CHECKS)}")
        CHECKS[name](importlib.import_module(name))
    return {"extensions": names}


if __name__ == "__main__":
    run_check(check)
