"""Reconstruct from a bag of visual words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from invertdesc._options import check_choice, check_range
from invertdesc.descriptors import resolve_descriptor
from invertdesc.descriptors.base import encoding_of
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import to_gray
from invertdesc.methods._arrange import (
    Placement,
    cost_of,
    improve_arrangement,
    pairs_of,
    score_arrangement,
    start_arrangement,
)
from invertdesc.methods._merge import PatchMethod, Windows
from invertdesc.methods.base import Needs
from invertdesc.methods.database import Collection, Database

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

__all__ = ["Bovw", "Placement", "grid_order", "score_arrangement"]

FEW_PLACES, FEW_PAIRS = 0.05, 1.0  # added counts, which reduce the effect of rare words

SPREAD = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=torch.float64)[None, None] / 16


class Bovw(PatchMethod):
    """Find the places of the words of a bag, and paint each as the mean patch of its word.

    The features must be on a regular grid (`sift-dense`, `hog`). Their positions are ignored: only
    the number of each word and the size of the grid are used. Words are placed where they occurred
    in the collected pictures with the most similar bags. Then words are swapped until no swap makes
    neighbours more likely.

    >>> print(Bovw.needs)
    keypoints on a regular grid, a database

    Source: Kato, Harada, "Image reconstruction from bag-of-visual-words", CVPR 2014; the costs and
    the choice of swaps are additions.
    """

    name: ClassVar[str] = "bovw"
    needs: ClassVar[Needs] = Needs(abilities=("grid",), database=True)
    parts: ClassVar[tuple[str, ...]] = ("centroids", "patches", "words", "shapes")
    floors: ClassVar[dict[str, dict[str, str]]] = {"random arrangement": {"arrangement": "random"}}

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        database: str | os.PathLike[str] | Database | None = None,
        arrangement: Literal["learned", "random"] = "learned",
        alike: int = 20,
        alpha: float = 1.0,
        starts: int = 1,
        seed: int = 0,
        merge: Literal["poisson", "average"] = "poisson",
        mean: float | None = None,
        deviation: float | None = None,
    ) -> None:
        """Load the database.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            database: What `collect_database` wrote for this method and descriptor.
            arrangement: `"learned"`, or `"random"` to compare with.
            alike: Number of collected pictures to learn places from, those with the most similar
                bags.
            alpha: Weight of places relative to neighbours.
            starts: Number of arrangements to start from, of which the one with the lowest cost in
                the end is kept: the best matching of words and places, and random ones.
            seed: Random seed of random arrangements.
            merge: `"poisson"`, or `"average"` of the patches.
            mean: Mean gray of the picture, in [0, 1]; None for the usual one, see `Poisson`.
            deviation: Standard deviation of the picture's gray values; None likewise.

        Raises:
            InputError: An option is out of range, there is no database, or it is for another
                descriptor.
            FileError: The database is missing, broken, or of another method.
        """
        super().__init__(descriptor, database=database, merge=merge, mean=mean, deviation=deviation)
        check_choice("arrangement", arrangement, ("learned", "random"))
        check_range("alike", alike, 1)
        check_range("alpha", alpha, 0)
        check_range("starts", starts, 1)
        self.starts = starts
        self.arrangement, self.alike, self.alpha, self.seed = arrangement, alike, alpha, seed
        self.pictures = _split(self.database)
        self.beside = _costs_beside(self.pictures, len(self.database.tensors["centroids"]))

    @classmethod
    def collect(
        cls,
        collection: Collection,
        *,
        words: int = 64,
        seed: int = 0,
    ) -> str:
        """Learn words and their places, write them, and return a line that describes the file.

        Args:
            collection: A few hundred pictures of the kind that will be reconstructed, and a
                descriptor with features on a regular grid.
            words: Number of words in the vocabulary.
            seed: Random seed of the clustering.

        Raises:
            InputError: Features are not on a grid, or there are fewer features than words.
            MissingDependencyError: scikit-learn is not installed.
        """
        collection.require("sklearn")
        from sklearn.cluster import MiniBatchKMeans

        windows = Windows(collection.adapter, 1)
        vectors, patches, shapes = [], [], []
        for image, features in collection:
            batch = FeatureBatch.collate([features])
            shape, order = grid_order(batch.keypoints)
            gray = to_gray(image, features.provenance.gray_mode)
            vectors.append(windows.vectors(batch)[order])
            patches.append(windows.patches(gray, batch)[order].half())
            shapes.append(shape)
        rows = torch.cat(vectors)
        if not 2 <= words <= min(len(rows), 2**15):
            raise InputError(f"Expected words from 2 to {len(rows)}, the vectors; got {words}.")
        learner = MiniBatchKMeans(words, n_init=3, batch_size=4096, random_state=seed)
        found = torch.from_numpy(learner.fit_predict(rows.numpy())).long()
        means = _mean_patches(torch.cat(patches), found, words)
        tensors = {
            "centroids": torch.from_numpy(learner.cluster_centers_).float(),
            "patches": means.half(),
            "words": found.short(),
            "shapes": torch.tensor(shapes),
        }
        collection.save(tensors, {"words": words, "seed": seed})
        return f"{words} words of {encoding_of(collection.adapter)!r} in {len(shapes)} pictures."

    def find(self, windows: Windows, batch: FeatureBatch) -> Tensor:
        """Return a patch (M, G, G) for each row of a batch."""
        patches = self.held("patches", batch.keypoints)
        words = batch.offsets.new_zeros(len(batch.keypoints))
        for rows in batch.rows:
            shape, order = grid_order(batch.keypoints[rows])
            arranged = self.arrange(self._words(windows, batch.descriptors[rows]), shape)
            words[rows.start + order] = arranged.flatten().to(words.device)
        return patches[words].view(-1, windows.grid, windows.grid)

    def arrange(self, bag: Tensor, shape: tuple[int, int]) -> Tensor:
        """Arrange a bag of words: (n,) int64, in any order, to (ny, nx)."""
        bag = bag.cpu().sort().values
        if not len(bag):
            return bag.view(shape)
        if self.arrangement == "random":
            draw = torch.Generator().manual_seed(self.seed)
            return bag[torch.randperm(len(bag), generator=draw)].view(shape)
        places = self.alpha * self._costs_of_places(bag, shape)
        draw = torch.Generator().manual_seed(self.seed)
        orders = (torch.randperm(len(bag), generator=draw) for _ in range(self.starts - 1))
        first = [start_arrangement(bag, places), *(bag[order] for order in orders)]
        ends = [improve_arrangement(one.view(shape), places, self.beside) for one in first]
        return min(ends, key=lambda words: cost_of(words, places, self.beside))

    def measure(self, batch: FeatureBatch) -> list[Placement]:
        """Return the quality of the arrangement of each image."""
        adapter = resolve_descriptor(self.descriptor or batch.descriptor)
        self.database.check(adapter)
        scores = []
        for rows in batch.rows:
            shape, order = grid_order(batch.keypoints[rows])
            words = self._words(Windows(adapter, 1), batch.descriptors[rows])
            truth = words[order].cpu().view(shape)
            scores.append(score_arrangement(truth, self.arrange(words, shape)))
        return scores

    def _words(self, windows: Windows, raw: Tensor) -> Tensor:
        """Return (n,) int64, the words of vectors as emitted."""
        vectors = windows.adapter.encode(raw)
        return torch.cdist(vectors, self.held("centroids", vectors)).argmin(1)

    def _costs_of_places(self, bag: Tensor, shape: tuple[int, int]) -> Tensor:
        """Return (K, n): how much rarer a word is at a place than elsewhere, in similar pictures.

        Pictures of another shape are scaled to the grid.
        """
        count = len(self.beside[0])
        own = torch.bincount(bag, minlength=count) / max(1, len(bag))
        bags = [torch.bincount(p.flatten(), minlength=count) / p.numel() for p in self.pictures]
        likeness = torch.minimum(torch.stack(bags), own).sum(1)
        nearest = likeness.argsort(descending=True, stable=True)[: self.alike]
        seen = torch.zeros(count, *shape, dtype=torch.float64)
        y, x = (torch.arange(side) for side in shape)
        for number in nearest.tolist():
            picture = self.pictures[number]
            rows, columns = (
                ((place + 0.5) * theirs / side).long()
                for place, theirs, side in zip((y, x), picture.shape, shape, strict=True)
            )
            words = picture[rows[:, None], columns]
            seen[words, y[:, None], x] += 1
        seen = F.conv2d(F.pad(seen[:, None], (1,) * 4, mode="replicate"), SPREAD).flatten(1)
        return -_rarer(seen, seen.mean(1, keepdim=True).expand_as(seen), FEW_PLACES)


def grid_order(keypoints: Tensor) -> tuple[tuple[int, int], Tensor]:
    """Return rows and columns of the grid of keypoints, and the order of keypoints along rows.

    Args:
        keypoints: (n, 2) xy, in any order.

    Raises:
        InputError: They do not form a regular grid.

    >>> grid_order(torch.tensor([[4.0, 0.0], [0.0, 0.0], [0.0, 4.0], [4.0, 4.0]]))
    ((2, 2), tensor([1, 0, 2, 3]))
    """
    x, y = keypoints.T.contiguous()
    lines = [torch.unique(part) for part in (y, x)]
    steps = [line.diff() for line in lines if len(line) > 1]
    rows, columns = map(len, lines)
    even = all(torch.allclose(step, step[0], rtol=1e-3) for step in steps)
    if rows * columns != len(keypoints) or not even:
        raise InputError(
            "Expected features on a whole regular grid, as 'sift-dense' and 'hog' extract them, "
            f"for the method 'bovw'; got {len(keypoints)} keypoints that make none. Choose another "
            "descriptor, or method 'poisson'."
        )
    row, column = (torch.searchsorted(*pair) for pair in zip(lines, (y, x), strict=True))
    place = row * columns + column
    if len(torch.unique(place)) < len(place):
        raise InputError("Expected one keypoint at each place of the grid, got several at one.")
    return (rows, columns), place.argsort()


def _split(database: Database) -> list[Tensor]:
    """Return the words of each collected picture, (ny, nx) int64."""
    shapes = database.tensors["shapes"].tolist()
    sizes = [rows * columns for rows, columns in shapes]
    words = torch.split(database.tensors["words"].long(), sizes)
    return [part.view(*shape) for part, shape in zip(words, shapes, strict=True) if len(part)]


def _costs_beside(pictures: list[Tensor], count: int) -> Tensor:
    """Return (2, K, K): how much rarer pairs of words (right, below) are than by chance."""
    costs = []
    for direction in (0, 1):
        first, second = (
            torch.cat([pairs_of(picture)[direction][side] for picture in pictures])
            for side in (0, 1)
        )
        seen = (
            torch.bincount(first * count + second, minlength=count**2).double().view(count, count)
        )
        chance = seen.sum(1, keepdim=True) * seen.sum(0) / seen.sum().clamp(min=1)
        costs.append(-_rarer(seen, chance, FEW_PAIRS))
    return torch.stack(costs)


def _rarer(seen: Tensor, expected: Tensor, few: float) -> Tensor:
    """Return the logarithm of counts over expected counts, close to 0 if few are expected."""
    return ((seen + few) / (expected + few)).log()


def _mean_patches(patches: Tensor, words: Tensor, count: int) -> Tensor:
    """Return (K, G * G), the mean patch of each word, of mean 0."""
    patches = patches - patches.mean(1, keepdim=True)
    sums = torch.zeros(count, patches.shape[1]).index_add_(0, words, patches.float())
    return sums / torch.bincount(words, minlength=count).clamp(min=1)[:, None]
