"""Descriptors of which there are vectors and a fitted map, but no extractor."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from invertdesc._files import existing_file, open_tensors
from invertdesc.descriptors.base import check_vectors
from invertdesc.errors import FileError, InputError
from invertdesc.features.bits import unpack_bits
from invertdesc.features.local import LocalFeatures
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.unfolding import FORMAT, VERSION, Unfolding

WHAT = "an unfolding that was fitted to a program's features"


@dataclass(frozen=True, eq=False, kw_only=True)
class Stored:
    """A descriptor known by its vectors and their unfolding alone, as `fit_program` makes one.

    `create_descriptor("mine.safetensors")` reads one. It needs no extractor, and has none.

    Attributes:
        name: What features call it: the file's path, so that other processes find it.
        width: Numbers or bytes of a vector as stored.
        packed: Whether the vector is bits, eight to a byte.
        frame: The square of the picture that a vector describes.
        map: The fitted unfolding; None before there is one.

    >>> import torch
    >>> adapter = Stored(name="mine", width=64, frame=Frame(16.0, scaled=False, rotated=False))
    >>> adapter.encode(torch.full((1, 64), 2.0))[0, :2]
    tensor([0.1250, 0.1250])
    """

    name: str
    width: int
    frame: Frame
    packed: bool = False
    map: Unfolding | None = None

    @property
    def dim(self) -> int:
        """Length of an encoded vector."""
        return 8 * self.width if self.packed else self.width

    @property
    def unfolding(self) -> Unfolding:
        """The fitted map.

        Raises:
            InputError: There is none yet.
        """
        if self.map is None:
            raise InputError(f"Expected {self.name!r} with an unfolding, got one without.")
        return self.map

    def extract(self, image: Tensor) -> LocalFeatures:
        """Refuse: there is no extractor.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"Expected a descriptor with an extractor, got {self.name!r}, of which there is a map "
            "alone. Pass features or a store, or run the program that it was fitted to."
        )

    def encode(self, raw: Tensor) -> Tensor:
        """Unpack bits, the lowest of a byte first, to -1 and +1; scale numbers to length 1."""
        check_vectors(raw, self.width, self.name)
        if self.packed:
            return unpack_bits(raw).float() * 2 - 1
        return F.normalize(raw.float(), dim=1)

    def card(self) -> dict[str, Any]:
        """Return what a file has to say of the vectors, to be read by `load_stored`."""
        return {"width": self.width, "packed": self.packed}


def load_stored(path: str | os.PathLike[str]) -> Stored:
    """Read what `fit_program` saved.

    Raises:
        FileError: Missing, broken, or an unfolding that has an adapter of its own.
    """
    file = existing_file(path, WHAT).absolute()
    found = file.stat()
    return _load(file, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=16)
def _load(file: Path, *_: int) -> Stored:
    """Read a file once; the other arguments say whether it is still the same."""
    with open_tensors(file, what=WHAT, format=FORMAT, newest=VERSION) as (header, _tensors):
        card = header.get("card") or {}
        vectors = card.get("vectors")
        if vectors is None:
            own = card.get("descriptor", "another descriptor")
            raise FileError(
                f"Expected {WHAT}, got {file}, which was fitted to {own!r}: name that as the "
                "descriptor, and pass this as unfolding=Unfolding.load(FILE)."
            )
        width, packed = int(vectors["width"]), bool(vectors["packed"])
    unfolding = Unfolding.load(file)
    stored = Stored(
        name=str(file), width=width, packed=packed, frame=unfolding.frame, map=unfolding
    )
    if len(unfolding.mean) != stored.dim:
        raise FileError(f"Expected a map of {stored.dim} numbers in {file}, got others.")
    return stored
