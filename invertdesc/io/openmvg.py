"""OpenMVG's `<image>.feat` and `.desc`, beside `image_describer.json` and `sfm_data.json`.

Two describers write SIFT, with the same kind of regions and RootSIFT as bytes, 512 times:
`SIFT_Image_describer`, the default, hands on VLFeat's vectors as they are, and
`SIFT_Anatomy_Image_describer` writes the 4 x 4 grid by columns. Its name in `image_describer.json`
tells; where that is missing, the vectors do.

Source: OpenMVG's `SIFT_describer.hpp` and `sift_DescriptorExtractor.hpp`, for the two orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from invertdesc.checking import Check
from invertdesc.errors import InputError, InvertDescError
from invertdesc.io._feat import nearest, pictures, read_json, read_pair, size_of
from invertdesc.io._files import FileStore
from invertdesc.io._order import reordered, see_order
from invertdesc.io._record import Array, Record
from invertdesc.io.base import TRIES
from invertdesc.io.vlfeat import from_openmvg, from_vlfeat

Order: TypeAlias = Callable[[Array], Array]

DEFAULT = "SIFT_Image_describer"
ORDERS: dict[str, Order] = {DEFAULT: from_vlfeat, "SIFT_Anatomy_Image_describer": from_openmvg}


class OpenmvgStore(FileStore):
    """Read SIFT from OpenMVG's files, one or a folder of them."""

    kind: ClassVar[str] = "OpenMVG .feat and .desc"

    def _read(self, file: Path) -> Record:
        describer, regions = self._told_of(file)
        if regions is not None and "SIFT" not in regions:
            raise InputError(f"Expected SIFT regions of OpenMVG, got {regions!r}.")
        table, vectors = read_pair(file)
        order, notes = self._order_of(describer)
        return Record(
            xy=table[:, :2],
            vectors=order(vectors),
            image_size=self._size_of(file),
            scales=table[:, 2],
            orientations=table[:, 3],
            producer="openmvg",
            notes=notes,
        )

    def _order_of(self, describer: str | None) -> tuple[Order, tuple[str, ...]]:
        """Return what brings vectors into OpenCV's order, and what there is to say about it."""
        if describer in ORDERS:
            return ORDERS[describer], ()
        seen = self._seen
        told = (
            f"No image_describer.json names one of {', '.join(ORDERS)}: the vectors look like "
            f"{seen.looks_like!r} ({seen.confidence:.0%} sure)"
        )
        if seen.looks_like == "unknown":
            return ORDERS[DEFAULT], (f"{told}; they are read as those of {DEFAULT}.",)
        return lambda vectors: reordered(vectors, seen), (f"{told}, and are read as such.",)

    @cached_property
    def _seen(self) -> Check:
        """What the vectors look like of which no file says who wrote them."""
        return see_order(self._unnamed())

    def _unnamed(self) -> Iterator[Array]:
        for name in islice(self.names(), TRIES):
            file = self._file(name)
            try:
                if self._told_of(file)[0] not in ORDERS:
                    yield read_pair(file)[1]
            except InvertDescError:  # reported when its turn comes
                continue

    def _told_of(self, file: Path) -> tuple[str | None, str | None]:
        """Return the names of the describer and of its regions, where a file tells them."""
        told = self._json(nearest(file, self._folder, "image_describer.json"))
        return _name_in(told, "image_describer"), _name_in(told, "regions_type")

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
        """Sizes by the images' stems, of each scene file."""
        return {}

    @cached_property
    def _texts(self) -> dict[Path, Any]:
        return {}

    def _json(self, file: Path | None) -> Any:
        """Return what is in a JSON file, which is read once."""
        if file is None:
            return None
        if file not in self._texts:
            self._texts[file] = read_json(file)
        return self._texts[file]


def _name_in(told: Any, part: str) -> str | None:
    """Return what OpenMVG calls a part of what it wrote."""
    inside = told.get(part) if isinstance(told, dict) else None
    name = inside.get("polymorphic_name") if isinstance(inside, dict) else None
    return name if isinstance(name, str) else None
