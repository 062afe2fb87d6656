"""A file that was cut off anywhere is refused, or lacks nothing that is read."""

from pathlib import Path

import pytest
from cut import CASES, UNCOUNTED, cut

EACH = pytest.mark.parametrize(("kind", "file"), CASES)


def here_and_near_the_end(length: int) -> list[int]:
    step = min(512, length // 8 + 1)  # 512: the blocks of a tar, the pages of the database
    return sorted({*range(0, length, step), *range(max(0, length - 24), length)})


@EACH
def test_cut_here_and_near_the_end(kind: str, file: str, tmp_path: Path) -> None:
    counts = cut(kind, tmp_path, file, here_and_near_the_end)
    assert counts.read_as_whole == []
    assert counts.refused


@pytest.mark.slow
@EACH
def test_cut_at_every_byte(kind: str, file: str, tmp_path: Path) -> None:
    counts = cut(kind, tmp_path, file)
    assert counts.read_as_whole == []
    assert len(counts.between_lines) == (3 if kind in UNCOUNTED else 0)
