"""Check that a graph network trains: after a few steps on the CPU, the loss is smaller.

The adjacency is a SparseTensor if torch_sparse is installed, so that its compiled operators are used.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import torch  # type: ignore[import-not-found,unused-ignore]
from check import Facts, require, run_check
from torch_geometric import nn  # type: ignore[import-not-found,unused-ignore]

NODES, FEATURES, CLASSES = 64, 8, 3


def adjacency() -> tuple[Any, str]:
    """Return a ring as an adjacency, and its form."""
    ring = torch.arange(NODES)
    rows, columns = torch.cat([ring, (ring + 1) % NODES]), torch.cat([(ring + 1) % NODES, ring])
    if importlib.util.find_spec("torch_sparse") is None:
        return torch.stack([rows, columns]), "edge_index"
    sparse: Any = importlib.import_module("torch_sparse")
    return sparse.SparseTensor(row=rows, col=columns, sparse_sizes=(NODES, NODES)), "SparseTensor"


def network() -> Any:
    """Return a small graph network."""
    first, second = nn.GCNConv(FEATURES, 16), nn.SAGEConv(16, CLASSES)
    layers = [(first, "x, edges -> x"), torch.nn.ReLU(inplace=True), (second, "x, edges -> x")]
    return nn.Sequential("x, edges", layers)


def check() -> Facts:
    """Train the network."""
    torch.manual_seed(0)
    edges, form = adjacency()
    features, classes = torch.randn(NODES, FEATURES), torch.arange(NODES) * CLASSES // NODES
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss: Any = torch.nn.functional.cross_entropy(model(features, edges), classes)
        loss.backward()
        optimizer.step()
        losses.append(round(loss.item(), 4))
    require(losses[-1] < 0.9 * losses[0], f"the loss does not go down: {losses[0]} to {losses[-1]}")
    return {"edges": form, "first_loss": losses[0], "last_loss": losses[-1]}


if __name__ == "__main__":
    run_check(check)
