"""Draw keypoints, panels side by side, and contact sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from invertdesc.image import to_uint8

if TYPE_CHECKING:
    from invertdesc.features.local import LocalFeatures

_CAPTION = 22  # pixels
_GAP = 6
_FINE, _COARSE = (255, 214, 64), (255, 64, 96)
_SMALLEST = 448  # panels with a shorter longer side, in pixels, are enlarged


def draw_keypoints(
    features: LocalFeatures, image: Tensor | None = None, *, zoom: int = 1
) -> Tensor:
    """Draw a circle for each keypoint's scale and a line for its orientation, coarse ones redder.

    Without scales, circles are small. Without orientations, there are no lines.

    Args:
        features: Features of the image.
        image: (3, H, W) RGB in [0, 1] to draw on, dimmed; None for black.
        zoom: Integer factor of enlargement.

    Returns:
        (3, zoom * H, zoom * W) RGB in [0, 1].

    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> draw_keypoints(extract(camera()[::2, ::2]), zoom=2).shape
    torch.Size([3, 512, 512])
    """
    import cv2

    height, width = features.image_size
    ground = (
        torch.zeros(3, height, width)
        if image is None
        else 0.25 + 0.45 * image.mean(0).expand(3, -1, -1)
    )
    canvas = to_uint8(enlarge(ground, zoom)).copy()
    points = ((features.keypoints.cpu() + 0.5) * zoom - 0.5).tolist()
    scales = None if features.scales is None else features.scales.cpu()
    radii = [2.0] * len(points) if scales is None else (scales * zoom).clamp(min=1).tolist()
    turns = None if features.orientations is None else features.orientations.tolist()
    order = sorted(range(len(points)), key=lambda n: -radii[n])  # fine ones on top
    for n in order:
        (x, y), radius = points[n], radii[n]
        share = min(1.0, max(0.0, np.log2(max(radius / zoom, 1e-6)) / 4))
        colour = tuple(int(a + (b - a) * share) for a, b in zip(_FINE, _COARSE, strict=True))
        cv2.circle(canvas, _fixed(x, y), round(radius * 16), colour, 1, cv2.LINE_AA, shift=4)
        if turns is not None:
            tip = (x + radius * np.cos(turns[n]), y + radius * np.sin(turns[n]))
            cv2.line(canvas, _fixed(x, y), _fixed(*tip), colour, 1, cv2.LINE_AA, shift=4)
    return torch.from_numpy(canvas).permute(2, 0, 1) / 255


def side_by_side(
    features: LocalFeatures, picture: Tensor, image: Tensor | None, method: str
) -> Tensor:
    """Draw the original if there is one, the keypoints on black, and the reconstruction.

    Args:
        features: Features that the picture was made from.
        picture: (3, H, W) RGB in [0, 1], the reconstruction.
        image: (3, H, W) RGB in [0, 1], the original, or None.
        method: Name of the method, for the caption.

    Returns:
        (3, h, w) RGB in [0, 1].

    >>> from skimage.data import camera
    >>> from invertdesc import extract, reconstruct
    >>> features = extract(camera()[::2, ::2])
    >>> side_by_side(features, reconstruct(features), None, "unfold").shape
    torch.Size([3, 534, 1030])
    """
    zoom = max(1, round(_SMALLEST / max(features.image_size)))
    count = f"{len(features)} keypoints, {features.descriptor}"
    panels = [(count, draw_keypoints(features, zoom=zoom))]
    panels.append((f"reconstructed by {method}", enlarge(picture.cpu(), zoom)))
    if image is not None:
        panels.insert(0, ("original", enlarge(image, zoom)))
    return in_a_row([_captioned(panel, text) for text, panel in panels])


def contact_sheet(rows: Sequence[tuple[str, Sequence[Tensor]]]) -> Tensor:
    """Arrange labelled rows of pictures, from the upper left.

    Args:
        rows: Each row is a label and (3, H, W) pictures in [0, 1].

    Returns:
        (3, h, w) RGB in [0, 1].
    """
    strips = []
    for label, pictures in rows:
        strip = in_a_row([picture.cpu() for picture in pictures])
        strips.append(_captioned(strip, label))
    width = max(strip.shape[2] for strip in strips)
    return torch.cat([_padded(strip, strip.shape[1], width) for strip in strips], 1)


def comparison_sheet(
    blocks: Sequence[tuple[str, Mapping[str, Sequence[Tensor]]]], *, side: int = 160
) -> Tensor:
    """Arrange titled blocks with a row for each picture and a column for each name.

    Columns are the same in all blocks. If a block has no pictures for a name, the column stays
    white.

    Args:
        blocks: Each block is a title and, by name, (3, H, W) pictures in [0, 1].
        side: Side in pixels of the square that each picture is fitted into.

    Returns:
        (3, h, w) RGB in [0, 1].
    """
    names = list(dict.fromkeys(name for _, columns in blocks for name in columns))
    empty = torch.ones(3, side, side)
    strips = []
    for title, columns in blocks:
        count = max(map(len, columns.values()))
        for number in range(count):
            panels = [
                _padded(_fitted(columns[name][number].cpu(), side), side, side)
                if number < len(columns.get(name, ()))
                else empty
                for name in names
            ]
            if number == 0:
                panels = [_captioned(p, name) for p, name in zip(panels, names, strict=True)]
            strip = in_a_row(panels)
            strips.append(strip if number else _captioned(strip, title))
            strips.append(torch.ones(3, _GAP, strip.shape[2]))
    return torch.cat(strips, 1)


def _fitted(image: Tensor, side: int) -> Tensor:
    """Scale (3, H, W) so that its longer side is `side` pixels."""
    height, width = image.shape[-2:]
    scale = side / max(height, width)
    size = [max(1, round(part * scale)) for part in (height, width)]
    small = F.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)
    return small[0].clamp(0, 1)


def enlarge(image: Tensor, zoom: int) -> Tensor:
    """Enlarge (3, H, W) by a whole factor, smoothly."""
    if zoom == 1:
        return image
    large = F.interpolate(image[None], scale_factor=zoom, mode="bicubic", align_corners=False)
    return large[0].clamp(0, 1)


def in_a_row(panels: Sequence[Tensor]) -> Tensor:
    """Put (3, H, W) panels of any size side by side; the space below shorter ones is white."""
    height = max(panel.shape[1] for panel in panels)
    gap = torch.ones(3, height, _GAP)
    spaced = [part for p in panels for part in (gap, _padded(p, height, p.shape[2]))]
    return torch.cat(spaced[1:], 2)


def _fixed(x: float, y: float) -> tuple[int, int]:
    """Return coordinates in sixteenths of a pixel, as OpenCV's `shift=4` takes them."""
    return round(x * 16), round(y * 16)


def _captioned(panel: Tensor, text: str) -> Tensor:
    width = panel.shape[2]
    bar = Image.new("RGB", (width, _CAPTION), "white")
    draw = ImageDraw.Draw(bar)
    draw.text(
        (4, _CAPTION // 2), text, fill=(40, 40, 40), anchor="lm", font=ImageFont.load_default(14)
    )
    caption = torch.from_numpy(np.array(bar)).permute(2, 0, 1) / 255
    return torch.cat([caption, panel], 1)


def _padded(image: Tensor, height: int, width: int) -> Tensor:
    right, below = width - image.shape[2], height - image.shape[1]
    return F.pad(image, (0, right, 0, below), value=1.0)
