"""MATLAB's files of version 5, as `save` writes them by default: the arrays of numbers at the top.

Read by our own code, which makes no more room than a file's bytes, unpacked within `Limits`, need.

Source: MathWorks, "MAT-File Format", level 5.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from invertdesc.errors import FileError, InputError
from invertdesc.limits import check_limit, get_limits
from invertdesc.stores.record import Array

HEAD = 128  # bytes
MAGIC = b"MATLAB 5.0 MAT-file"
MATRIX, COMPRESSED, NAMES = 14, 15, (1, 2)
# Storage of elements, by their type.
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
# Classes of arrays of numbers: double, single, and whole numbers of 8 to 64 bits.
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
COMPLEX = 0x0800


@dataclass(frozen=True)
class _Element:
    kind: int
    data: bytes


def read_mat(data: bytes, where: str) -> dict[str, Array]:
    """Return the arrays of numbers of two axes, by name; whatever else there is is passed over.

    Raises:
        FileError: It is no such file, or it was cut off.
        InputError: Beyond the limits.
    """
    if len(data) < HEAD or data[126:128] not in (b"IM", b"MI"):
        raise FileError(f"Expected a MATLAB file of version 5 at {where}, got another.")
    order = "<" if data[126:128] == b"IM" else ">"
    found: dict[str, Array] = {}
    budget = get_limits().unpacked
    try:
        for element in _elements(data[HEAD:], order):
            inner = element
            if element.kind == COMPRESSED:
                unpacked = _inflate(element.data, budget)
                budget -= len(unpacked)
                inner = next(_elements(unpacked, order))
            if inner.kind == MATRIX:
                named = _matrix(inner.data, order)
                if named is not None:
                    found[named[0]] = named[1]
    except InputError:
        raise
    except (ValueError, StopIteration, zlib.error, IndexError) as error:
        reason = str(error) or "an element ends too early"
        raise FileError(f"Expected a whole MATLAB file at {where}, got: {reason}.") from error
    return found


def _inflate(data: bytes, most: int) -> bytes:
    tool = zlib.decompressobj()
    content = tool.decompress(data, most + 1)
    if len(content) > most:
        check_limit("unpacked", get_limits().unpacked + 1, "a MATLAB file")
    if not tool.eof:
        raise ValueError("a packed element ends too early")
    return content


def _elements(data: bytes, order: str) -> Iterator[_Element]:
    """Yield what a run of bytes holds, each with its type and without its padding."""
    place = 0
    while place < len(data):
        if len(data) - place < 8:
            raise ValueError("an element ends too early")
        kind, count = np.frombuffer(data[place : place + 8], f"{order}u4").tolist()
        if kind >> 16:  # small: both are in the first word, the bytes in the second
            kind, count, start, end = kind & 0xFFFF, kind >> 16, place + 4, place + 8
            if count > 4:
                raise ValueError("a small element of more than 4 bytes")
        else:
            start = place + 8
            end = start + count + (0 if kind == COMPRESSED else -count % 8)
        if start + count > len(data):
            raise ValueError("an element ends too early")
        yield _Element(kind, data[start : start + count])
        place = end


def _matrix(data: bytes, order: str) -> tuple[str, Array] | None:
    """Return the name and the numbers of an array of two axes; None where it is another."""
    parts = _elements(data, order)
    flags, sizes, name = next(parts), next(parts), next(parts)
    word = int(np.frombuffer(flags.data[:4], f"{order}u4")[0])
    shape = np.frombuffer(sizes.data, f"{order}i4").tolist()
    if word & 0xFF not in CLASSES or word & COMPLEX or len(shape) != 2 or min(shape) < 0:
        return None
    real = next(parts, _Element(9, b""))
    if real.kind not in TYPES or name.kind not in NAMES:
        raise ValueError(f"numbers of type {real.kind}")
    check_limit("values", prod(shape), "an array")
    values = np.frombuffer(real.data, order + TYPES[real.kind])
    if len(values) != prod(shape):
        raise ValueError(f"{len(values)} numbers where {shape[0]} x {shape[1]} belong")
    table = values.reshape(shape, order="F").astype(CLASSES[word & 0xFF])
    return name.data.decode("latin-1"), table
