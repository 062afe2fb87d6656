"""A COLMAP model, binary or text, from its folder."""

from __future__ import annotations

from pathlib import Path

from invertdesc.errors import FileError
from invertdesc.maps import _colmap_binary, _colmap_text
from invertdesc.maps.model import Model, assemble

KIND = "COLMAP model"
_READERS = {".bin": _colmap_binary, ".txt": _colmap_text}
_PARTS = ("cameras", "images", "points3D")


def is_model(folder: Path) -> bool:
    """Say whether a folder holds a COLMAP model, or what is left of one."""
    return any((folder / f"images{suffix}").is_file() for suffix in _READERS)


def features_of(_: Path) -> Path | None:
    """Return where the features of its images are: COLMAP has no fixed place."""
    return None


def read_model(folder: Path) -> Model:
    """Read a model.

    Raises:
        FileError: Files are missing or unreadable.
        InputError: Files are cut off, or do not fit each other.
    """
    for suffix, reader in _READERS.items():
        if not (folder / f"images{suffix}").is_file():
            continue
        missing = [part for part in _PARTS if not (folder / f"{part}{suffix}").is_file()]
        if missing:
            raise FileError(
                f"Expected a whole COLMAP model in {folder}, found no {missing[0]}{suffix}."
            )
        cameras, images, points = (folder / f"{part}{suffix}" for part in _PARTS)
        return assemble(
            reader.read_cameras(cameras),
            reader.read_images(images),
            reader.read_points(points),
            kind=KIND,
        )
    raise FileError(f"Expected a COLMAP model in {folder}, found no images.bin and no images.txt.")
