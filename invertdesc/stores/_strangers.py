"""Files that are not read as they are, and the line that turns them into something that is."""

from __future__ import annotations

import zipfile
from itertools import islice
from pathlib import Path

from invertdesc.sources import walk

LOOKED = 1000  # files of a folder
PICKLES = (".pkl", ".pickle", ".p", ".npy")  # names of what a folder is looked through for
SAVE = "numpy.savez('a.npz', keypoints=XY, descriptors=VECTORS)"
PICKLE = (
    "a Python pickle, which can run any code when it is read, and is not read here. Where you "
    "trust it: python -c \"import numpy, pickle; d = pickle.load(open('a.pkl', 'rb')); "
    f'{SAVE}", with the parts of d for XY and VECTORS'
)
TORCH = (
    'a file of torch.save. This reads it without running what is in it: python -c "import numpy, '
    "torch; d = torch.load('a.pt', weights_only=True); numpy.savez('a.npz', **{k: v.numpy() for k, "
    'v in d.items()})"'
)
ARRAY = (
    "an array without names: put a layout.json beside that says what its columns are (see "
    "docs/guides/read-a-store.md)"
)


def words_for(file: Path) -> str | None:
    """Say what a file is that no reader takes, and what to do about it; None where unknown."""
    if not file.is_file():  # opening a pipe would wait for ever
        return None
    try:
        with file.open("rb") as stream:
            head = stream.read(8)
    except OSError:
        return None
    if head.startswith(b"\x93NUMPY"):
        return ARRAY
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return PICKLE
    if head.startswith(b"PK\x03\x04") and _is_torch(file):
        return TORCH
    return None


def advice_for(folder: Path) -> str:
    """Return a sentence on the first such file of a folder by its name, or nothing."""
    for name in islice(walk(folder), LOOKED):
        if name.endswith(PICKLES):
            words = words_for(folder / name)
            if words:
                return f" There is {name}, {words}."
    return ""


def _is_torch(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
