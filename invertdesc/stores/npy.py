"""Pairs of `.npy` files, of which a `layout.json` beside them says what is in them.

    {
      "keypoints": "{}_kp.npy",
      "descriptors": "{}_desc.npy",
      "columns": ["x", "y", "diameter", "degrees"],
      "origin": "centre",
      "image_size": [480, 640]
    }

`{}` stands for the image's name, and may be in a folder. Columns that are of no use are called `-`.
`origin` says whether whole numbers are pixel centres or corners; it and `image_size`, (H, W) of all
images, `descriptor` and `transposed`, for vectors (D, N), may be left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.features._checks import checked_size
from invertdesc.features.npz import read_array
from invertdesc.sources import walk
from invertdesc.stores._feat import read_json
from invertdesc.stores.base import Store
from invertdesc.stores.record import Array, Record, check_count, check_rows_alike

NAME = "layout.json"
COLUMNS = ("x", "y", "sigma", "diameter", "degrees", "radians", "score", "-")
KEYS = {"keypoints", "descriptors", "columns"}
OPTIONAL = {"origin", "image_size", "descriptor", "transposed"}


def recognise(file: Path, head: bytes) -> bool:
    """Say whether a file is called as a layout, and begins as one."""
    return file.name == NAME and head.lstrip().startswith(b"{") and b'"columns"' in head


class NpyStore(Store):
    """Read pairs of .npy files in the folder of their layout, and below."""

    kind: ClassVar[str] = "NumPy arrays by a layout.json"

    def _open(self) -> None:
        """Read the layout.

        Raises:
            FileError: Damaged.
            InputError: It does not say what it must.
        """
        layout = read_json(self.path)
        if not isinstance(layout, dict) or not layout.keys() >= KEYS:
            raise FileError(f"Expected {', '.join(sorted(KEYS))} in {self.path}, got others.")
        unknown = sorted(layout.keys() - KEYS - OPTIONAL)
        if unknown:
            raise InputError(f"Expected {', '.join(sorted(KEYS | OPTIONAL))}, got {unknown[0]!r}.")
        self._columns = _columns(layout["columns"])
        self._patterns = {
            part: _pattern(layout[part], part) for part in ("keypoints", "descriptors")
        }
        self._origin = layout.get("origin", "centre")
        if self._origin not in ("centre", "corner"):
            raise InputError(f"Expected an origin centre or corner, got {self._origin!r}.")
        size = layout.get("image_size")
        self._size = None if size is None else checked_size(size)
        self._named = _text(layout, "descriptor")
        self._transposed = layout.get("transposed", False) is True

    def names(self) -> Iterator[str]:
        """Yield the names of all images, as the files of keypoints tell them, sorted."""
        before, _, after = self._patterns["keypoints"].partition("{}")
        for file in walk(self.path.parent):
            if file.startswith(before) and file.endswith(after):
                name = file[len(before) : len(file) - len(after)]
                if name and len(before) + len(after) < len(file):
                    yield name

    def _record(self, name: str) -> Record:
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError("Expected an image of that name, found none.")
        points, vectors = (
            read_array(self.path.parent / pattern.replace("{}", name))
            for pattern in self._patterns.values()
        )
        for part, array in (("keypoints", points), ("descriptors", vectors)):
            if array.ndim != 2 or array.dtype.kind not in "fiub":
                raise InputError(f"Expected {part} as numbers of two axes, got {array.shape}.")
        if points.shape[1] != len(self._columns):
            raise InputError(
                f"Expected keypoints of {len(self._columns)} columns, as the layout says, got "
                f"{points.shape[1]}."
            )
        if self._transposed:
            vectors = vectors.T
        check_rows_alike(len(points), len(vectors))
        check_count(*vectors.shape)
        return self._as_record(points.astype(np.float64), vectors)

    def _as_record(self, points: Array, vectors: Array) -> Record:
        column = {name: points[:, k] for k, name in enumerate(self._columns)}
        xy = np.stack([column["x"], column["y"]], 1)
        degrees = column.get("degrees")
        return Record(
            xy=xy - 0.5 if self._origin == "corner" else xy,
            vectors=vectors.view(np.uint8) if vectors.dtype == bool else vectors,
            image_size=self._size,
            scales=column.get("sigma", column.get("diameter")),
            diameters="diameter" in column,
            orientations=column.get("radians") if degrees is None else np.deg2rad(degrees),
            scores=column.get("score"),
            descriptor=self._named,
            producer="numpy",
            origin=self._origin,
        )


def _columns(layout: Any) -> list[str]:
    known = ", ".join(COLUMNS)
    if not isinstance(layout, list) or not all(name in COLUMNS for name in layout):
        raise InputError(f"Expected columns among {known}, got {layout!r}.")
    used = [name for name in layout if name != "-"]
    clash = {"sigma", "diameter"} <= set(used) or {"degrees", "radians"} <= set(used)
    if clash or len(set(used)) < len(used) or not {"x", "y"} <= set(used):
        raise InputError(f"Expected columns x, y and each of the others once, got {layout!r}.")
    return layout


def _pattern(layout: Any, part: str) -> str:
    """Return the pattern of a file's path in the folder."""
    good = isinstance(layout, str) and layout.count("{}") == 1 and layout.endswith(".npy")
    if not good or ".." in Path(layout).parts or Path(layout).is_absolute():
        raise InputError(f"Expected {part} as a path such as '{{}}_{part}.npy', got {layout!r}.")
    return str(layout)


def _text(layout: dict[str, Any], key: str) -> str | None:
    found = layout.get(key)
    if found is not None and not isinstance(found, str):
        raise InputError(f"Expected a text for {key!r}, got {found!r}.")
    return found
