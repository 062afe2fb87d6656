"""Read `<viewId>.<describer>.feat` and `.desc` of AliceVision and Meshroom.

Vectors are in VLFeat's order, RootSIFT as bytes, multiplied by 512. A scene file (.sfm) has the
sizes of the pictures; Meshroom stores it in another folder of its cache. The name of an image is
the number of its view.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from invertdesc.errors import InputError
from invertdesc.sources import walk
from invertdesc.stores._feat import pictures, read_json, read_pair, size_of
from invertdesc.stores._files import FileStore
from invertdesc.stores.record import Record
from invertdesc.stores.vlfeat import from_vlfeat

NAMES = re.compile(r"\d+\.([a-z][a-z0-9_]*)\.feat")
KNOWN = ("sift", "dspsift", "sift_upright")


class AlicevisionStore(FileStore):
    """Read SIFT from a file of AliceVision, or from a folder of files of one describer."""

    kind: ClassVar[str] = "AliceVision .feat and .desc"

    def _read(self, file: Path) -> Record:
        match = NAMES.fullmatch(file.name)
        describer = match[1] if match else ""
        if describer not in KNOWN:
            raise InputError(f"Expected one of {', '.join(KNOWN)} of AliceVision, got {file.name}.")
        table, vectors = read_pair(file)
        pooled = "Domain-size pooling makes other vectors than plain SIFT: pictures get blurred."
        return Record(
            xy=table[:, :2],
            vectors=from_vlfeat(vectors),
            image_size=self._sizes.get(file.name.partition(".")[0]),
            scales=table[:, 2],
            orientations=table[:, 3],
            producer=f"alicevision {describer}",
            notes=(pooled,) if describer == "dspsift" else (),
        )

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, int]]:
        folder = self.path if self.path.is_dir() else self.path.parent
        sizes: dict[str, tuple[int, int]] = {}
        for scene in (name for name in walk(folder) if name.endswith(".sfm")):
            for part in pictures(read_json(folder / scene)):
                size = size_of(part)
                if size and "viewId" in part:
                    sizes[str(part["viewId"])] = size
        return sizes
