"""Measure which box means the bits of OpenCV's binary descriptors compare, and save them.

    python tools/measure_patterns.py [NAME ...]

The extractors run only on noise. The covariance of a bit with the noise around the keypoint is, up
to a factor, the filter whose sign the bit is (Bussgang). A pair of boxes is fitted to each filter.
No source code or table of an extractor is read. The printed table belongs into
invertdesc/weights/README.md; its shares of right bits are measured on scikit-image's photographs.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skimage import data
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from invertdesc import FeatureBatch, create_descriptor
from invertdesc.descriptors._opencv import find_class
from invertdesc.image import to_gray, to_image
from invertdesc.unfolding.frame import Frame
from invertdesc.unfolding.pattern import Pattern, box_means
from invertdesc.unfolding.sample import sample_frames
from invertdesc.weights import FOLDER

NOISE = 42.0  # standard deviation, in gray levels around 128
FITTED = 0.9  # of the best correlation among bits; a worse fit is repeated
PHOTOS = ("astronaut", "camera", "chelsea", "coffee", "rocket")


@dataclass(frozen=True)
class Recipe:
    """Settings of the measurement of one descriptor.

    Attributes:
        create: OpenCV's name of the class, and its arguments; upright if possible.
        size: Size of OpenCV's keypoints.
        scale: Scale in invertdesc for that size.
        half: Pixels from the middle of the window to its border.
        sides: Sides of the first boxes in pixels.
    """

    create: tuple[str, dict[str, Any]]
    size: float
    scale: float
    half: int
    sides: tuple[int, ...]


BRISK_SIZE = 7.2 * 30 ** (13 / 64)  # the 13th of its 64 scales
RECIPES = {
    "brief": Recipe(
        ("BriefDescriptorExtractor", {"bytes": 64, "use_orientation": False}),
        7.0, 1.0, 30, (5, 7, 9, 11, 13),
    ),
    "brisk": Recipe(("BRISK", {}), BRISK_SIZE, BRISK_SIZE / 2.7, 26, (3, 4, 5, 6, 7, 8, 10, 12)),
    "freak": Recipe(
        ("FREAK", {"orientationNormalized": False}),
        14.0, 14 / 2.7, 47, (3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 23, 26, 30),
    ),
    "orb": Recipe(("ORB", {"nfeatures": 1_000_000}), 31.0, 31 / 13.5, 24, (3, 5, 7, 9)),
}  # fmt: skip


def listen(name: str, samples: int) -> Tensor:
    """Return (M, W, W), the covariance of bits with noise in the keypoint's frame."""
    import cv2

    recipe, draw = RECIPES[name], np.random.default_rng(0)
    kind, arguments = recipe.create
    tool, adapter = find_class(kind).create(**arguments), create_descriptor(name)
    width = 2 * recipe.half + 1
    places = [width + int(width * 1.5) * number for number in range(8)]  # apart for any turn
    sums = torch.zeros(adapter.dim + 1, width * width + 1)
    with tqdm(total=samples, desc=name, disable=None) as bar:
        while sums[-1, -1] < samples:
            noise = draw.normal(128, NOISE, (places[-1] + width,) * 2).round().clip(0, 255)
            points = [cv2.KeyPoint(x, y, recipe.size, 0.0) for y in places for x in places]
            kept, vectors = tool.compute(noise.astype(np.uint8), points)
            rows = torch.tensor([(*point.pt, max(point.angle, 0.0)) for point in kept])
            seen = sample_frames(
                torch.from_numpy(noise / NOISE - 128 / NOISE).float(),
                rows[:, :2],
                torch.full((len(rows),), float(width)),
                rows[:, 2].deg2rad(),
                width,
            )
            one = torch.ones(len(rows), 1)
            bits = torch.cat([adapter.encode(torch.from_numpy(vectors)), one], 1)
            sums += bits.T @ torch.cat([seen.flatten(1), one], 1)
            bar.update(len(rows))
    sums /= sums[-1, -1].clone()
    covariance = sums[:-1, :-1] - sums[:-1, -1:] * sums[-1:, :-1]
    return covariance.view(-1, width, width)


