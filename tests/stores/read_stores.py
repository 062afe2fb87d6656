"""Read stores that may be damaged, and watch the memory that it takes."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from invertdesc import LocalFeatures, open_store
from invertdesc.errors import InvertDescError


def read_all(path: Path) -> tuple[dict[str, LocalFeatures], dict[str, InvertDescError]]:
    """Read everything; any error but ours gets out."""
    errors: dict[str, InvertDescError] = {}
    try:
        with open_store(path) as store:
            assert store.description.kind
            return dict(store.items(on_error=errors.__setitem__)), errors
    except InvertDescError as error:
        return {}, {"": error}


@contextmanager
def little_memory(most: int = 32 * 2**20) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
