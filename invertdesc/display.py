"""Show pictures and features on the screen."""

from __future__ import annotations

from PIL import Image

from invertdesc.drawing import draw_keypoints, in_a_row
from invertdesc.errors import InputError
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_image, to_uint8


def show(*pictures: object) -> Image.Image:
    """Put pictures and features side by side into an image, which notebooks display.

    Outside notebooks, its `show()` opens a window, and its `save(path)` writes a file.

    Args:
        pictures: Images as for `extract`, such as reconstructions (3, H, W), or features, whose
            keypoints are drawn on black.

    Raises:
        InputError: There is no argument, or one is neither an image nor features.
        FileError: A path is not an image file.

    >>> import torch
    >>> show(torch.zeros(3, 20, 30), torch.ones(3, 40, 10)).size
    (46, 40)
    """
    if not pictures:
        raise InputError("Expected pictures or features to show, got none.")
    panels = [
        draw_keypoints(one) if isinstance(one, LocalFeatures) else to_image(one).cpu()
        for one in pictures
    ]
    return Image.fromarray(to_uint8(in_a_row(panels)))
