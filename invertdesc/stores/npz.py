"""The project's own file: one image's features as an uncompressed NumPy .npz archive.

Arrays carry the names of the `LocalFeatures` fields; `meta` is a JSON text with the rest. Nothing
in the file is ever unpickled.
"""

import json
import os
import tokenize
import zipfile
import zlib
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from invertdesc._files import atomic_write, existing_file
from invertdesc._version import __version__
from invertdesc.errors import FileError, InputError
from invertdesc.features._checks import ROW_FIELDS, checked_size
from invertdesc.features.local import LocalFeatures, Provenance
from invertdesc.limits import check_limit
from invertdesc.stores._files import FileStore
from invertdesc.stores.record import Record

FORMAT = "invertdesc-features"
VERSION = 1
SHOWN = 8  # names of arrays
_REQUIRED = {"descriptor": str, "image_size": list, "provenance": dict}
_BROKEN = (  # what reading a damaged or foreign archive raises
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    RuntimeError,
    tokenize.TokenError,  # of NumPy's parser of what an array is
    zipfile.BadZipFile,
    zlib.error,
)


# Arrays that other programs put into .npz files, by what those are.
_FOREIGN = {
    ("descriptors", "points"): "OpenSfM's features, which are not read yet",
    ("frequencies", "words"): "OpenSfM's vocabulary, which holds no features of images",
    ("descriptors", "keypoints"): "features as D2-Net and R2D2 write them, which are not read yet",
}


def recognise(head: bytes, suffix: str) -> bool:
    """Say whether a file that begins so is NumPy's archive, or a damaged one by its name."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return head.startswith(b"PK\x03\x04") and (name.endswith(b".npy") or suffix == ".npz")


def whose(file: Path) -> str | None:
    """Say in words what an archive that is not ours holds; None for ours and for a damaged one."""
    try:
        with zipfile.ZipFile(file) as archive:
            arrays = [name.removesuffix(".npy") for name in archive.namelist()]
    except _BROKEN:
        return None
    if "meta" in arrays:
        return None
    for names, words in _FOREIGN.items():
        if set(names) <= set(arrays):
            return words
    return f"an .npz file of other arrays ({', '.join(arrays[:SHOWN]) or 'none'})"


class NpzStore(FileStore):
    """Read an .npz file of ours, or all in a folder and below."""

    kind: ClassVar[str] = "invertdesc .npz"

    def _load(self, name: str) -> LocalFeatures:
        features = load_npz(self._file(name))
        return features if self._told is None else replace(features, descriptor=self._told)

    def _read(self, file: Path) -> Record:
        features = load_npz(file)
        scales, turns, scores = (
            None if part is None else part.numpy()
            for part in (features.scales, features.orientations, features.scores)
        )
        return Record(
            xy=features.keypoints.numpy(),
            vectors=features.descriptors.numpy(),
            image_size=features.image_size,
            scales=scales,
            orientations=turns,
            scores=scores,
            descriptor=features.descriptor,
            producer=features.provenance.producer,
        )


def save_npz(features: LocalFeatures, path: str | os.PathLike[str]) -> None:
    """Write features to an .npz file, whole or not at all.

    Raises:
        FileError: The place cannot be written.
        InputError: The provenance holds what JSON cannot.
    """
    source = features.provenance
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "library": f"invertdesc {__version__}",
        "descriptor": features.descriptor,
        "image_size": features.image_size,
        "provenance": {
            "gray": source.gray,
            "producer": source.producer,
            "parameters": dict(source.parameters),
        },
    }
    arrays = {
        name: value.detach().cpu().numpy()
        for name in ROW_FIELDS
        if (value := getattr(features, name)) is not None
    }
    try:
        text = json.dumps(meta)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Expected a provenance of plain numbers, texts and lists, got {source}: {error}."
        ) from error
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, meta=np.array(text), **arrays)


def load_npz(path: str | os.PathLike[str]) -> LocalFeatures:
    """Read features from an .npz file that `save_npz` wrote.

    Raises:
        FileError: Missing, unreadable, or not ours.
        InputError: Ours, but with values that no features have.
    """
    name = existing_file(path, "a file of features")
    try:
        with name.open("rb") as file:
            if file.read(2) != b"PK":
                raise ValueError("it is no zip archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                _check_room(archive.zip)
                meta = _read_meta(archive)
                arrays = {
                    key: archive[f"{key}.npy"] for key in ROW_FIELDS if f"{key}.npy" in archive
                }
    except InputError as error:
        raise InputError(f"Cannot use {name}: {error}") from error
    except _BROKEN as error:
        foreign = whose(name)
        raise FileError(
            f"Expected an .npz file that invertdesc wrote, got {name}: {foreign or error}. "
            "Make one with `invertdesc extract` or LocalFeatures.save."
        ) from error
    return _build(meta, arrays, name)


def _check_room(archive: zipfile.ZipFile) -> None:
    """Check what reading takes: compressed, a few bytes can become any number.

    Raises:
        InputError: Beyond the limits.
    """
    wanted = {f"{name}.npy" for name in ("meta", *ROW_FIELDS)}
    found = [info for info in archive.infolist() if info.filename in wanted]
    for info in found:
        with archive.open(info) as member:
            count, size = _claimed(member)
        if count * size > info.file_size:
            raise ValueError(f"{info.filename!r} claims more values than are there")
        check_limit("values", count, "an array")
    packed = [info.file_size for info in found if info.compress_type != zipfile.ZIP_STORED]
    check_limit("unpacked", sum(packed), "arrays")


def _claimed(member: IO[bytes]) -> tuple[int, int]:
    """Return how many values the head of an .npy file claims, and the bytes of one."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise ValueError(f"it has an array of version {version}")
    return prod(shape), dtype.itemsize


def _read_meta(archive: Any) -> dict[str, Any]:
    if "meta.npy" not in archive:
        raise ValueError("it has no 'meta'")
    meta = json.loads(str(archive["meta.npy"]))
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise ValueError("its 'meta' is not ours")
    if meta.get("version") != VERSION:
        raise ValueError(f"it has version {meta.get('version')} of the format, this is {VERSION}")
    return meta


def _build(meta: dict[str, Any], arrays: dict[str, NDArray[Any]], path: Path) -> LocalFeatures:
    try:
        for key, kind in _REQUIRED.items():
            if not isinstance(meta.get(key), kind):
                raise InputError(f"Expected {key} as a {kind.__name__}, got {meta.get(key)!r}.")
        for key in ("keypoints", "descriptors"):
            if key not in arrays:
                raise InputError(f"Expected an array of {key}, got none.")
        height, width = checked_size(meta["image_size"])
        check_limit("pixels", height * width, "an image")
        check_limit("keypoints", prod(arrays["keypoints"].shape[:1]), "an image")
        return LocalFeatures(
            image_size=(height, width),
            descriptor=meta["descriptor"],
            provenance=_read_provenance(meta["provenance"]),
            **{name: torch.from_numpy(array) for name, array in arrays.items()},
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"Expected features that make sense in {path}, got: {error}") from error


def _read_provenance(source: dict[str, Any]) -> Provenance:
    told = Provenance(**source)
    if not (
        isinstance(told.gray, str | None)
        and isinstance(told.producer, str | None)
        and isinstance(told.parameters, dict)
    ):
        raise InputError(f"Expected a provenance of texts and parameters, got {source}.")
    return told
