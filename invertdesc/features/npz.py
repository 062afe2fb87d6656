"""The library's own file: one image's features as an uncompressed NumPy .npz archive.

Arrays carry the names of the fields of `LocalFeatures`; `meta` is a JSON text with the rest.
Nothing in the file is ever unpickled.
"""

import json
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from invertdesc._files import atomic_write, existing_file
from invertdesc._version import __version__
from invertdesc.errors import FileError, InputError
from invertdesc.features._checks import ROW_FIELDS, checked_size
from invertdesc.limits import check_limit

FORMAT = "invertdesc-features"
VERSION = 1
SHOWN = 8  # names of arrays
_REQUIRED = {"descriptor": str, "image_size": list, "provenance": dict}
_PROVENANCE = {"gray": str | None, "producer": str | None, "parameters": dict}
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
    ("descriptors", "points"): "OpenSfM's features, which open_store reads",
    ("frequencies", "words"): "OpenSfM's vocabulary, which holds no features of images",
    ("descriptors", "keypoints"): "features of another program, which open_store reads",
}


def recognise(head: bytes, suffix: str) -> bool:
    """Say whether a file that begins so is NumPy's archive, or a damaged one by its name."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return head.startswith(b"PK\x03\x04") and (name.endswith(b".npy") or suffix == ".npz")


def whose(file: Path) -> str | None:
    """Say in words what an archive that is not ours holds; None for ours and for a damaged one."""
    arrays = arrays_in(file)
    if arrays is None or "meta" in arrays:
        return None
    for names, words in _FOREIGN.items():
        if set(names) <= set(arrays):
            return words
    return f"an .npz file of other arrays ({', '.join(arrays[:SHOWN]) or 'none'})"


def arrays_in(file: Path) -> list[str] | None:
    """Return the names of an archive's arrays; None where it is damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except _BROKEN:
        return None


def read_arrays(
    path: Path, required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """Read named arrays of an archive that another program wrote; nothing is unpickled.

    Raises:
        FileError: Damaged, or an array is missing or holds Python's objects.
        InputError: Beyond the limits.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is one array, not an archive of several")
            names = [name for name in (*required, *optional) if name in archive.files]
            _check_room(cast("zipfile.ZipFile", archive.zip), names)
            found = {name: archive[name] for name in names}
    except InputError as error:
        raise InputError(f"Cannot use {path}: {error}") from error
    except _BROKEN as error:
        raise FileError(f"Expected a whole .npz file at {path}, got: {error}.") from error
    for name in required:
        if name not in found:
            raise FileError(f"Expected an array {name!r} in {path}, found none.")
    return found


def read_array(path: Path) -> NDArray[Any]:
    """Read an .npy file, whose bytes are as many as it claims; nothing is unpickled.

    Raises:
        FileError: Missing, damaged, or of Python's objects.
        InputError: Beyond the limits.
    """
    try:
        with path.open("rb") as file:
            count, size = _claimed(file)
            there = path.stat().st_size - file.tell()
            if count * size != there:
                raise ValueError(f"{there} bytes where {count * size} belong")
            check_limit("values", count, "an array")
            file.seek(0)
            found: NDArray[Any] = np.load(file, allow_pickle=False)
            return found
    except InputError as error:
        raise InputError(f"Cannot use {path}: {error}") from error
    except _BROKEN as error:
        raise FileError(f"Expected a whole .npy file at {path}, got: {error}.") from error


def write_npz(path: str | os.PathLike[str], fields: Mapping[str, Any]) -> None:
    """Write the fields of features to an .npz file, whole or not at all.

    Args:
        path: Where to write.
        fields: By the names of `LocalFeatures`; tensors, or None where a field is missing, and
            plain values. The provenance is a mapping.

    Raises:
        FileError: The place cannot be written.
        InputError: The provenance holds what JSON cannot.
    """
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "library": f"invertdesc {__version__}",
        **{name: fields[name] for name in _REQUIRED},
    }
    arrays = {
        name: value.detach().cpu().numpy()
        for name in ROW_FIELDS
        if (value := fields[name]) is not None
    }
    try:
        text = json.dumps(meta)
    except (TypeError, ValueError) as error:
        raise InputError(
            "Expected a provenance of plain numbers, texts and lists, got "
            f"{fields['provenance']}: {error}."
        ) from error
    with atomic_write(path) as file:
        np.savez(file, allow_pickle=False, meta=np.array(text), **arrays)


def read_npz(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the fields of features from an .npz file that `write_npz` wrote.

    Returns:
        Fields by the names of `LocalFeatures`, as `write_npz` takes them; those that are missing
        are left out. Shapes and values of tensors are not checked.

    Raises:
        FileError: Missing, unreadable, or of another program.
        InputError: The fields are not complete, or beyond the limits.
    """
    name = existing_file(path, "a file of features")
    try:
        with name.open("rb") as file:
            if file.read(2) != b"PK":
                raise ValueError("it is no zip archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                _check_room(archive.zip, ("meta", *ROW_FIELDS))
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
    try:
        _check_fields(meta, arrays)
        tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"Expected features that make sense in {name}, got: {error}") from error
    return {key: meta[key] for key in _REQUIRED} | tensors


def _check_room(archive: zipfile.ZipFile, names: Sequence[str]) -> None:
    """Check what reading arrays takes: compressed, a few bytes can become any number.

    Raises:
        InputError: Beyond the limits.
    """
    wanted = {f"{name}.npy" for name in names}
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


def _check_fields(meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    for key, kind in _REQUIRED.items():
        if not isinstance(meta.get(key), kind):
            raise InputError(f"Expected {key} as a {kind.__name__}, got {meta.get(key)!r}.")
    for key in ("keypoints", "descriptors"):
        if key not in arrays:
            raise InputError(f"Expected an array of {key}, got none.")
    height, width = checked_size(meta["image_size"])
    check_limit("pixels", height * width, "an image")
    check_limit("keypoints", prod(arrays["keypoints"].shape[:1]), "an image")
    source = meta["provenance"]
    if not all(isinstance(value, _PROVENANCE.get(key, ())) for key, value in source.items()):
        raise InputError(f"Expected a provenance of texts and parameters, got {source}.")
