"""The project's own file: one image's features as an uncompressed NumPy .npz archive.

Arrays carry the names of the `LocalFeatures` fields; `meta` is a JSON text with the rest. Nothing
in the file is ever unpickled.
"""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from invertdesc._atomic import atomic_write
from invertdesc._feature_checks import ROW_FIELDS
from invertdesc._version import __version__
from invertdesc.errors import FileError, InputError
from invertdesc.features import LocalFeatures, Provenance

FORMAT = "invertdesc-features"
VERSION = 1


def save_npz(features: LocalFeatures, path: str | os.PathLike[str]) -> None:
    """Write features to an .npz file, whole or not at all.

    Raises:
        FileError: The place cannot be written.
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
        name: value.cpu().numpy()
        for name in ROW_FIELDS
        if (value := getattr(features, name)) is not None
    }
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, meta=np.array(json.dumps(meta)), **arrays)


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
        with np.load(name, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds one bare array")
            meta = _read_meta(archive)
            arrays = {key: archive[key] for key in ROW_FIELDS if key in archive}
    except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
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
        source = meta["provenance"]
        return LocalFeatures(
            image_size=meta["image_size"],
            descriptor=str(meta["descriptor"]),
            provenance=Provenance(**source),
            **{name: torch.from_numpy(array) for name, array in arrays.items()},
        )
    except (InputError, TypeError, KeyError) as error:
        raise InputError(f"Expected features that make sense in {path}, got: {error}") from error
