"""Layers that images share: read from the manifests that a real registry on loopback was sent."""

import json
import urllib.request
from pathlib import Path

from tests.engine.conftest import SmallStack, succeed
from tests.stand_ins import small_stack

PAIR = ("--cuda=cpu", "--python=3.13")


def published(
    small: SmallStack,
    registry: int,
    target: str,
    tag: str,
    matrix: Path | None = None,
    pair: tuple[str, ...] = PAIR,
) -> list[str]:
    """Publish an image and return its layers' digests."""
    succeed(
        *small.words(matrix=matrix),
        "build",
        *pair,
        f"--target={target}",
        "publish",
        f"--address=127.0.0.1:{registry}/layers:{tag}",
    )
    return layers(registry, tag)


def layers(registry: int, tag: str) -> list[str]:
    """Return the digests of a published image's layers."""
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    request = urllib.request.Request(f"http://127.0.0.1:{registry}/v2/layers/manifests/{tag}", headers=accept)
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - http, on loopback
        return [layer["digest"] for layer in json.load(answer)["layers"]]


def test_runtimes_are_deltas_of_each_other(small: SmallStack, registry: int) -> None:
    runtime = published(small, registry, "runtime", "runtime")
    ray = published(small, registry, "ray-runtime", "ray")
    marimo = published(small, registry, "marimo-runtime", "marimo")
    assert ray[: len(runtime)] == runtime
    assert marimo[: len(ray)] == ray
    assert (len(ray) - len(runtime), len(marimo) - len(ray)) == (1, 1)


def test_a_new_ray_leaves_the_layers_below_untouched(
    small: SmallStack, registry: int, tmp_path: Path
) -> None:
    newer = small_stack.matrix_with(tmp_path / "matrix.toml", ray=small_stack.NEWER)
    before = published(small, registry, "ray-runtime", "before")
    after = published(small, registry, "ray-runtime", "after", newer)
    assert before[:-1] == after[:-1]
    assert before[-1] != after[-1]
    devel_before = published(small, registry, "ray-devel", "devel-before")
    devel_after = published(small, registry, "ray-devel", "devel-after", newer)
    assert devel_before[:-1] == devel_after[:-1]


def test_devel_and_runtime_images_share_the_layers_of_the_environment(
    small: SmallStack, registry: int
) -> None:
    runtime = published(small, registry, "ray-runtime", "shared-runtime")
    devel = published(small, registry, "ray-devel", "shared-devel")
    assert devel[-3:] == runtime[-3:], "the libraries, the environment, and Ray"
    assert not set(devel[1:-3]) & set(runtime[1:-3]), "above Debian's, the bases are their own"


def test_both_pythons_of_a_line_share_the_layer_of_cudas_libraries(small: SmallStack, registry: int) -> None:
    line = ("--cuda=12.8.1",)
    one, two = (
        published(small, registry, "runtime", f"libraries-{python}", pair=(*line, f"--python={python}"))
        for python in ("3.13", "3.14")
    )
    assert one[:-1] == two[:-1], "the base, and the libraries"
    assert one[-1] != two[-1], "the environment"
