"""Read OpenMVG's `<image>.feat` and `.desc`, `image_describer.json` and `sfm_data.json`.

Two describers write SIFT, with the same kind of regions and RootSIFT as bytes, multiplied by 512.
`SIFT_Image_describer`, the default, writes VLFeat's vectors without changes.
`SIFT_Anatomy_Image_describer` writes the 4 x 4 grid by columns. `image_describer.json` has the name
of the describer. If it is missing, the default is assumed, and corrected if the vectors show the
other order.

Two more write AKAZE: numbers (`AKAZE_Float_Regions`) and bits (`AKAZE_Binary_Regions`).

Source: OpenMVG's `SIFT_describer.hpp` and `sift_DescriptorExtractor.hpp`, for the two orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from invertdesc.errors import InputError
from invertdesc.stores import _akaze
from invertdesc.stores._feat import WIDTH, nearest, pictures, read_json, read_pair, size_of
from invertdesc.stores._files import FileStore
from invertdesc.stores.record import Array, Record
from invertdesc.stores.vlfeat import from_openmvg, from_vlfeat

Order: TypeAlias = Callable[[Array], Array]

DEFAULT = "SIFT_Image_describer"
ORDERS: dict[str | None, Order] = {
    DEFAULT: from_vlfeat,
    "SIFT_Anatomy_Image_describer": from_openmvg,
}
# What a vector of so many bytes is made of, by what the regions are called.
AKAZE: dict[str | None, dict[int, str]] = {
    "AKAZE_Float_Regions": {4 * _akaze.NUMBERS: "<f4"},
    "AKAZE_Binary_Regions": {_akaze.STORED: "u1"},
}
EVERY = {WIDTH: "u1", **AKAZE["AKAZE_Float_Regions"], **AKAZE["AKAZE_Binary_Regions"]}
KINDS: dict[str | None, dict[int, str]] = {**AKAZE, "SIFT_Regions": {WIDTH: "u1"}}
UNNAMED = (
    "No image_describer.json names a describer of SIFT that is known: vectors are taken for those "
    f"of {DEFAULT}."
)


class OpenmvgStore(FileStore):
    """Read SIFT and AKAZE from OpenMVG's files, one or a folder of them."""

    kind: ClassVar[str] = "OpenMVG .feat and .desc"

    def _read(self, file: Path) -> Record:
        describer, regions = self._told_of(file)
        if regions is not None and "SIFT" not in regions and regions not in AKAZE:
            known = " or ".join(map(str, AKAZE))
            raise InputError(f"Expected SIFT regions of OpenMVG, {known}, got {regions!r}.")
        table, vectors = read_pair(file, KINDS.get(regions, EVERY))
        record = Record(
            xy=table[:, :2],
            vectors=vectors,
            image_size=self._size_of(file),
            scales=table[:, 2],
            orientations=table[:, 3],
            producer="openmvg",
        )
        if vectors.dtype != np.uint8 or vectors.shape[1] == _akaze.STORED:
            return as_akaze(record)
        order = ORDERS.get(describer, from_vlfeat)
        return replace(
            record,
            vectors=order(vectors),
            notes=() if describer in ORDERS else (UNNAMED,),
        )

    def _told_of(self, file: Path) -> tuple[str | None, str | None]:
        """Return the names of the describer and of its regions, if a file contains them."""
        found = self._json(nearest(file, self._folder, "image_describer.json"))
        return _name_in(found, "image_describer"), _name_in(found, "regions_type")

    def _size_of(self, file: Path) -> tuple[int, int] | None:
        scene = nearest(file, self._folder, "sfm_data.json")
        if scene not in self._sizes:
            self._sizes[scene] = {
                Path(part["filename"]).stem: size
                for part in pictures(self._json(scene))
                if (size := size_of(part)) and isinstance(part.get("filename"), str)
            }
        return self._sizes[scene].get(file.stem)

    @property
    def _folder(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent

    @cached_property
    def _sizes(self) -> dict[Path | None, dict[str, tuple[int, int]]]:
        """Sizes by the stems of images, for each scene file."""
        return {}

    @cached_property
    def _texts(self) -> dict[Path, Any]:
        return {}

    def _json(self, file: Path | None) -> Any:
        """Return the content of a JSON file, which is read only once."""
        if file is None:
            return None
        if file not in self._texts:
            self._texts[file] = read_json(file)
        return self._texts[file]


def as_akaze(record: Record) -> Record:
    """Return a record of OpenMVG's or AliceVision's AKAZE in OpenCV's order and our scales."""
    if record.vectors.dtype != np.uint8:
        return replace(record, descriptor="kaze")
    scales = None if record.scales is None else record.scales * _akaze.SCALE
    vectors = _akaze.from_interleaved(record.vectors)
    return replace(record, vectors=vectors, scales=scales, descriptor="akaze")


def _name_in(found: Any, part: str) -> str | None:
    """Return what OpenMVG calls a part of what it wrote."""
    inside = found.get(part) if isinstance(found, dict) else None
    name = inside.get("polymorphic_name") if isinstance(inside, dict) else None
    return name if isinstance(name, str) else None
