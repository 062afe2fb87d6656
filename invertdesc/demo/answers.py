"""Compute what the page shows after each change, as arrays and texts."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from invertdesc.demo.attack import Attack, Choice, Stored, attack, save_attack, store
from invertdesc.demo.folder import holds
from invertdesc.drawing import draw_keypoints, enlarge
from invertdesc.errors import InputError, InvertDescError
from invertdesc.image import to_uint8
from invertdesc.sources import EXAMPLES, example_path

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

SHOWN = 512  # pixels of the longer side, below which pictures are enlarged


@dataclass(frozen=True, eq=False)
class Seen:
    """The state of one browser.

    Attributes:
        path: File of the picture.
        descriptor: Registry name of the descriptor.
        stored: The picture and its features.
        asked: Choice and mask of the last attack; None if it failed.
        folder: Folder of the files to download.
    """

    path: str
    descriptor: str
    stored: Stored
    asked: tuple[Choice, bytes] | None
    folder: Path


@dataclass(frozen=True, eq=False)
class View:
    """The changes of the page in a browser.

    Attributes:
        words: Message or error.
        bad: Whether `words` is an error.
        new: Whether there is a new photograph, so that drawings on the old one are removed.
        photo: (H, W, 3), the photograph if it is new.
        keypoints: (H, W, 3), a drawing of the keypoints that the attacker has.
        picture: (H, W, 3), the reconstruction.
        files: Files to download: features, reconstruction, and all pictures side by side.
    """

    words: str
    bad: bool = False
    new: bool = False
    photo: Array | None = None
    keypoints: Array | None = None
    picture: Array | None = None
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Answers:
    """Compute the answers to changes. One object serves all browsers; each call has their state.

    Attributes:
        folder: Folder for files to download.
        uploads: Folder of uploaded pictures; only these and the examples are read.
        side: Longest side of pictures in pixels; larger ones are shrunk.
        device: Device to compute on.
    """

    folder: Path
    uploads: Path
    side: int = 512
    device: str | None = None

    def __call__(
        self,
        seen: Seen | None,
        path: str | None,
        mask: Tensor | None = None,
        *,
        descriptor: str = "sift",
        method: str = "unfold",
        percent: float = 100,
        hidden: Sequence[str] = (),
    ) -> tuple[Seen | None, View | None]:
        """Run the attack; return the new state of the browser and the changes of its page.

        The changes are None if nothing changed: gradio also reports values that the page itself
        set.

        Args:
            seen: The present state of the browser.
            path: File of the picture, or None.
            mask: (h, w) bool, true where keypoints of the present photograph are erased; None for
                no mask.
            descriptor: Registry name of the descriptor.
            method: Registry name of the method.
            percent: Share of the keypoints, in percent.
            hidden: Fields that are not stored: `"orientations"`, `"scales"`.
        """
        if path is None:
            forget(seen)
            return None, View("Choose a picture.", new=True)
        same = seen if seen is not None and seen.path == path else None
        known = same if same is not None and same.descriptor == descriptor else None
        mask = None if same is None or mask is None or not mask.any() else mask
        try:
            if known is None:
                self.check_readable(path)
            choice = Choice(
                method=method,
                share=percent / 100,
                orientations="orientations" not in hidden,
                scales="scales" not in hidden,
            )
            asked = choice, b"" if mask is None else mask.numpy().tobytes()
            if known is not None and known.asked == asked:
                return known, None
            stored = store(path, descriptor, self.side) if known is None else known.stored
            made = attack(stored, choice, mask, self.device)
            files = save_attack(stored, made, method, Path(tempfile.mkdtemp(dir=self.folder)))
        except InvertDescError as error:
            view = View(self.without_folders(error), bad=True, new=same is None)
            if same is not None:
                return replace(same, asked=None), view
            forget(seen)
            return None, view
        forget(seen)
        now = Seen(path, descriptor, stored, asked, files[0].parent)
        return now, _view(stored, made, files, same is None)

    def check_readable(self, path: str) -> None:
        """Refuse a file that is neither an upload nor an example, after following links.

        Raises:
            InputError: It is another file.
        """
        if not holds(self.uploads, path) and Path(path) not in map(example_path, EXAMPLES):
            raise InputError("Expected an uploaded picture or an example, got another file.")

    def without_folders(self, error: Exception) -> str:
        """Return an error message with file names but without the folders of this machine."""
        words = str(error)
        for folder in (self.uploads, self.folder):
            words = words.replace(f"{folder}/", "/")  # the folder name may contain spaces
        return re.sub(r"(?<![\w.)])/(?:[^/\s]+/)*(?=[^/\s])", "", words)


def example_at(index: object) -> str:
    """Return the file of an example by its index in the gallery.

    Raises:
        InputError: There is no such example.
    """
    if not isinstance(index, int) or not 0 <= index < len(EXAMPLES):
        raise InputError(f"Expected an example from 0 to {len(EXAMPLES) - 1}, got {index!r}.")
    return str(example_path(EXAMPLES[index]))


def forget(seen: Seen | None) -> None:
    """Delete the files of an old state of a browser."""
    if seen is not None:
        shutil.rmtree(seen.folder, ignore_errors=True)


def mask_of(drawing: Mapping[str, Any] | None) -> Tensor | None:
    """Return where layers over a photograph are not transparent, (h, w) bool; None for no layers.

    >>> mask_of({"layers": [np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], np.uint8)]})
    tensor([[False,  True]])
    """
    layers = [layer[..., 3] > 0 for layer in (drawing or {}).get("layers", [])]
    return torch.from_numpy(np.logical_or.reduce(layers)) if layers else None


def zoom_of(image_size: tuple[int, int]) -> int:
    """Return the whole factor by which the page enlarges a small picture."""
    return max(1, round(SHOWN / max(image_size)))


def _view(stored: Stored, made: Attack, files: tuple[Path, ...], new: bool) -> View:
    zoom = zoom_of(made.features.image_size)
    return View(
        made.words,
        new=new,
        photo=to_uint8(enlarge(stored.image, zoom)) if new else None,
        keypoints=to_uint8(draw_keypoints(made.features, zoom=zoom)),
        picture=to_uint8(enlarge(made.picture, zoom)),
        files=files,
    )
