"""What is in a map, and what is missing."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from invertdesc._text import printable
from invertdesc.maps.map import Map
from invertdesc.maps.open import open_map


@dataclass(frozen=True)
class MapSummary:
    """What is in a map.

    Attributes:
        path: Folder of the model.
        kind: What wrote it, in words.
        images: How many.
        cameras: How many images each camera model took, by its name.
        points: 3D points.
        observations: Keypoints that show points.
        track: Observations of a point, on average.
        keypoints: Keypoints of images, with and without a point.
        colored: Whether points have colours: not all black.
        features: Where the features of images are; None where none were found.
        descriptor: What the vectors are.
        with_features: Images that have features.
        missing: What is not there of what views need, in words.
        notes: What else there is to know, a sentence each.
    """

    path: Path
    kind: str
    images: int
    cameras: dict[str, int]
    points: int
    observations: int
    track: float
    keypoints: int
    colored: bool
    features: Path | None
    descriptor: str | None
    with_features: int
    missing: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Lay out what was found, a line each."""
        cameras = ", ".join(f"{count:,} {name}" for name, count in self.cameras.items())
        features = "none" if self.features is None else f"{self.features}"
        lines = [
            ("images", f"{self.images:,} ({cameras})"),
            ("points", f"{self.points:,}" + (", with colours" if self.colored else "")),
            ("observations", f"{self.observations:,}, {self.track:.1f} per point"),
            ("keypoints", f"{self.keypoints:,}"),
            ("features", f"{features}, of {self.with_features:,} images"),
            ("descriptor", self.descriptor or "none"),
            ("missing", ", ".join(self.missing) or "nothing"),
            *(("note", note) for note in self.notes),
        ]
        rows = [f"  {title:<14} {printable(value)}" for title, value in lines]
        return "\n".join([f"{self.kind}: {printable(self.path)}", *rows])

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON takes it."""
        features = None if self.features is None else str(self.features)
        return {**asdict(self), "path": str(self.path), "features": features}


def inspect_map(source: Map | str | os.PathLike[str]) -> MapSummary:
    r"""Say what is in a map, and what is missing.

    Args:
        source: An open map, or the path of one as `open_map` takes it.

    Raises:
        FileError: No map, or a damaged one.
        InputError: Files that do not fit each other.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "cameras.txt").write_text("1 SIMPLE_PINHOLE 64 48 50 32 24\n")
    ...     _ = Path(folder, "images.txt").write_text("1 1 0 0 0 0 0 4 1 front.jpg\n\n")
    ...     Path(folder, "points3D.txt").touch()
    ...     inspect_map(folder).missing
    ('descriptors', 'colors')
    """
    if not isinstance(source, Map):
        with open_map(source) as opened:
            return inspect_map(opened)
    model, store = source.model, source.store
    names = set() if store is None else set(store.names())
    description = None if store is None else store.description
    missing = ["descriptors"] if description is None or not description.dim else []
    missing += (
        [] if description is None else [name for name in description.missing if name != "scores"]
    )
    seen = np.diff(model.starts)
    return MapSummary(
        path=source.path,
        kind=model.kind,
        images=len(model.images),
        cameras=dict(Counter(image.camera.model for image in model.images)),
        points=len(model.xyz),
        observations=len(model.seen_by),
        track=float(seen.mean()) if len(seen) else 0.0,
        keypoints=sum(len(image.keypoints) for image in model.images),
        colored=bool(model.colors.any()),
        features=None if store is None else store.path,
        descriptor=None if description is None else description.descriptor,
        with_features=sum(image.name in names for image in model.images),
        missing=tuple(dict.fromkeys(missing + ([] if model.colors.any() else ["colors"]))),
        notes=model.notes,
    )
