"""Reconstruct patches by sparse codes that vectors and patches share."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc.errors import InputError
from invertdesc.methods._lasso import positive_lasso
from invertdesc.methods._merge import Windows
from invertdesc.methods._pairs import (
    CONTRAST,
    CONTRAST_FLOOR,
    PairedInverse,
    gather_pairs,
    save_pairs,
    to_unit,
)

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor
    from invertdesc.methods.database import Collection, Database

BATCH = 400  # as in the paper


class PairedDictionary(PairedInverse):
    """Encode each vector as a sparse sum of atoms, and paint the same sum of the atoms' patches.

    For HOG a vector is that of a block and the blocks around it. Atoms are pairs of a vector and a
    patch that were learned together, so a code of the vectors is also a code of the patches.

    >>> print(PairedDictionary.needs)
    a database

    Source: Vondrick, Khosla, Malisiewicz, Torralba, "HOGgles: visualizing object detection
    features", ICCV 2013, section 4.4; contrast and the merge are additions.
    """

    name: ClassVar[str] = "paired-dictionary"
    parts: ClassVar[tuple[str, ...]] = ("vectors", "patches", *CONTRAST)

    def __init__(
        self,
        descriptor: str | Descriptor | None = None,
        *,
        database: str | os.PathLike[str] | Database | None = None,
        penalty: float = 0.1,
        merge: Literal["poisson", "average"] = "poisson",
        mean: float | None = None,
        deviation: float | None = None,
    ) -> None:
        """Load the database.

        Args:
            descriptor: Name or adapter; None takes the one that a batch names.
            database: What `collect_database` wrote for this method and descriptor.
            penalty: On the sum of a code. On 8 training faces NCC is 0.456, 0.483 and 0.484 with
                0.05, 0.075 and 0.11, of a dictionary that was learned with 0.05.
            merge: `"poisson"`, or `"average"` as in the paper.
            mean: Mean gray of the picture, in [0, 1]; None for the usual one, see `Poisson`.
            deviation: Standard deviation of the picture's gray values; None likewise.

        Raises:
            InputError: An option is out of range, there is no database, or it is for another
                descriptor.
            FileError: The database is missing, broken, or of another method.
        """
        super().__init__(descriptor, database=database, merge=merge, mean=mean, deviation=deviation)
        check_range("penalty", penalty, above=0, below=1)
        self.penalty = penalty

    @classmethod
    def collect(
        cls,
        collection: Collection,
        *,
        most: int = 30,
        blocks: int = 5,
        atoms: int = 512,
        penalty: float = 0.05,
        seed: int = 0,
    ) -> str:
        """Learn atoms, write them, and return a line that describes the file.

        Args:
            collection: A few hundred pictures.
            most: Maximum number of patches per picture.
            blocks: Number of blocks per side of a window of HOG, odd.
            atoms: Number of atoms in the dictionary.
            penalty: Weight of the sum of a code in learning, for vectors of length 1.
            seed: Random seed.

        Raises:
            InputError: An option is out of range, or there are fewer patches than atoms.
            MissingDependencyError: scikit-learn is not installed.
        """
        collection.require("sklearn")
        check_range("penalty", penalty, above=0, below=1)
        check_range("atoms", atoms, 1)
        windows = Windows(collection.adapter, blocks)
        pairs = gather_pairs(collection, windows, most, seed=seed)
        if len(pairs.vectors) < atoms:
            raise InputError(
                f"Expected at least {atoms} patches, one for each atom, got {len(pairs.vectors)}. "
                "Give more pictures, or atoms a lower number."
            )
        halves = [_half(pairs.vectors), to_unit(pairs.patches, CONTRAST_FLOOR)]
        found = _learn(torch.cat(halves, 1), atoms, penalty, seed)
        vectors, patches = torch.split(found, [part.shape[1] for part in halves], 1)
        tensors = {"vectors": vectors.half(), "patches": patches.half()}
        options = {"penalty": penalty, "atoms": atoms, "seed": seed}
        return save_pairs(collection, windows, pairs, tensors, options)

    def infer(self, vectors: Tensor) -> Tensor:
        """Return patches (M, G * G) for vectors (M, D')."""
        codes = positive_lasso(
            self.held("vectors", vectors), _half(vectors), self.penalty, tolerance=self.penalty / 50
        )
        return codes @ self.held("patches", vectors)


def _half(vectors: Tensor) -> Tensor:
    """Subtract each vector's mean and scale it to length 1."""
    return to_unit(vectors - vectors.mean(1, keepdim=True))


def _learn(rows: Tensor, atoms: int, penalty: float, seed: int) -> Tensor:
    """Return a dictionary (K, D) for positive sparse codes of rows (N, D).

    It starts from rows, since sums of patches with positive weights are patches again. From
    singular vectors, the default of scikit-learn, one pass gives an NCC of 0.27 instead of 0.45.
    """
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.exceptions import ConvergenceWarning

    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:atoms]
    rows = rows.double()  # in float32 the solver does not reach its own tolerance
    start = torch.nn.functional.normalize(rows[order], dim=1)
    learner = MiniBatchDictionaryLearning(
        atoms,
        alpha=penalty,
        batch_size=BATCH,
        max_iter=1,
        fit_algorithm="cd",
        positive_code=True,
        dict_init=start.numpy(),
        max_no_improvement=None,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # The codes of a batch are intermediate and need not be exact.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return torch.from_numpy(learner.fit(rows.numpy()).components_).float()
