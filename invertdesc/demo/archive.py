"""Show what a store or a map gives away: uploaded files, one picture at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from invertdesc._text import printable
from invertdesc.api import extract, reconstruct
from invertdesc.demo.answers import Answers, Array, zoom_of
from invertdesc.drawing import draw_keypoints, enlarge
from invertdesc.errors import FileError, InputError, InvertDescError
from invertdesc.features.local import LocalFeatures
from invertdesc.image import fit_size, to_uint8
from invertdesc.maps import Map, inspect_map, open_map, viewpoints_between
from invertdesc.sources import EXAMPLES, example_path
from invertdesc.stores.open import open_store
from invertdesc.stores.summary import check_readable, inspect_store

Kind: TypeAlias = Literal["store", "map"]

MOST = 1000  # images in a list to choose from
STEPS = 100  # of a way between two cameras


@dataclass(frozen=True)
class Archive:
    """An opened store or map of one browser.

    Attributes:
        path: Its file or folder.
        kind: Whether it is a store or a map.
        names: The first of its images.
        words: A summary of it.
    """

    path: Path
    kind: Kind
    names: tuple[str, ...]
    words: str


@dataclass(frozen=True, eq=False)
class Sight:
    """The picture of one image of an archive.

    Attributes:
        words: Message or error.
        bad: Whether `words` is an error.
        keypoints: (H, W, 3), the keypoints on black; None after an error.
        picture: (H, W, 3), the reconstruction; None after an error.
    """

    words: str
    bad: bool = False
    keypoints: Array | None = None
    picture: Array | None = None


def open_archive(
    answers: Answers, files: Sequence[str], kind: Kind
) -> tuple[Archive | None, str, bool]:
    """Open uploaded files; return the archive, a message, and whether that is an error.

    Args:
        answers: The folders of the server.
        files: Uploaded files: a store, or all files of a map.
        kind: What they are.
    """
    if not files:
        return None, "Choose a file.", False
    try:
        for file in files:
            answers.check_readable(file)
        archive = _opened(gather(files, answers.folder), kind)
    except InvertDescError as error:
        return None, answers.without_folders(error), True
    return archive, archive.words, False


def open_examples(answers: Answers) -> Archive:
    """Make a store of the examples, as an app would, and open it."""
    folder = Path(tempfile.mkdtemp(dir=answers.folder))
    for name in EXAMPLES:
        extract(example_path(name), max_side=answers.side).save(folder / f"{name}.npz")
    return _opened(folder, "store")


def look(
    answers: Answers,
    archive: Archive,
    name: str,
    *,
    until: str | None = None,
    step: int = 0,
    method: str = "unfold",
) -> Sight:
    """Reconstruct one image of a store, or a view of a map.

    Args:
        answers: The device to compute on, and the folders of the server.
        archive: The store or map.
        name: An image of it.
        until: Another image of a map, to which the camera goes.
        step: Where the camera is on its way, 0 to `STEPS`. At 0 and `STEPS` the image's own
            observations are left out.
        method: Registry name of the method.
    """
    try:
        features = (
            _stored(archive, name)
            if archive.kind == "store"
            else _viewed(archive, name, until, step, answers.side)
        )
        if not len(features):
            raise InputError("Expected keypoints, found none here. Choose another image.")
        picture = reconstruct(features, method=method, device=answers.device).cpu()
    except InvertDescError as error:
        return Sight(answers.without_folders(error), bad=True)
    zoom = zoom_of(features.image_size)
    return Sight(
        f"{archive.words} Used here: {len(features):,} keypoints with their descriptors.",
        keypoints=to_uint8(draw_keypoints(features, zoom=zoom)),
        picture=to_uint8(enlarge(picture, zoom)),
    )


def gather(files: Sequence[str], folder: Path) -> Path:
    """Put uploaded files, which lie in folders of their own, into one new folder.

    Returns:
        The folder, or the file in it if it is the only one.

    Raises:
        FileError: Two files have one name, or the disk is full.
    """
    place = Path(tempfile.mkdtemp(dir=folder))
    for file in map(Path, files):
        try:
            os.link(file, place / file.name)
        except FileExistsError as error:
            raise FileError(
                f"Expected files with different names, got two named {file.name}. Pack folders "
                "of files as one store, or use the command."
            ) from error
        except OSError as error:
            raise FileError(f"Cannot open {file.name}: {error.strerror or error}.") from error
    return place / Path(files[0]).name if len(files) == 1 else place


def _opened(path: Path, kind: Kind) -> Archive:
    if kind == "map":
        with _open_map(path) as source:
            summary = inspect_map(source)
            names = tuple(image.name for image in source.images[:MOST])
            words = f"A map of {summary.images:,} images and {summary.points:,} points."
        return Archive(path, kind, names, words)
    with open_store(path) as store:
        check_readable(store)
        names = tuple(islice(store.names(), MOST))
        found = inspect_store(store, images=20)
    if not names:
        raise InputError("Expected a store of features, got one without images.")
    description = found.description
    missing = ", ".join(description.missing) or "nothing"
    words = (
        f"{printable(description.kind)}: {found.images:,} images, described by "
        f"{printable(description.descriptor)}. Missing: {missing}."
    )
    return Archive(path, kind, names, words)


def _open_map(path: Path) -> Map:
    source = open_map(path)
    if source.store is not None:
        return source
    try:
        return open_map(path, features=path)
    except FileError as error:
        raise InputError(
            "Expected a map with the features of its images, got none. Upload COLMAP's "
            "database.db with the model."
        ) from error


def _stored(archive: Archive, name: str) -> LocalFeatures:
    with open_store(archive.path) as store:
        return store.load(name)


def _viewed(archive: Archive, name: str, until: str | None, step: int, side: int) -> LocalFeatures:
    with _open_map(archive.path) as source:
        if until is None or until == name or step in (0, STEPS):
            own = name if until is None or step < STEPS else until
            image = source.image(own)
            camera, pose, left_out = image.camera, image.pose, [own]
        else:
            view = viewpoints_between(source, name, until, STEPS + 1)[step]
            camera, pose, left_out = view.camera, view.pose, []
        camera = camera.resized(fit_size(camera.image_size, side))
        return source.view(camera, pose, leave_out=left_out)
