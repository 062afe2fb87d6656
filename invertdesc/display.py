"""Pictures and features on the screen."""

from __future__ import annotations

from PIL import Image

from invertdesc.drawing import draw_keypoints, in_a_row
from invertdesc.errors import InputError
from invertdesc.features.local import LocalFeatures
from invertdesc.image import to_image, to_uint8


def show(*pictures: object) -> Image.Image:
    """Lay pictures and features side by side in an image, which notebooks display.

    Elsewhere its `show()` opens a window, and its `save(path)` writes a file.

    Args:
        pictures: Images as `extract` takes them, such as reconstructions (3, H, W); of features the
            keypoints are drawn on black.

    Raises:
        InputError: None given, or something else.
        FileError: A path leads to no image.

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
