"""Read OpenCV's FileStorage: .yml, .xml or .json, also .gz, with `keypoints` and `descriptors`.

Read by our own code: OpenCV's parser overruns the stack on deep nesting, and makes arrays of
whatever size a file claims. Nodes may be called `kp`, `kps`, `kpts`, `desc` and the like, in any
case, and lie one level deeper. What comes before or after in a name (`keypoints_2`, `left_desc`) is
put behind the file's, so that a file may hold several images.

C++ writes a keypoint as seven numbers, x, y, size, angle in degrees, response, octave and class_id:
new versions write a list for each keypoint, old versions one list for all. Python can only write
matrices; their columns are read as the same seven numbers, as far as they exist.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.limits import check_limit, get_limits
from invertdesc.sources import walk
from invertdesc.stores._files import FileStore, read_bytes
from invertdesc.stores._filestorage import Node, parse
from invertdesc.stores.record import Array, Record, check_count, check_rows_alike

_NAME = re.compile(rb"(?i)\w*?(key_?points?|descriptors?)|(kpts?|kps?|descs?)\d*$")
_YAML = re.compile(
    rb"(?im)^ {0,3}\"?(\w*?(key_?points?|descriptors?)\w*|(kpts?|kps?|descs?)_?\d*)\"? *:"
)
_XML = re.compile(rb"(?i)<(\w*?(key_?points?|descriptors?)\w*|(kpts?|kps?|descs?)_?\d*)[ >]")
_POINTS = re.compile(r"(?i)(.*?)(?:key_?points?|(?<![^\W\d_])(?:kpts?|kps?)(?![^\W\d_]))(.*)")
_VECTORS = re.compile(r"(?i)(.*?)(?:descriptors?|(?<![^\W\d_])(?:descs?|des)(?![^\W\d_]))(.*)")
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"(\s*:)?|[][{}]')
FIELDS = 7  # values of a cv2.KeyPoint
SPACE = 64  # bytes between a name in JSON and its value, at most


def recognise(head: bytes) -> bool:
    """Return whether a file with this beginning is FileStorage with names of features.

    Calibrations and annotations of other programs have no such names at the top level.
    """
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{"):
        return any(_NAME.match(key) for key in _keys(text))
    if text.startswith(b"%YAML"):
        return _YAML.search(text) is not None
    return text.startswith((b"<?xml", b"<opencv_storage")) and _XML.search(text) is not None


def _keys(text: bytes) -> Iterator[bytes]:
    """Yield the names of lists and objects that lie outermost in JSON, whose end may be missing.

    Where there are matrices of OpenCV's, what lies one level deeper is looked at too.
    """
    depth, deepest = 0, 2 if b"opencv-matrix" in text else 1
    for token in _TOKEN.finditer(text):
        mark = token[0][:1]
        if mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
        elif depth <= deepest and token[2]:
            value = text[token.end() : token.end() + SPACE].lstrip()[:1]
            if value in (b"[", b"{", b""):
                yield token[1]


class OpencvStore(FileStore):
    """Read features from a file of FileStorage, or from a folder of files."""

    kind: ClassVar[str] = "OpenCV FileStorage"
    _last: tuple[Path, dict[str, Node]] | None = None  # a file may have several images

    def names(self) -> Iterator[str]:
        """Yield the names of all images."""
        single = not self.path.is_dir()
        for file in (self.path.name,) if single else walk(self.path):
            if not file.endswith(self._suffix):
                continue
            name = file.removesuffix(self._suffix)
            try:
                nodes = self._nodes(self.path if single else self.path / file)
            except (InputError, FileError):  # reported when it is read
                nodes = {}
            yield from (f"{name}{end}" for end in _pairs(nodes) or [""])

    def _record(self, name: str) -> Record:
        return self._read(*self._find(name))

    def _read(self, file: Path, end: str = "") -> Record:
        nodes = self._nodes(file)
        names = dict(
            zip(("keypoints", "descriptors"), _pairs(nodes).get(end, ("", "")), strict=True)
        )
        for part, name in names.items():
            if not name:
                found = ", ".join(list(nodes)[:8]) or "nothing"
                raise InputError(f"Expected {part + end!r} in {file}, got {found}.")
        points = _table(nodes[names["keypoints"]])
        vectors = _matrix(nodes[names["descriptors"]])
        check_rows_alike(len(points), len(vectors))
        x_y, columns = points[:, :2], points.shape[1]
        angles = points[:, 3] if columns > 3 else None
        known = angles is not None and len(angles) and not (angles < 0).all()  # -1: none
        return Record(
            xy=x_y,
            vectors=vectors,
            scales=points[:, 2] if columns > 2 else None,
            diameters=True,
            orientations=np.deg2rad(angles.clip(min=0)) if known and angles is not None else None,
            scores=points[:, 4] if columns > 4 else None,
            producer="opencv",
            notes=(
                "By default, OpenCV's SIFT puts keypoints a quarter pixel to the right and "
                "down; the file does not show whether this is the case, so they are not changed.",
            )
            if vectors.shape[1] == 128
            else (),
        )

    def _find(self, name: str) -> tuple[Path, str]:
        """Return the file of an image, and the text after `keypoints` in its names."""
        if not self.path.is_dir():
            own = self.path.name.removesuffix(self._suffix)
            if not name.startswith(own):
                raise InputError("Expected an image of that name, found none.")
            return self.path, name.removeprefix(own)
        file = self.path / f"{name}{self._suffix}"
        if file.is_file():
            return file, ""
        stem = Path(name).name
        for length in range(len(stem) - 1, 0, -1):
            shorter = (self.path / name).with_name(f"{stem[:length]}{self._suffix}")
            if shorter.is_file():
                return shorter, stem[length:]
        return file, ""

    def _nodes(self, file: Path) -> dict[str, Node]:
        if self._last is None or self._last[0] != file:
            self._last = file, parse(unzipped(read_bytes(file), file), str(file))
        return self._last[1]


def _pairs(nodes: Mapping[str, Node]) -> dict[str, tuple[str, str]]:
    """Return the names of keypoints and of descriptors, by what an image's name ends with.

    >>> nodes = {f"{part}_2": Node(np.zeros(0), (0, 7)) for part in ("KeyPoints", "desc")}
    >>> _pairs(nodes)
    {'_2': ('KeyPoints_2', 'desc_2')}
    """
    points, vectors = (_ends(nodes, pattern) for pattern in (_POINTS, _VECTORS))
    if len(points) == 1 and len(vectors) <= 1:
        (end, name), other = next(iter(points.items())), next(iter(vectors.values()), "")
        kept = end if name.lower().startswith("key") else ""
        return {kept: (name, other)}
    return {end: (name, vectors.get(end, "")) for end, name in points.items()}


def _ends(nodes: Mapping[str, Node], pattern: re.Pattern[str]) -> dict[str, str]:
    """Return the names that match a pattern, by what comes before and after it."""
    found: dict[str, str] = {}
    for name in nodes:
        match = pattern.fullmatch(name)
        if match:
            around = [part.strip("_") for part in match.groups() if part.strip("_")]
            found.setdefault("".join(f"_{part}" for part in around), name)
    return found


def unzipped(data: bytes, file: Path) -> bytes:
    """Return data, unpacked if it is gzip, up to an acceptable size.

    Raises:
        FileError: The data is damaged.
        InputError: It has more bytes than `Limits` allows.
    """
    if not data.startswith(b"\x1f\x8b"):
        return data
    tool = zlib.decompressobj(wbits=31)
    try:
        content = tool.decompress(data, get_limits().unpacked + 1)
    except zlib.error as error:
        raise FileError(f"Expected a whole gzip file at {file}, got: {error}.") from error
    check_limit("unpacked", len(content), "a gzip file")
    if not tool.eof:
        raise FileError(f"Expected a whole gzip file at {file}, got one that was cut off.")
    return content


def _table(node: Node) -> Array:
    """Return keypoints as (N, columns)."""
    if node.shape is not None:
        points = _matrix(node)
        if not 2 <= points.shape[1] <= FIELDS:
            raise InputError(f"Expected keypoints of 2 to 7 columns, got {points.shape[1]}.")
        return points.astype(np.float64)
    if len(node.values) % FIELDS:
        raise InputError(f"Expected 7 numbers per keypoint, got {len(node.values)} in all.")
    return node.values.reshape(-1, FIELDS)


def _matrix(node: Node) -> Array:
    if node.shape is None:
        raise InputError("Expected a matrix of descriptors, got a list.")
    rows, columns = node.shape
    check_count(rows, columns)
    if len(node.values) != rows * columns:
        raise InputError(
            f"Expected {rows} x {columns} numbers, got {len(node.values)}. Was the file cut off?"
        )
    table = node.values.reshape(rows, columns)
    if not node.bytes:
        return table.astype(np.float32)
    if not ((table >= 0) & (table <= 255)).all():
        raise InputError("Expected bytes from 0 to 255, got others.")
    return table.astype(np.uint8)
