"""The page of formats tells of every reader what `inspect` finds."""

import re
from pathlib import Path

import pytest
from make_stores import WRITERS

from invertdesc import LocalFeatures, open_store
from invertdesc.stores._search import readers
from invertdesc.stores.kapture import KaptureStore

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
pytestmark = pytest.mark.skipif(
    not PAGE.exists(), reason="the docs are not part of this distribution"
)


def rows() -> list[list[str]]:
    """The first table's cells: program, files, what inspect says, image size, missing."""
    table = PAGE.read_text().split("\n\n")[2]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_reader_has_a_row() -> None:
    assert {row[2] for row in rows()} == {kind.kind for kind in (*readers(), KaptureStore)}


def test_programs_are_told_once() -> None:
    programs = [(row[0], row[1]) for row in rows()]
    assert len(set(programs)) == len(programs)


@pytest.mark.parametrize("kind", WRITERS)
def test_row_tells_what_is_found(
    kind: str, tmp_path: Path, images: dict[str, LocalFeatures]
) -> None:
    with open_store(WRITERS[kind](tmp_path, images)) as store:
        told = store.description
    matching = [row for row in rows() if row[2] == told.kind]
    assert matching
    for row in matching:
        assert row[4] == ", ".join(told.missing)
        assert row[3] == ("stored" if told.image_size == "stored" else "")
