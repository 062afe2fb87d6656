"""Damaged and hostile COLMAP databases."""

import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest
from make_stores import change, write_colmap
from read_stores import little_memory, read_all

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import FileError, InputError

Images = dict[str, LocalFeatures]


BAD_ROWS = {
    "a billion rows": "UPDATE keypoints SET rows = 1000000000 WHERE image_id = 1",
    "rows beyond 64 bits": "UPDATE keypoints SET rows = 1e300 WHERE image_id = 1",
    "negative rows": "UPDATE keypoints SET rows = -1 WHERE image_id = 1",
    "negative columns": "UPDATE descriptors SET cols = -128 WHERE image_id = 1",
    "rows as text": "UPDATE keypoints SET rows = 'many' WHERE image_id = 1",
    "rows unknown": "UPDATE keypoints SET rows = NULL WHERE image_id = 1",
    "no data": "UPDATE descriptors SET data = NULL WHERE image_id = 1",
    "text as data": "UPDATE descriptors SET data = 'words' WHERE image_id = 1",
    "a short blob": "UPDATE descriptors SET data = substr(data, 1, 1000) WHERE image_id = 1",
    "no row": "DELETE FROM keypoints WHERE image_id = 1",
    "three columns": "UPDATE keypoints SET rows = rows * 2, cols = 3 WHERE image_id = 1",
    "fewer vectors": (
        "UPDATE descriptors SET rows = rows - 1, data = substr(data, 129) WHERE image_id = 1"
    ),
    "a flat camera": "UPDATE cameras SET height = 0 WHERE camera_id = 1",
    "a negative camera": "UPDATE cameras SET width = -256 WHERE camera_id = 1",
    "a huge camera": "UPDATE cameras SET width = 9000000000000000000 WHERE camera_id = 1",
    "a small camera": "UPDATE cameras SET width = 20 WHERE camera_id = 1",
    "a camera of text": "UPDATE cameras SET width = 'wide' WHERE camera_id = 1",
    "infinite scale": (
        "UPDATE keypoints SET data = substr(data, 1, 8) || x'0000807f' || substr(data, 13) "
        "WHERE image_id = 1"
    ),
    "NaN": "UPDATE keypoints SET data = x'0000c07f' || substr(data, 5) WHERE image_id = 1",
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_colmap_with_one_bad_image(what: str, tmp_path: Path, images: Images) -> None:
    path = change(write_colmap(tmp_path, images), f"{BAD_ROWS[what]};")
    with little_memory():
        found, errors = read_all(path)
    assert list(found) == ["102"]
    assert list(errors) == ["101"]
    assert str(errors["101"]).startswith(f"Cannot read '101' of {path}: Expected ")


def test_colmap_with_views_in_place_of_tables(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    change(
        path,
        "ALTER TABLE keypoints RENAME TO other;",
        """CREATE VIEW keypoints AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
           SELECT i AS image_id, 1 AS rows, 6 AS cols, x'00' AS data FROM n;""",
    )
    with pytest.raises(FileError, match=r"a table 'keypoints' at .*, got a view"):
        open_store(path)


def test_colmap_with_a_virtual_table(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    change(path, "DROP TABLE cameras; CREATE VIRTUAL TABLE cameras USING fts4(width, height)")
    with pytest.raises(FileError, match="got a virtual table"):
        open_store(path)


def test_colmap_with_computed_columns(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    computed = "data BLOB GENERATED ALWAYS AS (zeroblob(rows * cols))"
    table = f"CREATE TABLE descriptors (image_id INTEGER, rows INTEGER, cols INTEGER, {computed})"
    change(path, f"DROP TABLE descriptors; {table};")
    with pytest.raises(FileError, match="Expected columns data in 'descriptors'"):
        open_store(path)


def test_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    change(path, "CREATE TABLE visits (id INTEGER)")
    with pytest.raises(FileError, match="Is it another program's"):
        open_store(path)


def test_colmap_is_not_written_to(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    before = path.read_bytes()
    with open_store(path) as store:
        dict(store)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store._database.execute("DELETE FROM images")  # type: ignore[attr-defined]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_colmap_with_names_that_are_no_text(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    change(path, "UPDATE images SET name = CAST(x'ff2f61' AS TEXT) WHERE image_id = 1")
    found, errors = read_all(path)
    assert list(found) == ["102"]
    assert len(errors) == 1


def test_colmap_without_descriptors_is_told(tmp_path: Path, images: Images) -> None:
    with open_store(write_colmap(tmp_path, images, descriptors=False)) as store:
        assert any("no descriptors" in note for note in store.description.notes)
        assert store.description.missing == ("descriptors",)
        with pytest.raises(InputError, match="row of descriptors"):
            store.load("101")


NO_ROWS = "DELETE FROM keypoints WHERE image_id = 1; DELETE FROM descriptors WHERE image_id = 1"
NO_FEATURES = """UPDATE keypoints SET rows = 0, data = NULL WHERE image_id = 1;
    DELETE FROM descriptors WHERE image_id = 1"""


@pytest.mark.parametrize("statements", [NO_ROWS, NO_FEATURES])
@pytest.mark.parametrize("typed", [False, True])
def test_colmap_image_that_was_not_looked_at_yet(
    statements: str, typed: bool, tmp_path: Path, images: Images
) -> None:
    path = change(write_colmap(tmp_path, images, typed=typed), statements)
    found, errors = read_all(path)
    assert not errors
    assert [len(one) for one in found.values()] == [0, 30]
    assert found["101"].image_size == images["101"].image_size


@pytest.mark.parametrize("rows", ["DELETE FROM {}", "UPDATE {} SET rows = 0, data = NULL"])
def test_colmap_with_images_alone_is_told(rows: str, tmp_path: Path, images: Images) -> None:
    tables = ("keypoints", "descriptors")
    path = change(write_colmap(tmp_path, images), *(rows.format(table) for table in tables))
    with open_store(path) as store:
        assert any("neither keypoints nor" in note for note in store.description.notes)
        assert [len(one) for _, one in store] == [0, 0]


def test_sqlite_messages_that_are_no_text(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"CREATE TABLE cameras (", b"CREATE TABLE \xb6ameras \xb6", 1))
    with pytest.raises(FileError, match="Expected a COLMAP database"):
        open_store(path)


def test_colmap_with_a_picture_too_large_to_make(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    change(path, "UPDATE cameras SET width = 20000, height = 20000 WHERE camera_id = 1;")
    found, errors = read_all(path)
    assert list(found) == ["102"]
    assert "at most 25000000 pixels, got 400000000" in str(errors["101"])


def test_colmap_that_names_an_image_twice(tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    change(
        path,
        "ALTER TABLE images RENAME TO other;",
        "CREATE TABLE images AS SELECT * FROM other UNION ALL SELECT * FROM other;",
    )
    _, errors = read_all(path)
    assert "sorted" in str(errors[""])


def test_colmap_whose_pages_lead_to_each_other_without_end(tmp_path: Path, images: Images) -> None:
    # Each of 15 pages leads a hundred times to the next one: 10^30 rows in 60 kB.
    path = write_colmap(tmp_path, images)
    change(path, "ALTER TABLE images RENAME TO other; CREATE TABLE images AS SELECT * FROM other;")
    database = sqlite3.connect(path)
    (root,) = database.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'images'"
    ).fetchone()
    database.close()
    data = bytearray(path.read_bytes())
    size, last = int.from_bytes(data[16:18], "big"), 15
    leaf, first = data[(root - 1) * size : root * size], len(data) // size + 1
    places = [root, *range(first, first + last)]
    data += bytes(last * size)
    for here, there in pairwise(places):
        cells = b"".join(there.to_bytes(4, "big") + bytes([row]) for row in range(1, 101))
        starts = b"".join((size - 500 + 5 * k).to_bytes(2, "big") for k in range(100))
        head = b"\x05\0\0" + (100).to_bytes(2, "big") + (size - 500).to_bytes(2, "big") + b"\0"
        page = (head + there.to_bytes(4, "big") + starts).ljust(size - 500, b"\0") + cells
        data[(here - 1) * size : here * size] = page
    data[-size:] = leaf
    data[28:32] = (len(data) // size).to_bytes(4, "big")
    path.write_bytes(data)
    with little_memory():
        _, errors = read_all(path)
    assert "Expected a whole COLMAP database" in str(errors[""])
    assert "interrupted" in str(errors[""])
