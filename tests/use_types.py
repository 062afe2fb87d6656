"""What a type checker tells a user of the two verbs; mypy checks this file, nothing runs it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from PIL.Image import Image
from torch import Tensor

from invertdesc import LocalFeatures, extract, open_store, reconstruct, show


def use(
    path: Path,
    array: np.ndarray[Any, Any],
    tensor: Tensor,
    image: Image,
    names: list[str],
    drawn: Iterator[Tensor],
) -> None:
    assert_type(extract("photo.jpg"), LocalFeatures)
    assert_type(reconstruct("photo.jpg"), Tensor)
    assert_type(extract(path, descriptor="orb").without("scores"), LocalFeatures)
    assert_type(reconstruct(path), Tensor)
    assert_type((reconstruct(array), reconstruct(tensor)), tuple[Tensor, Tensor])
    assert_type((extract(image), reconstruct(image)), tuple[LocalFeatures, Tensor])
    assert_type(reconstruct(extract(path), method="poisson"), Tensor)
    assert_type(extract(names), list[LocalFeatures])
    assert_type(reconstruct(["photo.jpg", path, tensor]), list[Tensor])
    assert_type(reconstruct(extract((path, path))), list[Tensor])
    assert_type(extract(extract(path)), LocalFeatures)
    assert_type(extract(open_store(path)), list[LocalFeatures])
    assert_type(reconstruct(open_store(path)), list[Tensor])
    assert_type(reconstruct(drawn), list[Tensor])
    assert_type(reconstruct(Path(name) for name in names), list[Tensor])
    assert_type(reconstruct(list(tensor)), list[Tensor])
    assert_type(extract(path, max_side=512), LocalFeatures)
    assert_type(reconstruct(names, max_side=512, batch_size=2), list[Tensor])
    assert_type(show(path, tensor, array, extract(path)), Image)
