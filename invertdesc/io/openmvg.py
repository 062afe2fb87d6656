"""OpenMVG's `<image>.feat` and `.desc`, beside `image_describer.json` and `sfm_data.json`.

Vectors are VLFeat's with the 4 x 4 grid by columns; RootSIFT as bytes, 512 times.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

from invertdesc.errors import InputError
from invertdesc.io._feat import pictures, read_json, read_pair, size_of
from invertdesc.io._files import FileStore
from invertdesc.io._record import Record
from invertdesc.io.vlfeat import from_openmvg


class OpenmvgStore(FileStore):
    """Read SIFT from OpenMVG's files, one or a folder of them."""

    kind: ClassVar[str] = "OpenMVG .feat and .desc"

    def _read(self, file: Path) -> Record:
        if self._regions is not None and "SIFT" not in self._regions:
            raise InputError(f"Expected SIFT regions of OpenMVG, got {self._regions!r}.")
        table, vectors = read_pair(file)
        return Record(
            xy=table[:, :2],
            vectors=from_openmvg(vectors),
            image_size=self._sizes.get(file.stem),
            scales=table[:, 2],
            orientations=table[:, 3],
            producer="openmvg",
        )

    @property
    def _folder(self) -> Path:
        return self.path if self.path.is_dir() else self.path.parent

    @cached_property
    def _regions(self) -> str | None:
        """What the folder says that its regions are."""
        told = read_json(self._folder / "image_describer.json")
        part = told.get("regions_type") if isinstance(told, dict) else None
        name = part.get("polymorphic_name") if isinstance(part, dict) else None
        return name if isinstance(name, str) else None

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, int]]:
        sizes: dict[str, tuple[int, int]] = {}
        for part in pictures(read_json(self._folder / "sfm_data.json")):
            size = size_of(part)
            if size and isinstance(part.get("filename"), str):
                sizes[Path(part["filename"]).stem] = size
        return sizes
