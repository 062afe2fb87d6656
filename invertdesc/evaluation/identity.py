"""A face model that the user brings, as a recogniser."""

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
from invertdesc.evaluation.faces import find_faces
from invertdesc.evaluation.recognition import Bounds, Face, overlapping
from invertdesc.features.local import Box


@dataclass(frozen=True, eq=False)
class Identity:
    """A recogniser from a model of cut faces; see `Recogniser`.

    Attributes:
        model: Turns (1, 3, S, S) RGB in [0, 1] into a (1, E) embedding.
        side: S, the pixels that models want; 112 for most.
        bounds: Up to which 1 - cosine two faces are one person, such as `bounds_of` measures it;
            None where nobody has: distances are measured then, but no person is recognised.
        name: What a report calls it.
    """

    model: Callable[[Tensor], Tensor]
    side: int = 112
    bounds: Bounds | None = None
    name: str = "the given model"

    def faces(self, picture: Tensor) -> list[Face]:
        """Find the faces in a picture (3, H, W), RGB in [0, 1].

        Raises:
            InputError: The model does not return embeddings.
        """
        return [Face(box, self._embed(picture, box)) for box in find_faces(picture)]

    def again(self, picture: Tensor, faces: Sequence[Face]) -> list[Face | None]:
        """Find those faces in another picture of the same scene; None where one is not found.

        Raises:
            InputError: The model does not return embeddings.
        """
        return overlapping(self.faces(picture), faces) if faces else []

    def distance(self, one: Tensor, other: Tensor) -> float:
        """Return 1 - cosine of two embeddings (E,), 0 for the same."""
        return float(1 - F.cosine_similarity(one, other, dim=0))

    def _embed(self, picture: Tensor, face: Box) -> Tensor:
        """Return (E,), one face at a time: exported models often take no more."""
        with torch.no_grad():
            made = self.model(self._cut(picture, face)[None])
        if not isinstance(made, Tensor) or made.ndim != 2 or len(made) != 1:
            got = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise InputError(f"Expected the identity model to return (1, E) numbers, got {got}.")
        return made[0]

    def _cut(self, picture: Tensor, face: Box) -> Tensor:
        x0, y0, x1, y1 = map(int, face)
        part = picture[None, :, max(y0, 0) : max(y1, y0 + 1), max(x0, 0) : max(x1, x0 + 1)]
        return F.interpolate(part, (self.side, self.side), mode="bilinear", antialias=True)[0]


def load_identity(path: str | os.PathLike[str], side: int = 112) -> Identity:
    """Read a model from a file of torch.export (.pt2) or TorchScript (any other suffix).

    Such files are programs, and run: trust their maker.

    Raises:
        FileError: Missing, or neither.
    """
    name = Path(path)
    try:
        with warnings.catch_warnings():
            for kind in (DeprecationWarning, FutureWarning):  # of TorchScript, by PyTorch's version
                warnings.simplefilter("ignore", kind)
            if name.suffix.lower() == ".pt2":
                return Identity(torch.export.load(name).module(), side, name=name.name)
            load: Any = torch.jit.load  # untyped
            return Identity(load(str(name), map_location="cpu").eval(), side, name=name.name)
    except Exception as error:  # either reader raises what broken bytes make it stumble over
        reason = str(error).strip().partition("\n")[0]
        raise FileError(
            f"Expected an identity model of torch.export (.pt2) or TorchScript, got {path}: "
            f"{reason}. Write one with torch.export.save(torch.export.export(model, (example,)), "
            "'model.pt2')."
        ) from error
