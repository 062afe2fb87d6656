"""Read `<viewId>.<describer>.feat` and `.desc` of AliceVision and Meshroom.

SIFT is in VLFeat's order, RootSIFT as bytes, 512 times, or as float32 (`sift_float`). A scene file
(.sfm) tells the pictures' sizes; Meshroom keeps it in another folder of its cache. Images go by
their view's number.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from invertdesc.errors import InputError
from invertdesc.sources import walk
from invertdesc.stores import _akaze
from invertdesc.stores._feat import WIDTH, pictures, read_json, read_pair, size_of
from invertdesc.stores._files import FileStore
from invertdesc.stores.openmvg import as_akaze
from invertdesc.stores.record import Record
from invertdesc.stores.vlfeat import from_vlfeat

NAMES = re.compile(r"\d+\.([a-z][a-z0-9_]*)\.feat")
AKAZE = {"akaze": {4 * _akaze.NUMBERS: "<f4"}, "akaze_mldb": {_akaze.STORED: "u1"}}
KNOWN = ("sift", "dspsift", "sift_upright", "sift_float", *AKAZE)


class AlicevisionStore(FileStore):
    """Read SIFT or AKAZE from AliceVision's files, one or a folder of them with one describer."""

    kind: ClassVar[str] = "AliceVision .feat and .desc"

    def _read(self, file: Path) -> Record:
        match = NAMES.fullmatch(file.name)
        describer = match[1] if match else ""
        if describer not in KNOWN:
            raise InputError(f"Expected one of {', '.join(KNOWN)} of AliceVision, got {file.name}.")
        floats = {4 * WIDTH: "<f4"} if describer == "sift_float" else None
        table, vectors = read_pair(file, AKAZE.get(describer, floats))
        pooled = "Domain-size pooling makes other vectors than plain SIFT: pictures get blurred."
        record = Record(
            xy=table[:, :2],
            vectors=vectors,
            image_size=self._sizes.get(file.name.partition(".")[0]),
            scales=table[:, 2],
            orientations=table[:, 3],
            producer=f"alicevision {describer}",
            notes=(pooled,) if describer == "dspsift" else (),
        )
        if describer in AKAZE:
            return as_akaze(record)
        return replace(record, vectors=from_vlfeat(vectors))

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
