"""What a type checker tells a user of the two verbs; mypy checks this file, nothing runs it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from PIL.Image import Image
from torch import Tensor

from invertdesc import (
    FeatureBatch,
    LocalFeatures,
    audit,
    check,
    create_descriptor,
    create_method,
    draw_keypoints,
    evaluate,
    extract,
    inspect_store,
    list_methods,
    open_map,
    open_store,
    read_image,
    reconstruct,
    recover_frames,
    show,
    side_by_side,
    write_image,
)


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


def use_more(path: Path, mask: Tensor) -> None:
    features = extract(path, descriptor=create_descriptor("sift", contrast_threshold=0.03))
    assert_type(features.without("orientations").outside((90, 60, 170, 200)), LocalFeatures)
    assert_type(features[mask].assume(orientations=0.0), LocalFeatures)
    assert_type(recover_frames(features), LocalFeatures)
    assert_type(check(features).mend(features), LocalFeatures)
    picture = create_method("poisson")(FeatureBatch.collate([features]))
    assert_type(picture, Tensor)
    assert_type(read_image(path), Tensor)
    assert_type(draw_keypoints(features), Tensor)
    assert_type(side_by_side(features, picture[0], None, "poisson"), Tensor)
    assert_type(write_image(picture[0], path), None)
    assert_type(list_methods(descriptor="orb", ready=True), list[str])
    with open_store(path) as store:
        assert_type([(name, one) for name, one in store], list[tuple[str, LocalFeatures]])
    with open_map(path) as source:
        image = source.images[0]
        assert_type(source.view(image.camera, image.pose), LocalFeatures)
    assert_type(inspect_store(path).images, int)
    assert_type(audit(path).save("report.html"), Path)
    assert_type(evaluate([path], descriptor="sift")[0].method, str)
