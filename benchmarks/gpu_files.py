"""Make the results of a run on a lent GPU small enough to be brought back."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

MOST = int(15.9 * 2**20)  # bytes of a file


def save_weights(source: Path, target: Path, most: int = MOST) -> list[Path]:
    """Copy a file of weights, in parts if it is large; return the files.

    The parts together are one gzip file. Its weights are rounded to 8 significant bits, as
    computing in bfloat16 does, so that they compress to about two thirds.
    """
    data = source.read_bytes()
    for old in target.parent.glob(f"{target.name}*"):
        old.unlink()
    if len(data) <= most:
        target.write_bytes(data)
        return [target]
    packed, files = gzip.compress(rounded(source), 6), []
    for number, start in enumerate(range(0, len(packed), most)):
        files.append(target.with_name(f"{target.name}.gz.{number}"))
        files[-1].write_bytes(packed[start : start + most])
    return files


def rounded(source: Path) -> bytes:
    """Return a file of weights with large float16 tensors rounded to 8 significant bits."""
    with safe_open(source, "numpy") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = file.metadata()
    return save({key: _rounded(value) for key, value in tensors.items()}, header)


def _rounded(value: NDArray[np.generic]) -> NDArray[np.generic]:
    if value.dtype != np.float16 or value.size < 1000:
        return value
    bits = value.view(np.uint16).astype(np.uint32) + 4
    cut = np.ascontiguousarray((bits & 0xFFF8).astype(np.uint16)).view(np.float16)
    return np.where(np.isfinite(cut), cut, value).astype(np.float16)


def pack_sheets(work: Path, target: Path) -> None:
    """Put the contact sheets of all trainings into one file."""
    sheets = sorted(work.glob("*/sheet.png"))
    if sheets:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for sheet in sheets:
                archive.write(sheet, f"{sheet.parent.name}.png")
