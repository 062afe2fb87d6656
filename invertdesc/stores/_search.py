"""Find stores in a folder: the highest level first, and whole stores before single files."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from invertdesc.features import npz as archives
from invertdesc.sources import walk
from invertdesc.stores import (
    _feat,
    colmap,
    dumps,
    flat,
    hloc,
    lowe,
    mat,
    npy,
    opencv,
    opensfm,
    oxford,
    siftgeo,
    siftgpu,
    visualsfm,
    vlfeat,
    vlfeat_pair,
)
from invertdesc.stores._files import FileStore
from invertdesc.stores.alicevision import NAMES, AlicevisionStore
from invertdesc.stores.base import Store
from invertdesc.stores.npz import NpzStore
from invertdesc.stores.openmvg import OpenmvgStore

HEAD = 4096  # bytes by which a kind is recognised
TRIES = 1000  # maximum number of checked files of a folder
ALIKE = 100  # maximum number of checked files of one suffix
POINTER = b"version https://git-lfs.github.com/spec/"

_WHOLE: list[tuple[Callable[[bytes], bool], type[Store]]] = [
    (colmap.recognise, colmap.ColmapStore),
    (hloc.recognise, hloc.HlocStore),
]
_FILES: list[tuple[Callable[[bytes], bool], type[FileStore]]] = [
    (opencv.recognise, opencv.OpencvStore),
    (lowe.recognise, lowe.LoweStore),
    (visualsfm.recognise, visualsfm.VisualsfmStore),
    (oxford.recognise, oxford.OxfordStore),
    (vlfeat.recognise, vlfeat.VlfeatStore),
    (mat.recognise, mat.MatStore),
]
_SIZED: list[tuple[Callable[[bytes, int], bool], type[FileStore]]] = [  # by their bytes' number too
    (siftgpu.recognise, siftgpu.SiftgpuStore),
    (siftgeo.recognise, siftgeo.SiftgeoStore),
]
_ARCHIVES: list[tuple[set[str], type[FileStore]]] = [  # by the arrays in them
    (opensfm.ARRAYS, opensfm.OpensfmStore),
    (dumps.ARRAYS, dumps.DumpStore),
]


def readers() -> list[type[Store]]:
    """Return the readers of all kinds of files, of which a folder may hold any."""
    whole: list[type[Store]] = [kind for _, kind in _WHOLE] + [npy.NpyStore, flat.FlatStore]
    files: list[type[Store]] = [kind for _, kind in (*_FILES, *_ARCHIVES, *_SIZED)]
    pairs = (vlfeat_pair.VlfeatPairStore, OpenmvgStore, AlicevisionStore)
    return [*whole, *files, NpzStore, *pairs]


@dataclass(frozen=True)
class Found:
    """A file of a known kind.

    Attributes:
        file: The store, or the first of its files.
        kind: Reader of the file; None if there is no reader.
        words: Description of the file.
    """

    file: Path
    kind: type[Store] | None
    words: str

    @property
    def is_whole(self) -> bool:
        """Whether this one file has all images."""
        return self.kind is not None and not issubclass(self.kind, FileStore)

    @property
    def suffix(self) -> str:
        """The end of the file's name that all files of the store share."""
        if self.kind is opensfm.OpensfmStore and self.file.name.endswith(opensfm.SUFFIX):
            return opensfm.SUFFIX
        parts = self.file.suffixes
        packed = len(parts) > 1 and parts[-1] == ".gz"
        # .sift.feat, .hesaff.sift
        described = len(parts) > 1 and self.kind in (AlicevisionStore, oxford.OxfordStore)
        return "".join(parts[-2:]) if packed or described else self.file.suffix

    def name_in(self, folder: Path) -> str:
        """Return its name for a list of the content of a folder."""
        name = self.file.relative_to(folder).as_posix()
        several = self.kind is not None and not self.is_whole
        return f"{f'*{self.suffix}' if several else name} ({self.words})"


def look_at(file: Path) -> Found | None:
    """Return what a file is; None if its kind is unknown."""
    head = _head(file)
    if npy.recognise(file, head):
        return Found(file, npy.NpyStore, npy.NpyStore.kind)
    if flat.recognise(file, head):
        first = file.with_name(f"{flat.REQUIRED[0]}.h5")
        return Found(first, flat.FlatStore, flat.FlatStore.kind)
    for recognise, store in (*_WHOLE, *_FILES):
        if recognise(head):
            return Found(file, store, store.kind)
    if archives.recognise(head, file.suffix):
        return _look_at_npz(file)
    size = file.stat().st_size if head else 0
    for recognise_sized, kind in _SIZED:
        if recognise_sized(head, size):
            return Found(file, kind, kind.kind)
    if vlfeat_pair.recognise(file):
        return Found(file, vlfeat_pair.VlfeatPairStore, vlfeat_pair.VlfeatPairStore.kind)
    if file.suffix == ".feat" and _feat.recognise(head):
        named = NAMES.fullmatch(file.name) is not None
        pair: type[FileStore] = AlicevisionStore if named else OpenmvgStore
        return Found(file, pair, pair.kind)
    if head.startswith(POINTER):
        return Found(file, None, "a pointer of Git LFS: `git lfs pull` fetches the file itself")
    if oxford.lacks_vectors(head):
        return Found(file, None, "Oxford's regions without vectors")
    return None


def _look_at_npz(file: Path) -> Found | None:
    arrays = set(archives.arrays_in(file) or ())
    if "meta" not in arrays:
        for needed, kind in _ARCHIVES:
            if needed <= arrays:
                return Found(file, kind, kind.kind)
    stranger = archives.whose(file)
    return Found(file, None if stranger else NpzStore, stranger or NpzStore.kind)


def search(folder: Path) -> Iterator[Found]:
    """Yield the stores in a folder and its subfolders; files of one store only once."""
    endings: set[str] = set()  # of the found stores
    strangers: set[str] = set()
    seen: set[Path] = set()
    opened: Counter[str] = Counter()
    for name in walk(folder):
        file = folder / name
        taken = any(name.endswith(end) if end else not file.suffix for end in endings)
        if taken or opened[file.suffix] == ALIKE or opened.total() == TRIES:
            continue
        opened[file.suffix] += 1
        found = look_at(file)
        if found is None or found.words in strangers or found.file in seen:
            continue
        seen.add(found.file)
        if found.kind is None:
            strangers.add(found.words)
        elif not found.is_whole:
            endings.add(found.suffix)
        yield found


def _head(file: Path) -> bytes:
    """Return the beginning of a regular file, without gzip packing; empty for any other."""
    if not file.is_file():
        return b""
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD)
        if head.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except (OSError, zlib.error):
        return b""
    return head
