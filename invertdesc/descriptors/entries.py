"""What each descriptor needs, and what of it ships."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from invertdesc.descriptors._unread import StoredDescriptor
from invertdesc.descriptors.registry import create_descriptor, descriptors
from invertdesc.errors import InvertDescError
from invertdesc.registry import Entry

if TYPE_CHECKING:
    from invertdesc.descriptors.base import Descriptor

DEFAULT = "sift"


def describe_descriptors(pattern: str = "*") -> list[Entry]:
    """Say of all descriptors that match a wildcard pattern what they need and what ships.

    To extract, they may need `"weights"`, which kornia downloads where no file is given, or a
    `"program"` that invertdesc does not run. To reconstruct, they may need an `"unfolding"`, which
    is to be fitted.

    >>> disk, hardnet = describe_descriptors("disk") + describe_descriptors("hardnet")
    >>> disk.needs, disk.ships, hardnet.needs
    (('weights',), ('unfolding',), ('weights', 'unfolding'))
    """
    return [_entry(name, summary) for name, summary in descriptors.summaries(pattern).items()]


def _entry(name: str, summary: str) -> Entry:
    needs: list[str] = []
    ships: list[str] = []
    try:
        adapter = create_descriptor(name)
    except InvertDescError:  # somebody's, whose package is not there
        return Entry(name, summary, ("its package",), (), name == DEFAULT)
    if hasattr(adapter, "weights"):
        needs.append("weights")
    elif isinstance(adapter, StoredDescriptor):
        needs.append("program")
    (ships if _unfolds(adapter) else needs).append("unfolding")
    return Entry(name, summary, tuple(needs), tuple(ships), name == DEFAULT)


def _unfolds(adapter: Descriptor) -> bool:
    with suppress(InvertDescError, AttributeError):
        return adapter.unfolding is not None
    return False
