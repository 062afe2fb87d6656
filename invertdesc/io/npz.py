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
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from invertdesc._atomic import atomic_write
from invertdesc._feature_checks import ROW_FIELDS
from invertdesc._version import __version__
from invertdesc.errors import FileError, InputError
from invertdesc.features import LocalFeatures, Provenance
from invertdesc.io._files import FileStore
from invertdesc.io._record import Record

FORMAT = "invertdesc-features"
VERSION = 1
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


def recognise(head: bytes) -> bool:
    """Say whether a file that begins so is a zip archive, as .npz files are."""
    return head.startswith(b"PK\x03\x04")


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
    name = Path(path)
    if not name.is_file():
        raise FileError(f"Expected a file of features, found none at {name}.")
    try:
        with name.open("rb") as file:
            if file.read(2) != b"PK":
                raise ValueError("it is no zip archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                meta = _read_meta(archive)
                arrays = {key: archive[key] for key in ROW_FIELDS if key in archive}
    except _BROKEN as error:
        raise FileError(
            f"Expected an .npz file that invertdesc wrote, got {name}: {error}. "
            "Make one with `invertdesc extract` or LocalFeatures.save."
        ) from error
    return _build(meta, arrays, name)


def _read_meta(archive: Any) -> dict[str, Any]:
    if "meta" not in archive:
        raise ValueError(f"it has no 'meta' but {', '.join(archive.files) or 'nothing'}")
    meta = json.loads(str(archive["meta"]))
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
        return LocalFeatures(
            image_size=meta["image_size"],
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
