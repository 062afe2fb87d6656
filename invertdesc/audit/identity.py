"""How far the faces of two pictures are apart, by a model that the user brings."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc.errors import FileError, InputError
from invertdesc.features import Box


@dataclass(frozen=True, eq=False)
class Identity:
    """A distance of faces.

    Attributes:
        model: Turns (B, 3, S, S) RGB in [0, 1] into (B, E) embeddings.
        side: S, the pixels that models want; 112 for most.
    """

    model: Callable[[Tensor], Tensor]
    side: int = 112

    def __call__(self, picture: Tensor, truth: Tensor, faces: Sequence[Box]) -> float | None:
        """Return the mean of 1 - cosine over faces of the original, 0 for the same; None for none.

        Args:
            picture: (3, H, W) in [0, 1], the reconstruction.
            truth: (3, H, W) in [0, 1], the original.
            faces: (x0, y0, x1, y1) in the original, cut out of both.

        Raises:
            InputError: The model does not return embeddings.
        """
        if not faces:
            return None
        with torch.no_grad():
            made, true = (
                self.model(torch.stack([self._cut(one, face) for face in faces]))
                for one in (picture, truth)
            )
        if not isinstance(made, Tensor) or made.ndim != 2 or len(made) != len(faces):
            got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise InputError(
                f"Expected the identity model to return ({len(faces)}, E) numbers, got {got}."
            )
        return float(1 - F.cosine_similarity(made, true, dim=1).mean())

    def _cut(self, picture: Tensor, face: Box) -> Tensor:
        x0, y0, x1, y1 = map(int, face)
        part = picture[None, :, max(y0, 0) : y1, max(x0, 0) : x1]
        return F.interpolate(part, (self.side, self.side), mode="bilinear", antialias=True)[0]


def load_identity(path: str | os.PathLike[str], side: int = 112) -> Identity:
    """Read a model from a TorchScript file; it runs what is in there, so trust its maker.

    Raises:
        FileError: Missing, or not TorchScript.
    """
    try:
        load: Any = torch.jit.load  # untyped
        model = load(os.fspath(path), map_location="cpu")
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise FileError(
            f"Expected a TorchScript file of an identity model, got {path}: {reason}. Write one "
            "with torch.jit.trace(model, example).save(file)."
        ) from error
    return Identity(model.eval(), side)
