"""Pictures that everybody has: what an attacker learns the effect of a defence from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from invertdesc.errors import InputError, InvertDescError
from invertdesc.evaluation.understanding import fingerprint
from invertdesc.features.bits import to_values
from invertdesc.image import read_image, shrink_image, to_gray
from invertdesc.unfolding.fit import Patches, patches_of

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

# Photographs that scikit-image ships. Some are the ones that defenders hide vectors among, too:
# such a database is public.
SHIPPED = [
    "brick.png",
    "camera.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
]
SIDES = (256, 512)  # pixels of the longer side: a large picture is looked at in both sizes
MOST = 200  # pictures
SAME = 0.9  # likeness of fingerprints from which on two pictures are the same


class Look(NamedTuple):
    """A public picture in one size.

    Attributes:
        gray: (H, W), of the gray that its features were made of.
        patches: Its keypoints, and what is around them.
    """

    gray: Tensor
    patches: Patches


class Public:
    """Public pictures, described when it is asked for.

    Attributes:
        adapter: What describes them.
        pictures: (3, H, W) RGB in [0, 1] each.
        source: What they are, in words.
    """

    def __init__(self, adapter: Descriptor, pictures: Sequence[Tensor], source: str) -> None:
        self.adapter = adapter
        self.pictures = list(pictures)
        self.source = source

    @classmethod
    def shipped(cls, adapter: Descriptor, audited: Sequence[Tensor] = ()) -> Public:
        """Return scikit-image's photographs, but for those that are audited themselves."""
        import skimage

        folder = Path(skimage.__file__).parent / "data"
        known = [fingerprint(one) for one in audited]
        pictures = [
            picture
            for name in SHIPPED
            if not _among(picture := shrink_image(read_image(folder / name), SIDES[-1]), known)
        ]
        return cls(adapter, pictures, f"{len(pictures)} photographs that scikit-image ships")

    @classmethod
    def of(cls, adapter: Descriptor, pictures: Sequence[Tensor]) -> Public:
        """Return pictures that the user brings.

        Raises:
            InputError: There is none.
        """
        if not pictures:
            raise InputError("Expected public pictures to learn from, got none.")
        some = [shrink_image(one, SIDES[-1]) for one in pictures[:MOST]]
        return cls(adapter, some, f"{len(some)} pictures that were given as public")

    @cached_property
    def looks(self) -> list[Look]:
        """Each picture in each size, described; those without a keypoint are left out.

        Raises:
            InvertDescError: The adapter cannot extract, or finds nothing.
        """
        found = []
        for picture in self.pictures:
            longest = max(picture.shape[1:])
            for side in sorted({min(side, longest) for side in SIDES}):
                small = shrink_image(picture, side)
                features = self.adapter.extract(small)
                if len(features):
                    gray = to_gray(small, features.provenance.gray_mode)
                    described = [(small, features)]
                    patches = next(patches_of(self.adapter, described, self.adapter.frame))
                    found.append(Look(gray, patches))
        if not found:
            raise InvertDescError("Expected keypoints in public pictures, found none.")
        return found

    @property
    def patches(self) -> list[Patches]:
        """Keypoints of each look, and what is around them.

        Raises:
            InvertDescError: The adapter cannot extract, or finds nothing.
        """
        return [one.patches for one in self.looks]

    @property
    def values(self) -> Tensor:
        """(N, D), the vectors of all pictures.

        Raises:
            InvertDescError: The adapter cannot extract, or finds nothing.
        """
        return torch.cat([to_values(one.features.descriptors) for one in self.patches])


def _among(picture: Tensor, known: Sequence[Tensor]) -> bool:
    return any(float(fingerprint(picture) @ one) > SAME for one in known)
