"""Measure the distance of the faces in two pictures by a model of the user."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.errors import FileError, InputError
from invertdesc.features.local import Box


@dataclass(frozen=True, eq=False)
class Identity:
    """A distance between faces.

    Attributes:
        model: Module from (1, 3, S, S) RGB in [0, 1] to a (1, E) embedding.
        side: Input size S of the model in pixels; 112 for most models.
    """

    model: Callable[[Tensor], Tensor]
    side: int = 112

    def __call__(self, picture: Tensor, truth: Tensor, faces: Sequence[Box]) -> float | None:
        """Return the mean of 1 - cosine over the original's faces, 0 if equal; None without faces.

        Args:
            picture: (3, H, W) in [0, 1], the reconstruction.
            truth: (3, H, W) in [0, 1], the original.
            faces: Boxes (x0, y0, x1, y1) in the original, which are cut out of both pictures.

        Raises:
            InputError: The model does not return embeddings.
        """
        if not faces:
            return None
        pairs = [(self._embed(picture, face), self._embed(truth, face)) for face in faces]
        return sum(float(1 - F.cosine_similarity(*pair)) for pair in pairs) / len(pairs)

    def _embed(self, picture: Tensor, face: Box) -> Tensor:
        """Return (1, E) for one face; exported models often accept only one."""
        with torch.no_grad():
            made = self.model(self._cut(picture, face)[None])
        if not isinstance(made, Tensor) or made.ndim != 2 or len(made) != 1:
            got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise InputError(f"Expected the identity model to return (1, E) numbers, got {got}.")
        return made

    def _cut(self, picture: Tensor, face: Box) -> Tensor:
        x0, y0, x1, y1 = map(int, face)
        part = picture[None, :, max(y0, 0) : y1, max(x0, 0) : x1]
        return F.interpolate(part, (self.side, self.side), mode="bilinear", antialias=True)[0]


def load_identity(path: str | os.PathLike[str], side: int = 112) -> Identity:
    """Read a model from a file of torch.export (.pt2) or TorchScript (any other suffix).

    Such files are programs and are executed: load only files that you trust.

    Raises:
        FileError: The file is missing, or of neither kind.
    """
    name = Path(path)
    try:
        with warnings.catch_warnings():
            for kind in (DeprecationWarning, FutureWarning):  # of TorchScript, by PyTorch's version
                warnings.simplefilter("ignore", kind)
            if name.suffix.lower() == ".pt2":
                return Identity(torch.export.load(name).module(), side)
            load: Any = torch.jit.load  # has no types
            return Identity(load(str(name), map_location="cpu").eval(), side)
    except Exception as error:  # broken files can raise anything
        reason = str(error).strip().partition("\n")[0]
        raise FileError(
            f"Expected an identity model of torch.export (.pt2) or TorchScript, got {path}: "
            f"{reason}. Write one with torch.export.save(torch.export.export(model, (example,)), "
            "'model.pt2')."
        ) from error