def fit(filters: Tensor, sides: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return boxes (M, 2, 3) in units of the window, and their correlation with filters (M,)."""
    boxes = refine(filters, begin(filters, sides))
    quality = likeness(filters, boxes)
    known = boxes[quality > FITTED * quality.max()][..., 2] * filters.shape[-1]
    sides = tuple(sorted(set(known.round().int().flatten().tolist())))
    poor = (quality < FITTED * quality.max()).nonzero().flatten()
    if not len(poor):
        return boxes, quality
    again = torch.stack([search(filters[number], sides) for number in poor.tolist()])
    again = refine(filters[poor], again)
    better = likeness(filters[poor], again) > quality[poor]
    boxes[poor[better]] = again[better]
    return boxes, likeness(filters, boxes)


def begin(filters: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Return the brightest and the darkest box of each filter, (M, 2, 3)."""
    width = filters.shape[-1]
    found = []
    for lobes in (filters, -filters):
        best = torch.zeros(len(filters), 4)  # score, x, y, side
        for side in sides:
            scores = F.avg_pool2d(lobes[:, None], side, 1)[:, 0] * side
            top, place = scores.flatten(1).max(1)
            y, x = place // scores.shape[-1], place % scores.shape[-1]
            here = torch.stack([top, x + side / 2, y + side / 2, torch.full_like(top, side)], 1)
            best = torch.where((top > best[:, 0])[:, None], here, best)
        found.append(best[:, 1:] / width - torch.tensor([0.5, 0.5, 0]))
    return torch.stack(found, 1)


def search(one: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Return the best pair of boxes (2, 3) for a filter whose boxes overlap.

    Each box in turn is searched over all positions and sides, given the other.
    """
    tried = [_alternate(one, sides, first) for first in (0, 1)]
    scores = likeness(one.expand(2, -1, -1), torch.stack(tried))
    return tried[int(scores.argmax())]


def _alternate(one: Tensor, sides: tuple[int, ...], first: int) -> Tensor:
    width = one.shape[-1]
    boxes = begin(one[None], sides)[0]
    for turn in (first, 1 - first) * 3:
        other, best = box_means(boxes[1 - turn], width).view(width, width), -torch.inf
        for side in sides:
            mean, shared = (F.avg_pool2d(part[None], side, 1)[0] for part in (one, other))
            size = 1 / side**2 + other.square().sum() - 2 * shared
            gain = (mean - (one * other).sum()) / size.clamp(min=1e-6).sqrt()
            scores = -gain if turn else gain
            if scores.max() > best:
                best, place = float(scores.max()), int(scores.argmax())
                y, x = divmod(place, scores.shape[-1])
                corner = torch.tensor([x + side / 2, y + side / 2, side]) / width
                boxes[turn] = corner - torch.tensor([0.5, 0.5, 0])
    return boxes


def refine(filters: Tensor, boxes: Tensor, steps: int = 150) -> Tensor:
    """Return boxes refined to sub-pixel accuracy by gradient descent on the squared error."""
    width = filters.shape[-1]
    pixels = (boxes * width).requires_grad_()
    optimizer = torch.optim.Adam([pixels], 0.2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (-likeness(filters, pixels / width).square().sum()).backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            pixels[..., 2].clamp_(min=1.0)
    return pixels.detach() / width


def likeness(filters: Tensor, boxes: Tensor) -> Tensor:
    """Return (M,), the products of filters with the filters of boxes, of norm 1."""
    first, second = box_means(boxes, filters.shape[-1]).unbind(1)
    return (F.normalize(first - second, dim=1) * filters.flatten(1)).sum(1)


def predicted(name: str, pattern: Pattern) -> tuple[float, int]:
    """Return the share of correctly predicted bits of photographs, and the number of bits."""
    adapter, right, total = create_descriptor(name), 0, 0
    for photo in PHOTOS:
        image = to_image(getattr(data, photo)())
        features = adapter.extract(image)
        predicted = pattern.differences(to_gray(image), FeatureBatch.collate([features])) > 0
        bits = adapter.encode(features.descriptors) > 0
        right += int((predicted == bits).sum())
        total += bits.numel()
    return right / total, total


def measure(name: str, samples: int) -> str:
    """Measure and write one pattern, and return its row of the table."""
    recipe = RECIPES[name]
    width = 2 * recipe.half + 1
    boxes, quality = fit(listen(name, samples), recipe.sides)
    usual = create_descriptor(name).frame
    reach = float((boxes[..., :2].abs().amax(-1) + boxes[..., 2] / 2).max()) * 2  # of the window
    side = reach * width / (recipe.scale if usual.scaled else 1)
    pattern = Pattern(boxes / reach, Frame(side, usual.scaled, usual.rotated))
    path = FOLDER / f"pattern-{name}.safetensors"
    pattern.save(path)
    right, bits = predicted(name, Pattern.load(path))
    card = {
        "descriptor": name,
        "samples": samples,
        "share_of_right_bits": round(right, 4),
        "bits": bits,
        "photographs": "scikit-image: " + ", ".join(PHOTOS),
        "command": f"python tools/measure_patterns.py {name}",
    }
    pattern.save(path, card=card)
    return (
        f"| {name} | {side:.1f} {'scales' if usual.scaled else 'pixels'} | {len(boxes)} "
        f"| {float(quality.median()):.3f}, {float(quality.min()):.3f} | {bits:,} | {right:.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"Descriptors, of {', '.join(RECIPES)}."
    )
    parser.add_argument("--samples", type=int, default=30_000, help="Number of windows of noise.")
    options = parser.parse_args()
    unknown = set(options.names) - set(RECIPES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    rows = [measure(name, options.samples) for name in options.names or RECIPES]
    print("| descriptor | side | M | likeness of filters: median, least | bits | right |")
    print("\n".join(["| --- | --- | --- | --- | --- | --- |", *rows]))


if __name__ == "__main__":
    main()
