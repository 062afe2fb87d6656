"""Cut a file of each kind of store off at every byte, and count what is read.

    python tests/stores/cut.py                  # of each kind
    python tests/stores/cut.py lowe opencv-xml

A cut is refused where an error of ours says so; or it takes away nothing that is read, such as the
padding of an archive; or it is between two lines of a text that does not say how many it has, which
cannot be seen; or it is read as if nothing were missing, which must not be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from gzip import compress
from pathlib import Path

from fuzz import some
from make_stores import (
    FILES,
    WRITERS,
    Images,
    change,
    write_colmap,
    write_kapture,
    write_opencv,
)
from read_stores import read_all

from invertdesc import LocalFeatures

Found = Mapping[str, LocalFeatures]


def write_small_colmap(folder: Path, images: Images) -> Path:
    """With pages of 512 bytes, so that some are full of one image's vectors."""
    return change(write_colmap(folder, images), "PRAGMA page_size = 512; VACUUM")


def write_gzip(folder: Path, images: Images) -> Path:
    for file in write_opencv(folder, images).glob("*.yml"):
        file.with_suffix(".yml.gz").write_bytes(compress(file.read_bytes(), mtime=0))
        file.unlink()
    return folder


STORES: dict[str, tuple[Callable[[Path, Images], Path], list[str]]] = {
    **{kind: (WRITERS[kind], files) for kind, files in FILES.items()},
    "colmap": (write_small_colmap, ["database.db"]),
    "kapture-4": (partial(write_kapture, columns=4), ["reconstruction/keypoints/SIFT/101.kpt"]),
    "opencv-flat": (partial(write_opencv, flat=True), ["101.yml"]),
    "opencv-packed": (partial(write_opencv, packed=True), ["101.yml"]),
    "opencv-xml": (partial(write_opencv, suffix=".xml"), ["101.xml"]),
    "opencv-json": (partial(write_opencv, suffix=".json"), ["101.json"]),
    "opencv-gz": (write_gzip, ["101.yml.gz"]),
}
# Kinds whose files do not say how many keypoints they have, and the bytes of one, where known.
UNCOUNTED = {"vlfeat": None, "siftgeo": 168}
CASES = [(kind, file) for kind, (_, files) in STORES.items() for file in files]


@dataclass
class Counts:
    """Lengths to which a file was cut, by what came of it."""

    refused: list[int] = field(default_factory=list)
    nothing_missing: list[int] = field(default_factory=list)
    between_lines: list[int] = field(default_factory=list)
    read_as_whole: list[int] = field(default_factory=list)


def cut(kind: str, folder: Path, name: str, ends: Callable[[int], Iterable[int]] = range) -> Counts:
    """Write a store, and read it once for each length that one of its files is cut to.

    Args:
        kind: Of `STORES`.
        folder: An empty one.
        name: The file in it.
        ends: Returns the lengths to cut to, given the whole one.
    """
    path, file = STORES[kind][0](folder, {"101": some(), "102": some()[:1]}), folder / name
    whole, counts = file.read_bytes(), Counts()
    expected = _plain(read_all(path)[0])
    for end in ends(len(whole)):
        file.write_bytes(whole[:end])
        found, errors = read_all(path)
        plain = _plain(found)
        if errors and plain.items() <= expected.items():
            counts.refused.append(end)
        elif plain == expected:
            counts.nothing_missing.append(end)
        elif kind in UNCOUNTED and _ends_a_keypoint(whole[:end], UNCOUNTED[kind]):
            counts.between_lines.append(end)
        else:
            counts.read_as_whole.append(end)
    return counts


def _ends_a_keypoint(data: bytes, row: int | None) -> bool:
    return data[-1:] in (b"", b"\n") if row is None else len(data) % row == 0


def _plain(found: Found) -> dict[str, tuple[object, ...]]:
    return {name: (repr(one), *_fields(one)) for name, one in found.items()}


def _fields(one: LocalFeatures) -> list[object]:
    parts = (one.keypoints, one.descriptors, one.scales, one.orientations, one.scores)
    return [None if part is None else part.tolist() for part in parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(STORES)}; all")
    kinds = parser.parse_args().kinds or list(STORES)
    wrong = 0
    for kind, file in CASES:
        if kind not in kinds:
            continue
        with tempfile.TemporaryDirectory() as folder:
            counts = cut(kind, Path(folder), file)
        wrong += len(counts.read_as_whole)
        print(
            f"{kind:<14} {file:<48} {len(counts.refused):>6} refused, "
            f"{len(counts.nothing_missing):>5} with nothing missing, {len(counts.between_lines)} "
            f"between lines, {len(counts.read_as_whole):>4} read as whole",
            flush=True,
        )
    sys.exit(min(wrong, 1))


if __name__ == "__main__":
    main()
