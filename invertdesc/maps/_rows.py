"""The features of a map's image, by the numbers that its keypoints have in the map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invertdesc.features.local import LocalFeatures
from invertdesc.maps._distortion import Array
from invertdesc.maps.model import MapImage
from invertdesc.stores.base import Store

_NEAR = 1.0  # pixels: stores keep positions to half a pixel, or leave keypoints out


@dataclass(frozen=True, eq=False)
class Described:
    """Features of an image.

    Attributes:
        features: As the store has them.
        rows: (n,) int64, the row of each of the map's keypoints in them; -1 for none.
    """

    features: LocalFeatures
    rows: Array


def match_rows(store: Store, image: MapImage) -> Described:
    """Read the features of an image.

    They go by their order where there are as many as keypoints, so that a model of undistorted
    pictures can be read with the features of the original ones; else by position.

    Raises:
        FileError: The store is damaged.
        InputError: The store does not have the image.
    """
    features = store.load(image.name)
    if len(features) == len(image.keypoints):
        return Described(features, np.arange(len(features)))
    rows = np.full(len(image.keypoints), -1)
    if len(features):
        from scipy.spatial import cKDTree

        far, near = cKDTree(features.keypoints.numpy()).query(image.keypoints)
        rows[far < _NEAR] = near[far < _NEAR]
    return Described(features, rows)
