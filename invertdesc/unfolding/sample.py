"""Sample pictures on a grid in the frame of each keypoint."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def places_around(
    keypoints: Tensor, sides: Tensor, turns: Tensor, grid: int
) -> tuple[Tensor, Tensor]:
    """Return x and y, each (N, G, G) in pixels, of a grid's cell centres in keypoints' frames.

    Args:
        keypoints: (N, 2) xy in pixels.
        sides: (N,) sides of the frames in pixels.
        turns: (N,) orientations of the frames in radians.
        grid: Number G of cells per side.

    >>> x, y = places_around(torch.tensor([[5.0, 7.0]]), torch.tensor([4.0]), torch.zeros(1), 2)
    >>> x[0].tolist(), y[0].tolist()
    ([[4.0, 6.0], [4.0, 6.0]], [[6.0, 6.0], [8.0, 8.0]])
    """
    places = (torch.arange(grid, device=keypoints.device) + 0.5) / grid - 0.5
    down, right = torch.meshgrid(places, places, indexing="ij")
    cos, sin = (part[:, None, None] for part in (turns.cos(), turns.sin()))
    side = sides[:, None, None]
    x = keypoints[:, 0, None, None] + side * (right * cos - down * sin)
    y = keypoints[:, 1, None, None] + side * (right * sin + down * cos)
    return x, y


def sample_places(
    maps: Tensor,
    x: Tensor,
    y: Tensor,
    *,
    image_size: tuple[int, int] | None = None,
    align_corners: bool = False,
) -> Tensor:
    """Sample maps at given positions, with linear interpolation and repeated borders.

    Args:
        maps: (C, h, w) float.
        x: (..., G, G) x coordinates in pixels.
        y: (..., G, G) y coordinates in pixels.
        image_size: (H, W) of the image to which x and y refer; None for the size of the maps.
        align_corners: As for `torch.nn.functional.grid_sample`. Both settings sample the same
            positions, with different rounding; the unfoldings of the package were fitted with True.

    Returns:
        (C, ..., G, G).

    >>> ramp = torch.arange(4.0).expand(1, 4, 4)
    >>> sample_places(ramp, torch.tensor([[1.5]]), torch.tensor([[0.0]]))
    tensor([[[1.5000]]])
    """
    height, width = image_size or maps.shape[-2:]
    if align_corners:
        across, along = x * 2 / max(width - 1, 1) - 1, y * 2 / max(height - 1, 1) - 1
    else:
        across, along = (2 * x + 1) / width - 1, (2 * y + 1) / height - 1
    where = torch.stack([across, along], -1).view(1, -1, x.shape[-1], 2)
    found = F.grid_sample(maps[None], where, padding_mode="border", align_corners=align_corners)
    return found.view(len(maps), *x.shape)


def sample_frames(
    gray: Tensor,
    keypoints: Tensor,
    sides: Tensor,
    turns: Tensor,
    grid: int,
    *,
    least_blur: float | None = None,
    gradients: bool = False,
    align_corners: bool = False,
    shrinks: bool = False,
) -> Tensor:
    """Sample a picture, or its gradients, on a grid in the frame of each keypoint.

    Args:
        gray: (H, W) float.
        keypoints: (N, 2) xy in pixels.
        sides: (N,) sides of the frames in pixels.
        turns: (N,) orientations of the frames in radians.
        grid: Number G of cells per side.
        least_blur: None to sample without blur; cells should then be about a pixel wide or less.
            With a number, the picture is first blurred to the grid's spacing, by a Gaussian of 0.4
            cells in steps of half an octave, and at least by this number of pixels.
        gradients: Whether to sample the gradients of the blurred picture, towards its right and
            down, per pixel, instead of the picture.
        align_corners: As for `sample_places`.
        shrinks: Whether to save time and memory: a picture that is blurred by 4 pixels and more is
            shrunk first, and gradients are differences of samples. Values change by about a
            percent.

    Returns:
        (N, 1, G, G), or (N, 2, G, G) gradients.
    """
    size = gray.shape[0], gray.shape[1]

    def sample(picture: Tensor, x: Tensor, y: Tensor) -> Tensor:
        if shrinks and gradients:
            return _differences(picture, x, y, size)
        maps = image_gradients(picture) if gradients else picture[None]
        return sample_places(maps, x, y, align_corners=align_corners).transpose(0, 1)

    x, y = places_around(keypoints, sides, turns, grid)
    if least_blur is None:
        return sample(gray, x, y)
    import cv2

    levels = (2 * (sides / (2.5 * grid)).clamp(min=least_blur).log2()).round()
    sampled = torch.empty(len(keypoints), 1 + gradients, grid, grid)
    for level in torch.unique(levels).tolist():
        picture, blur = gray.numpy(), 2 ** (level / 2)
        if shrinks and blur >= 4:
            picture, blur = _shrunk(picture, blur)
        blurred = cv2.GaussianBlur(picture, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
        chosen = (levels == level).nonzero().flatten()
        sampled[chosen] = sample(torch.from_numpy(blurred), x[chosen], y[chosen])
    return sampled


def _differences(picture: Tensor, x: Tensor, y: Tensor, size: tuple[int, int]) -> Tensor:
    """Return (N, 2, G, G), gradients per pixel at places (N, G, G), between samples at both sides.

    The picture (h, w) is that of (H, W), `size`, or smaller. Maps of its gradients would take
    twice its memory. Outside of the picture the gradients at its border go on.
    """
    down, right = (whole / part for whole, part in zip(size, picture.shape, strict=True))
    inner = x.clamp(right, max(size[1] - 1 - right, right))
    lower = y.clamp(down, max(size[0] - 1 - down, down))
    places = ((inner - right, y), (inner + right, y), (x, lower - down), (x, lower + down))
    left, beyond, above, below = (
        sample_places(picture[None], *place, image_size=size)[0] for place in places
    )
    return torch.stack([(beyond - left) / (2 * right), (below - above) / (2 * down)], 1)


def _shrunk(picture: NDArray[np.float32], blur: float) -> tuple[NDArray[np.float32], float]:
    """Return a picture of 2 or more times less pixels per side, and the blur that it still needs.

    The mean over squares of f x f pixels has the variance of a blur of (f^2 - 1) / 12 pixels^2.
    """
    import cv2

    factor = 2 ** math.floor(math.log2(blur / 2))
    height, width = (math.ceil(side / factor) for side in picture.shape)
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    rest = math.sqrt(blur**2 - (factor**2 - 1) / 12) / factor
    return np.asarray(small, np.float32), rest


def image_gradients(images: Tensor) -> Tensor:
    """Return (..., 2, H, W), the gradients of images (..., H, W) towards the right and down.

    >>> image_gradients(torch.tensor([[0.0, 2.0], [1.0, 3.0]])).tolist()
    [[[2.0, 2.0], [2.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]]
    """
    down, right = torch.gradient(images, dim=(-2, -1))
    return torch.stack([right, down], -3)
