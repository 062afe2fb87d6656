import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True, scope="session")
def importable() -> Iterator[None]:
    """Let tests import the programs in `benchmarks/` and `tools/`."""
    folders = [str(ROOT / "benchmarks"), str(ROOT / "tools")]
    sys.path[:0] = folders
    yield
    for folder in folders:
        sys.path.remove(folder)
