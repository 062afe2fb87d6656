"""What a browser sees after each change, as plain arrays and texts; the page only lays them out."""

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
    """What one browser has before it.

    Attributes:
        path: The picture's file.
        descriptor: Registry name.
        stored: The picture and its features.
        asked: The choice and the mask that it was attacked with; None where that failed.
        folder: Of the files to download.
    """

    path: str
    descriptor: str
    stored: Stored
    asked: tuple[Choice, bytes] | None
    folder: Path


@dataclass(frozen=True, eq=False)
class View:
    """What changes in a browser.

    Attributes:
        words: What was done, or what is wrong.
        bad: Whether it is wrong.
        new: Whether the photograph is another one, so that what was drawn over it goes.
        photo: (H, W, 3), the photograph where it is another one.
        keypoints: (H, W, 3), those that the attacker has.
        picture: (H, W, 3), what he made of them.
        files: Features, the picture, and all side by side, to download.
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
    """Answer changes. One serves all browsers: what each of them has before it comes with the call.

    Attributes:
        folder: For files to download.
        uploads: Where the pictures lie that browsers sent; no others are read, but the examples.
        side: Pixels of the longer side that pictures are shrunk to.
        device: Where to compute.
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
        """Attack, and return what the browser has before it from now on, with what changes.

        The latter is None where the same is asked again, as gradio does for what we put there.

        Args:
            seen: What it has before it.
            path: The picture's file; None for none.
            mask: (h, w) bool, true where keypoints of the photograph seen are erased; None for
                nowhere.
            descriptor: Registry name.
            method: Registry name.
            percent: Share of the keypoints.
            hidden: Which of `"orientations"` and `"scales"` are not stored.
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
        """Refuse a file that is neither an upload nor an example, wherever links lead.

        Raises:
            InputError: It is another.
        """
        if not holds(self.uploads, path) and Path(path) not in map(example_path, EXAMPLES):
            raise InputError(
                "Expected a picture that was uploaded here or an example, got another."
            )

    def without_folders(self, error: Exception) -> str:
        """Return an error's words with names of files, not where on this machine they lie."""
        words = str(error)
        for folder in (self.uploads, self.folder):
            words = words.replace(f"{folder}/", "/")  # there may be blanks in it
        return re.sub(r"(?<![\w.)])/(?:[^/\s]+/)*(?=[^/\s])", "", words)


def example_at(index: object) -> str:
    """Return the file of an example by its place in the gallery.

    Raises:
        InputError: None has that place.
    """
    if not isinstance(index, int) or not 0 <= index < len(EXAMPLES):
        raise InputError(f"Expected an example from 0 to {len(EXAMPLES) - 1}, got {index!r}.")
    return str(example_path(EXAMPLES[index]))


def forget(seen: Seen | None) -> None:
    """Delete the files of what a browser has before it no longer."""
    if seen is not None:
        shutil.rmtree(seen.folder, ignore_errors=True)


def mask_of(drawing: Mapping[str, Any] | None) -> Tensor | None:
    """Return where the layers over a photograph are not clear, (h, w) bool; None for no layers.

    >>> mask_of({"layers": [np.array([[[9, 9, 9, 0], [9, 9, 9, 255]]], np.uint8)]})
    tensor([[False,  True]])
    """
    layers = [layer[..., 3] > 0 for layer in (drawing or {}).get("layers", [])]
    return torch.from_numpy(np.logical_or.reduce(layers)) if layers else None


def _view(stored: Stored, made: Attack, files: tuple[Path, ...], new: bool) -> View:
    zoom = max(1, round(SHOWN / max(stored.image.shape[1:])))
    return View(
        made.words,
        new=new,
        photo=to_uint8(enlarge(stored.image, zoom)) if new else None,
        keypoints=to_uint8(draw_keypoints(made.features, stored.image, zoom=zoom)),
        picture=to_uint8(enlarge(made.picture, zoom)),
        files=files,
    )
