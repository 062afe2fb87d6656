"""The file format of the library: the features of one image as an uncompressed .npz archive.

Arrays have the names of the fields of `LocalFeatures`; `meta` is a JSON text with the other data.
Nothing in the file is unpickled.
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
SHOWN = 8  # maximum number of array names in a message
_REQUIRED = {"descriptor": str, "image_size": list, "provenance": dict}
_PROVENANCE = {"gray": str | None, "producer": str | None, "parameters": dict}
_BROKEN = (  # errors when reading damaged archives or those of other programs
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    RuntimeError,
    tokenize.TokenError,  # from NumPy's parser of array headers
    zipfile.BadZipFile,
    zlib.error,
)


# Arrays that other programs write into .npz files, with a description of the file.
_FOREIGN = {
    ("descriptors", "points"): "OpenSfM's features, which open_store reads",
    ("frequencies", "words"): "OpenSfM's vocabulary, which holds no features of images",
    ("descriptors", "keypoints"): "features of another program, which open_store reads",
}


def recognise(head: bytes, suffix: str) -> bool:
    """Return whether a file with this beginning or name is an .npz archive, perhaps damaged."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    return head.startswith(b"PK\x03\x04") and (name.endswith(b".npy") or suffix == ".npz")


def whose(file: Path) -> str | None:
    """Describe the archive of another program; None for invertdesc's own or a damaged one."""
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
    """Write the fields of features to an .npz file atomically.

    Args:
        path: Path of the file to write.
        fields: Fields by the names of `LocalFeatures`: tensors, None for missing fields, and plain
            values. The provenance is a mapping.

    Raises:
        FileError: The file cannot be written.
        InputError: The provenance has values that JSON cannot store.
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
        Fields by the names of `LocalFeatures`, as for `write_npz`, without missing fields. Shapes
        and values of tensors are not checked.

    Raises:
        FileError: The file is missing, unreadable, or of another program.
        InputError: Fields are missing, or exceed the limits.
    """
    name = existing_file(path, "a file of features")
    try:
        with name.open("rb") as file:
            if file.read(2) != b"PK":
                raise ValueError("it is not a zip archive")
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
            "Make one with extract_folder or LocalFeatures.save."
        ).with_hint("extract_folder") from error
    try:
        _check_fields(meta, arrays)
        tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"Expected valid features in {name}, got: {error}") from error
    return {key: meta[key] for key in _REQUIRED} | tensors


def _check_room(archive: zipfile.ZipFile, names: Sequence[str]) -> None:
    """Check the memory that reading needs: a few compressed bytes can become very large.

    Raises:
        InputError: It exceeds the limits.
    """
    wanted = {f"{name}.npy" for name in names}
    found = [info for info in archive.infolist() if info.filename in wanted]
    for info in found:
        with archive.open(info) as member:
            count, size = _claimed(member)
        if count * size > info.file_size:
            raise ValueError(f"{info.filename!r} claims more values than it has")
        check_limit("values", count, "an array")
    packed = [info.file_size for info in found if info.compress_type != zipfile.ZIP_STORED]
    check_limit("unpacked", sum(packed), "arrays")


def _claimed(member: IO[bytes]) -> tuple[int, int]:
    """Return the number of values in the header of an .npy file, and the bytes of one value."""
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
        raise ValueError("its 'meta' is not that of invertdesc")
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
