"""Try to place descriptors whose positions are withheld, by what other faces have where.

    python benchmarks/placing.py TRAIN TEST --known 500 --images 8
    python benchmarks/placing.py TRAIN TEST --known 500 --images 8 --ordered --neighbours 60

Each vector gets the position, scale and orientation for which most of its nearest vectors vote, in
pictures of TRAIN that are framed alike. `--ordered` also uses the order of the vectors: OpenCV
returns keypoints from left to right. Printed are, with standard errors, NCC of `unfold` with the
true places, with those found, and with the surer half of them; NCC of the mean picture of TRAIN,
which no attack is needed for; and the median error of positions in pixels. SIFT, luma.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc import LocalFeatures, create_descriptor, create_method, read_image, write_image
from invertdesc.evaluation.metrics import ncc
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import to_gray
from invertdesc.sources import spread

SHARP = 30.0  # of similarities, as weights of votes
PIXELS, OCTAVES = 14.0, 0.6  # how near votes are for the same place
ASIDE = 16.0  # pixels that the order leaves open


@dataclass(frozen=True, eq=False)
class Known:
    """Keypoints of other pictures; `ranks` are their places in the order, from 0 to 1."""

    vectors: Tensor
    keypoints: Tensor
    scales: Tensor
    orientations: Tensor
    ranks: Tensor

    @classmethod
    def of(cls, several: Sequence[LocalFeatures]) -> Known:
        """Join the features of some pictures."""
        columns = [
            (
                F.normalize(one.descriptors, dim=1),
                one.keypoints,
                one.scales,
                one.orientations,
                _ranks(len(one)),
            )
            for one in several
        ]
        return cls(*(torch.cat(column) for column in zip(*columns, strict=True)))


def _ranks(count: int) -> Tensor:
    return (torch.arange(count) + 0.5) / max(count, 1)


def place(
    vectors: Tensor, known: Known, neighbours: int, *, ordered: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return positions (N, 2), scales, orientations and how sure they are (N,) each."""
    likeness = F.normalize(vectors, dim=1) @ known.vectors.T
    if ordered:
        usual = known.keypoints[:, 0].quantile(_ranks(len(vectors)))
        away = (known.keypoints[:, 0] - usual[:, None]) / ASIDE
        likeness = likeness - away.square() / (2 * SHARP)
    best, rows = likeness.topk(neighbours, 1)
    votes = (SHARP * best).softmax(1)
    xy, logs, turns = known.keypoints[rows], known.scales[rows].log2(), known.orientations[rows]
    apart = torch.cdist(xy, xy).square() / (2 * PIXELS**2)
    apart = apart + (logs[:, :, None] - logs[:, None]).square() / (2 * OCTAVES**2)
    near = (-apart).exp() * votes[:, None]
    first = near.sum(2).argmax(1)
    chosen = near[torch.arange(len(rows)), first]
    sure = chosen.sum(1)
    share = chosen / sure[:, None]
    return (
        (share[..., None] * xy).sum(1),
        (share * logs).sum(1).exp2(),
        torch.atan2((share * turns.sin()).sum(1), (share * turns.cos()).sum(1)),
        sure,
    )


def main() -> None:
    """Read the command line, place, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("train", type=Path, help="folder of faces that are known")
    parser.add_argument("test", type=Path, help="folder of faces that are attacked")
    parser.add_argument("--known", type=int, default=500, help="faces that are known (500)")
    parser.add_argument("--images", type=int, default=8, help="faces that are attacked (8)")
    parser.add_argument("--neighbours", type=int, default=24, help="votes for a vector (24)")
    parser.add_argument("--ordered", action="store_true", help="use the order of the vectors")
    parser.add_argument("-o", "--output", type=Path, help="picture of originals and results")
    given = parser.parse_args()
    adapter = create_descriptor("sift", gray="luma")
    method = create_method("unfold", descriptor=adapter)
    pictures = [read_image(path) for path in spread(sorted(given.train.iterdir()), given.known)]
    known = Known.of([adapter.extract(one) for one in pictures])
    mean = torch.stack([to_gray(one, "luma") for one in pictures]).mean(0)
    rows, shown = [], []
    for path in spread(sorted(given.test.iterdir()), given.images):
        image = read_image(path)
        true, gray = adapter.extract(image), to_gray(image, "luma")
        xy, scales, turns, sure = place(
            true.descriptors, known, given.neighbours, ordered=given.ordered
        )
        found = replace(true, keypoints=xy, scales=scales, orientations=turns)
        tried = (true, found, found[sure >= sure.median()])
        made = [method(FeatureBatch.collate([one]))[0].detach() for one in tried]
        likeness = [float(ncc(to_gray(one, "luma"), gray)) for one in made]
        away = float((xy - true.keypoints).norm(dim=1).median())
        rows.append([*likeness, float(ncc(mean, gray)), away])
        shown.append(torch.cat([image, *made], 2))
    table = torch.tensor(rows)
    names = ("NCC, true places", "NCC, found", "NCC, surer half", "NCC, mean picture", "pixels")
    for name, values in zip(names, table.T, strict=True):
        print(f"{name:18} {values.mean():8.3f} ± {values.std() / len(values) ** 0.5:.3f}")
    if given.output is not None:
        write_image(torch.cat(shown, 1), given.output)


if __name__ == "__main__":
    main()
