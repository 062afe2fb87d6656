"""Tell the order or the kind of vectors by what they look like, where a store does not say."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from invertdesc.checking import Check, check
from invertdesc.features import LocalFeatures
from invertdesc.io._record import Array

ENOUGH = 3000  # vectors to judge by


def see_order(parts: Iterable[Array], name: str = "rootsift", width: int = 128) -> Check:
    """Compare vectors with the statistics of a descriptor in each order that is known.

    Args:
        parts: (N, width) of an image each; no more are taken than it needs.
        name: Of the descriptor; one form of SIFT stands for both.
        width: Numbers of a vector.

    Returns:
        What they look like; its `order` are the columns that bring them into our order.
    """
    taken: list[Array] = []
    count = 0
    for part in parts:
        taken.append(part.astype(np.float32))
        count += len(part)
        if count >= ENOUGH:
            break
    vectors = torch.from_numpy(np.concatenate(taken or [np.zeros((0, width), np.float32)]))
    vectors = vectors[vectors.isfinite().all(1)]
    return check(
        LocalFeatures(
            keypoints=torch.zeros(len(vectors), 2),
            descriptors=vectors,
            image_size=(1, 1),
            descriptor=name,
        )
    )


def reordered(vectors: Array, seen: Check) -> Array:
    """Return vectors in OpenCV's order, or as they are where no other was seen."""
    return vectors if seen.order is None else vectors[:, list(seen.order)]
