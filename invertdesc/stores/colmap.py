"""Read COLMAP's `database.db` with Python's sqlite3; pycolmap is not needed.

GLOMAP and hloc write the same file. Images are identified by name, since their ids differ between
runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.stores._colmap_frames import read_frames
from invertdesc.stores._colmap_snapshot import Snapshot
from invertdesc.stores.base import Store
from invertdesc.stores.record import Array, Record, check_count, check_rows_alike, matrix

MAGIC = b"SQLite format 3\0"
T = TypeVar("T")
COLUMNS = {
    "cameras": {"camera_id", "width", "height"},
    "descriptors": {"image_id", "rows", "cols", "data"},
    "images": {"image_id", "name", "camera_id"},
    "keypoints": {"image_id", "rows", "cols", "data"},
}
WIDTHS = {"keypoints": 6, "descriptors": 128}  # for an image without any
# Values of the column `type`; older databases do not have it and contain only SIFT.
UNDEFINED, SIFT = -1, 0
UNIT = 0.05  # tolerance of a length of 1
TYPES = {1: "aliked-n16rot", 2: "aliked-n32", 3: "loma-b", 4: "loma-b128"}


def recognise(head: bytes) -> bool:
    """Return whether a file with this beginning is an SQLite database."""
    return head.startswith(MAGIC)


class ColmapStore(Store):
    """Read a COLMAP database, which is never written to."""

    kind: ClassVar[str] = "COLMAP database"

    def _open(self) -> None:
        """Open a database.

        Raises:
            FileError: The file is unreadable, or is not a database of COLMAP.
        """
        self._database = Snapshot(self.path)
        try:
            self._typed = self._reading(lambda: _check_tables(self._database, self.path))
        except FileError:
            self.close()
            raise

    def names(self) -> Iterator[str]:
        """Yield the names of all images, sorted as SQLite does: by bytes.

        Raises:
            FileError: The database is damaged, or has a name twice.
        """
        named = "FROM images WHERE typeof(name) = 'text' ORDER BY name"
        rows = self._reading(lambda: self._rows(f"SELECT name, CAST(name AS BLOB) {named}"))
        last: bytes | None = None
        while (row := self._reading(rows.fetchone)) is not None:
            name, data = row
            if last is not None and data <= last:  # damaged pages may form an endless loop
                raise FileError(
                    f"Expected sorted names of images in {self.path}, got {name!r} again."
                )
            last = data
            yield name

    def __len__(self) -> int:
        """Count the images."""
        rows = self._reading(lambda: self._rows("SELECT count(*) FROM images").fetchone())
        return int(rows[0])

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _record(self, name: str) -> Record:
        return self._reading(lambda: self._read(name))

    def _read(self, name: str) -> Record:
        row = self._rows("SELECT image_id, camera_id FROM images WHERE name = ?", name).fetchone()
        if row is None:
            raise InputError("Expected an image of that name, found none.")
        image, camera = row
        frames = read_frames(self._matrix("keypoints", image, "<f4"))
        vectors, made_by = self._vectors(image)
        check_rows_alike(len(frames.xy), len(vectors))
        return Record(
            xy=frames.xy,
            vectors=vectors,
            image_size=self._size(camera),
            scales=frames.scales,
            orientations=frames.orientations,
            descriptor=made_by,
            producer=self._producer,
            origin="corner",
            notes=frames.notes,
        )

    def _vectors(self, image: object) -> tuple[Array, str | None]:
        """Return (N, D) and the name of their descriptor, which is None for SIFT."""
        row = None
        if self._typed:
            row = self._rows("SELECT type FROM descriptors WHERE image_id = ?", image).fetchone()
        made_by = SIFT if row is None else row[0]
        if made_by in (SIFT, UNDEFINED):
            return _as_floats(self._matrix("descriptors", image, "u1")), None
        # Learned descriptors are float32, and `cols` is their number of bytes.
        vectors = self._matrix("descriptors", image, "<f4")
        return vectors, TYPES.get(made_by, f"colmap-type-{made_by}")

    def _matrix(self, table: str, image: object, dtype: str) -> Array:
        """Return the values of an image, after checking their count and bytes."""
        where = f"FROM {table} WHERE image_id = ?"
        row = self._rows(f"SELECT rows, cols, typeof(data), length(data) {where}", image).fetchone()
        if row is None:
            if self._is_empty(image):
                return np.zeros((0, WIDTHS[table]), dtype)
            raise InputError(f"Expected a row of {table} for the image, found none.")
        rows, cols, kind, length = row
        rows, cols = check_count(rows, cols)
        if dtype == "<f4" and table == "descriptors":
            if cols % 4:
                raise InputError(f"Expected descriptors of whole float32, got {cols} bytes each.")
            cols //= 4
        if kind == "null" and not rows:  # an image without features
            kind, length = "blob", 0
        if kind != "blob":
            raise InputError(f"Expected {table} as a blob, got {kind}.")
        needed = rows * cols * (1 if dtype == "u1" else 4)
        if length != needed:
            raise InputError(
                f"Expected {needed} bytes of {table} for {rows} x {cols}, got {length}. Is the "
                "database damaged?"
            )
        data = self._rows(f"SELECT data {where}", image).fetchone()[0] if length else b""
        return matrix(data, rows, cols, dtype, table)

    def _is_empty(self, image: object) -> bool:
        """Return whether an image has no features, or was not processed yet."""
        return not any(
            self._rows(f"SELECT 1 FROM {table} WHERE image_id = ? AND rows", image).fetchone()
            for table in WIDTHS
        )

    def _size(self, camera: object) -> tuple[int, int] | None:
        row = self._rows("SELECT width, height FROM cameras WHERE camera_id = ?", camera).fetchone()
        if row is None:
            return None
        width, height = row
        if not (isinstance(width, int) and isinstance(height, int) and min(width, height) > 0):
            raise InputError(f"Expected a camera of whole pixels, got {width!r} x {height!r}.")
        return height, width

    @cached_property
    def _producer(self) -> str:
        number = self._rows("PRAGMA user_version").fetchone()[0]
        return f"colmap {_version(number)}" if number > 0 else "colmap"

    def _notes(self) -> tuple[str, ...]:
        if self._sample or not len(self):
            return ()
        points, vectors = (self._reading(partial(self._sum_rows, table)) for table in WIDTHS)
        if vectors:
            return ()
        if points:
            return (
                "It has keypoints but no descriptors; hloc stores these in a file features*.h5.",
            )
        return (
            "It has images but neither keypoints nor descriptors: features were not extracted yet, "
            "or none were found.",
        )

    def _sum_rows(self, table: str) -> float:
        return float(self._rows(f"SELECT total(rows) FROM {table}").fetchone()[0])

    def _rows(self, query: str, *values: object) -> Any:
        return self._database.execute(query, *values)

    def _reading(self, work: Callable[[], T]) -> T:
        return self._database.read(work)


def _as_floats(vectors: Array) -> Array:
    """Return float32 that a program without a column `type` stored as bytes."""
    if vectors.shape[1] <= WIDTHS["descriptors"] or vectors.shape[1] % 4 or not len(vectors):
        return vectors
    floats = vectors.view("<f4")
    lengths = np.linalg.norm(floats.astype(np.float64), axis=1)
    return floats if bool((np.abs(lengths - 1) < UNIT).all()) else vectors


def _check_tables(database: Snapshot, path: Path) -> bool:
    """Check that all tables exist with the needed columns; return whether there is a `type`."""
    found = {
        str(name).lower(): (kind, root)
        for name, kind, root in database.execute(
            "SELECT name, type, rootpage FROM sqlite_master WHERE type IN ('table', 'view')"
        )
    }
    typed = False
    for table, wanted in COLUMNS.items():
        kind, root = found.get(table, ("none", 0))
        if kind != "table" or not root:  # computed tables could return anything
            what = "a virtual table" if kind == "table" else {"view": "a view"}.get(kind, kind)
            raise FileError(
                f"Expected a COLMAP database with a table {table!r} at {path}, got {what}. "
                "Is it another program's?"
            )
        columns = {row[1]: row[6] for row in database.execute(f"PRAGMA table_xinfo({table})")}
        stored = {name for name, hidden in columns.items() if not hidden}
        if not wanted <= stored:
            lacking = ", ".join(sorted(wanted - stored))
            raise FileError(f"Expected columns {lacking} in {table!r} of {path}, found none.")
        typed = typed or (table == "descriptors" and "type" in stored)
    return typed


def _version(number: int) -> str:
    """Return the version of COLMAP, which is stored as one number, as text.

    >>> _version(4020100), _version(3120)
    ('4.2.1', '3.12.0')
    """
    if number >= 1_000_000:
        return f"{number // 1_000_000}.{number // 10_000 % 100}.{number // 100 % 100}"
    return f"{number // 1000}.{number // 10 % 100}.{number % 10}"
