"""Distances of pictures in the features of networks, by the names that tables give them."""

from __future__ import annotations

import os

from invertdesc.evaluation.metrics import lpips_distance, vgg_distance
from invertdesc.evaluation.scores import Distance
from invertdesc.evaluation.vgg16 import load_vgg16


def load_distances(
    vgg16: str | os.PathLike[str] | None = None, *, lpips: bool = False
) -> dict[str, Distance]:
    """Load the distances that `evaluate` and `audit` take, by name.

    Args:
        vgg16: Weights of VGG16, for `"vgg"`; None leaves that out.
        lpips: Whether to load `"lpips"`, which its package brings.

    Raises:
        FileError: There are no such weights.
        MissingDependencyError: The package of LPIPS is not installed.

    >>> load_distances()
    {}
    """
    measures: dict[str, Distance] = {}
    if vgg16 is not None:
        measures["vgg"] = vgg_distance(load_vgg16(vgg16))
    if lpips:
        measures["lpips"] = lpips_distance()
    return measures
