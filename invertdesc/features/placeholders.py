"""Find placeholders: vectors without content that stand in place of descriptors."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from invertdesc.errors import InputError

ENOUGH = 8  # in no picture are this many vectors all equal
WHERE = "the real ones are elsewhere (hloc keeps them in features*.h5), or the picture is flat"


def check_descriptors(vectors: NDArray[Any]) -> None:
    """Check that vectors (N, D) are not placeholders.

    Raises:
        InputError: They are placeholders.
    """
    alike = placeholder(vectors)
    if alike is not None:
        raise InputError(f"Expected descriptors, got placeholders: {alike}; {WHERE}.")


def placeholder(vectors: NDArray[Any]) -> str | None:
    """Describe how vectors are equal if they are placeholders; None if they may be descriptors.

    If a format requires vectors, programs without descriptors write zeros. hloc may do this in
    COLMAP's database.

    Args:
        vectors: (N, D) of any kind.

    >>> import numpy as np
    >>> placeholder(np.zeros((3, 128)))
    'all numbers of its 3 descriptors are 0'
    >>> placeholder(np.eye(128)[:3]) is None
    True
    """
    if not vectors.size:
        return None
    if not vectors.any():
        return f"all numbers of its {len(vectors):,} descriptors are 0"
    if len(vectors) < ENOUGH:
        return None
    if (vectors == vectors[:, :1]).all():
        return f"each of its {len(vectors):,} descriptors is one number, repeated"
    if (vectors == vectors[:1]).all():
        return f"its {len(vectors):,} descriptors are all the same"
    return None
