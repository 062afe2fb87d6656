import dataclasses
import re
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import invertdesc
from invertdesc import (
    FeatureBatch,
    Limits,
    LocalFeatures,
    Unfolding,
    create_descriptor,
    create_method,
    extract,
    open_store,
    use_limits,
)
from invertdesc.errors import (
    BadImageWarning,
    FileError,
    InputError,
    InvertDescError,
    MissingFieldError,
    NoKeypointsWarning,
    UnknownNameError,
)
from invertdesc.image import shrink_image, to_gray, to_uint8, write_image
from invertdesc.methods.poisson import TONES
from invertdesc.stores.npz import NpzStore

# What is tested here holds for any method; `poisson` adds nothing to the features.
reconstruct = partial(invertdesc.reconstruct, method="poisson")


@pytest.fixture(scope="module")
def small(astronaut: Tensor) -> Tensor:
    """(3, 96, 128), the face."""
    return astronaut[:, :96, 48:176].clone()


@pytest.fixture(scope="module")
def small_features(small: Tensor) -> LocalFeatures:
    features = extract(small)
    assert len(features) > 50
    return features


def correlation(one: Tensor, other: Tensor) -> float:
    return torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].item()


def source_of(image: Tensor, kind: str, folder: Path) -> Any:
    pixels = to_uint8(image)
    path = folder / "picture.png"
    write_image(image, path)
    return {
        "path": lambda: path,
        "str": lambda: str(path),
        "pil": lambda: Image.fromarray(pixels),
        "uint8 array": lambda: pixels,
        "float array": lambda: pixels.astype(np.float64) / 255,
        "float tensor": lambda: image,
        "uint8 tensor": lambda: torch.from_numpy(pixels).permute(2, 0, 1),
    }[kind]()


@pytest.mark.parametrize(
    "kind",
    ["path", "str", "pil", "uint8 array", "float array", "float tensor", "uint8 tensor"],
)
def test_every_kind_of_source_gives_the_same_picture(
    small: Tensor, small_features: LocalFeatures, kind: str, tmp_path: Path
) -> None:
    source = source_of(small, kind, tmp_path)
    found = extract(source)
    assert torch.equal(found.keypoints, small_features.keypoints)
    assert torch.equal(found.descriptors, small_features.descriptors)
    assert torch.equal(reconstruct(source), reconstruct(small_features))


def test_result_is_a_picture_of_the_right_size(small: Tensor) -> None:
    picture = reconstruct(small)
    assert picture.shape == small.shape
    assert picture.dtype == torch.float32
    assert picture.device == torch.device("cpu")
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert torch.equal(picture[0], picture[1])
    assert torch.equal(picture[0], picture[2])


def test_picture_resembles_the_truth(small: Tensor) -> None:
    assert correlation(reconstruct(small)[0], to_gray(small)) > 0.7


def test_same_features_give_the_same_picture(small_features: LocalFeatures) -> None:
    assert torch.equal(reconstruct(small_features), reconstruct(small_features))


def test_picture_can_be_used_in_autograd(small_features: LocalFeatures) -> None:
    picture = reconstruct(small_features)
    assert not picture.requires_grad
    weight = torch.ones((), requires_grad=True)
    (picture * weight).sum().backward()
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(picture.sum().item())
    picture.mul_(0.5)


def test_adapter_can_be_trained_with_after_use(small_features: LocalFeatures) -> None:
    adapter = create_descriptor("sift")
    reconstruct(small_features, descriptor=adapter)
    vectors = adapter.encode(small_features.descriptors).requires_grad_()
    adapter.unfolding(vectors).square().sum().backward()
    assert vectors.grad is not None


def test_gradients_of_descriptors_are_not_tracked(small_features: LocalFeatures) -> None:
    learnt = small_features.descriptors.clone().requires_grad_()
    picture = reconstruct(dataclasses.replace(small_features, descriptors=learnt))
    assert not picture.requires_grad
    assert torch.equal(picture, reconstruct(small_features))


def test_sequence_of_different_sizes_keeps_its_order(astronaut: Tensor) -> None:
    sizes = [(64, 96), (80, 64), (64, 96), (96, 64), (80, 64)]
    images = [astronaut[:, 20 * n : 20 * n + h, 30:][..., :w] for n, (h, w) in enumerate(sizes)]
    alone = [reconstruct(image) for image in images]
    together = reconstruct(images)
    assert isinstance(together, list)
    assert [picture.shape[1:] for picture in together] == sizes
    for one, other in zip(alone, together, strict=True):
        assert (one - other).abs().max() <= 1e-5
    assert (alone[0] - alone[2]).abs().max() > 0.1


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_batch_size_does_not_matter(astronaut: Tensor, batch_size: int) -> None:
    images = [astronaut[:, 20 * n : 20 * n + 64, 30:126] for n in range(5)]
    expected = [reconstruct(image) for image in images]
    pictures = reconstruct(images, batch_size=batch_size)
    for one, other in zip(expected, pictures, strict=True):
        assert (one - other).abs().max() <= 1e-5


def test_no_more_images_go_through_together_than_batch_size_says(astronaut: Tensor) -> None:
    counts: list[int] = []

    def method(batch: FeatureBatch) -> Tensor:
        counts.append(len(batch))
        return torch.zeros(len(batch), 3, *batch.image_size)

    reconstruct([astronaut[:, :64, :64]] * 5, method=method, batch_size=2)
    assert counts == [2, 2, 1]


def test_batches_are_chosen_by_pixels(astronaut_features: LocalFeatures) -> None:
    height, width = astronaut_features.image_size
    sizes = []

    def method(batch: FeatureBatch) -> torch.Tensor:
        sizes.append(len(batch))
        return torch.zeros(len(batch), 3, *batch.image_size)

    several = [astronaut_features] * 7
    for most, wanted in ((3 * height * width, [3, 3, 1]), (1, [1] * 7), (10**9, [4, 3])):
        sizes.clear()
        pictures = reconstruct(several, method=method, batch_size=4, batch_pixels=most)
        assert sizes == wanted
        assert len(pictures) == 7
    with pytest.raises(InputError, match="batch_pixels >= 1, got 0"):
        reconstruct(several, method=method, batch_pixels=0)


def test_no_more_pixels_go_through_together_than_the_limit_says(astronaut: Tensor) -> None:
    sizes = []

    def method(batch: FeatureBatch) -> Tensor:
        sizes.append(len(batch))
        return torch.zeros(len(batch), 3, *batch.image_size)

    features = [extract(astronaut[:, :64, :64])] * 5
    for limit in (3 * 64 * 64, 64):
        with use_limits(Limits(pixels=limit)):
            reconstruct(features, method=method)
    assert sizes == [3, 2, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batch_size_below_one_is_refused(small: Tensor, batch_size: int) -> None:
    with pytest.raises(InputError, match=f"Expected batch_size >= 1, got {batch_size}"):
        reconstruct(small, batch_size=batch_size)


def test_images_and_features_may_be_mixed(small: Tensor, small_features: LocalFeatures) -> None:
    other = small.flip(2)
    pictures = reconstruct([small_features, other, small, small_features[:20]])
    assert (pictures[0] - pictures[2]).abs().max() <= 1e-5
    assert (pictures[1] - reconstruct(other)).abs().max() <= 1e-5
    assert (pictures[3] - reconstruct(small_features[:20])).abs().max() <= 1e-5
    assert (pictures[0] - pictures[3]).abs().max() > 0.1


def test_features_of_different_fields_and_vectors_may_be_mixed(
    small: Tensor, small_features: LocalFeatures
) -> None:
    root = extract(small, descriptor="rootsift")
    bytes_ = small_features.descriptors.to(torch.uint8)
    mixed = [
        small_features,
        root,
        small_features.without("scores"),
        dataclasses.replace(small_features, descriptors=bytes_),
    ]
    for picture in reconstruct(mixed):
        assert (picture - reconstruct(small_features)).abs().max() <= 2e-3


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_and_tuples_are_sequences(small: Tensor, kind: Any) -> None:
    assert len(extract(kind([small, small]))) == 2
    assert len(reconstruct(kind([small]))) == 1
    assert extract(kind([])) == []
    assert reconstruct(kind([])) == []


def test_generators_and_batches_are_several(small: Tensor) -> None:
    images = [small, small.flip(2)]
    for source in ((image for image in images), torch.stack(images), dict.fromkeys(images).keys()):
        features = extract(source)
        assert isinstance(features, list)
        for one, image in zip(features, images, strict=True):
            assert torch.equal(one.descriptors, extract(image).descriptors)
    pictures = reconstruct(image for image in images)
    for source in (images, torch.stack(images)):
        for one, other in zip(reconstruct(source), pictures, strict=True):
            assert torch.equal(one, other)
    assert extract(torch.zeros(0, 3, 8, 8)) == []


def test_images_come_from_an_iterator_one_by_one(small: Tensor) -> None:
    seen = []

    class Watching:
        def extract(self, image: Tensor) -> LocalFeatures:
            seen.append("extracted")
            return create_descriptor("sift").extract(image)

        def encode(self, raw: Tensor) -> Tensor:
            return raw

    def images() -> Iterator[Tensor]:
        for _ in range(2):
            seen.append("asked")
            yield small

    extract(images(), descriptor=Watching())  # type: ignore[call-overload]
    assert seen == ["asked", "extracted"] * 2


def test_features_and_their_files_are_sources(
    small: Tensor, small_features: LocalFeatures, tmp_path: Path
) -> None:
    path = tmp_path / "a.npz"
    small_features.save(path)
    expected = reconstruct(small_features)
    assert extract(small_features) is small_features
    for source in (path, str(path)):
        assert torch.equal(extract(source).descriptors, small_features.descriptors)
        assert torch.equal(reconstruct(source), expected)
    mixed = reconstruct([path, small.flip(2), small_features])
    assert (mixed[0] - expected).abs().max() <= 1e-5
    with pytest.raises(InputError, match=r"of 'orb', as descriptor= says, got 'sift'"):
        extract(path, descriptor="orb")


def test_all_images_of_a_store_are_reconstructed_in_its_order(
    small: Tensor, small_features: LocalFeatures, tmp_path: Path
) -> None:
    small_features.save(tmp_path / "b.npz")
    extract(small.flip(2)).save(tmp_path / "a.npz")
    expected = reconstruct([small.flip(2), small_features])
    store = open_store(tmp_path)
    for source in (store, tmp_path, str(tmp_path)):
        for one, other in zip(reconstruct(source), expected, strict=True):
            assert torch.equal(one, other)
        assert [len(one) for one in extract(source)] == [len(one) for _, one in store]


def test_a_store_that_a_path_leads_to_is_closed_again(
    small_features: LocalFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Path] = []
    monkeypatch.setattr(NpzStore, "close", lambda store: closed.append(store.path))
    small_features.save(tmp_path / "a.npz")
    extract(open_store(tmp_path))
    assert closed == []
    extract(tmp_path)
    assert closed == [tmp_path]


def test_a_bad_image_of_a_store_is_left_out_with_a_warning(
    small_features: LocalFeatures, tmp_path: Path
) -> None:
    small_features.save(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    with pytest.warns(BadImageWarning, match="'b'"):
        assert len(reconstruct(tmp_path)) == 1


@pytest.mark.parametrize("verb", [extract, reconstruct])
@pytest.mark.parametrize("source", [None, b"bytes", {"a": 1}, 3.0])
def test_other_sources_are_named(verb: Any, source: Any) -> None:
    message = f"Expected an image as a path, .*, got {type(source).__name__}"
    with pytest.raises(InputError, match=message):
        verb(source)
    with pytest.raises(InputError, match=message):
        verb([source])


@pytest.mark.parametrize("verb", [extract, reconstruct])
def test_missing_file_is_named(verb: Any, small: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "no.png"
    with pytest.raises(FileError, match=f"found none at {re.escape(str(path))}"):
        verb([small, path])


def test_extract_gives_a_list_for_a_sequence(small: Tensor) -> None:
    one, other = extract([small, small.flip(2)])
    assert torch.equal(one.keypoints, extract(small).keypoints)
    assert torch.equal(other.keypoints, extract(small.flip(2)).keypoints)
    assert one.image_size == (96, 128)
    assert one.descriptor == "sift"


def test_extract_takes_names_and_adapters_with_parameters(small: Tensor) -> None:
    assert extract(small, descriptor="rootsift").descriptor == "rootsift"
    few = extract(small, descriptor=create_descriptor("sift", max_num_keypoints=7))
    assert len(few) == 7


def test_adapter_given_to_reconstruct_is_what_extracts(small: Tensor) -> None:
    adapter = create_descriptor("sift", max_num_keypoints=30)
    expected = reconstruct(extract(small, descriptor=adapter))
    assert torch.equal(reconstruct(small, descriptor=adapter), expected)
    assert not torch.equal(reconstruct(small), expected)


def test_adapter_reads_features_that_name_another(small_features: LocalFeatures) -> None:
    foreign = dataclasses.replace(small_features, descriptor="somebody's sift")
    with pytest.raises(UnknownNameError, match='Unknown descriptor "somebody\'s sift"'):
        reconstruct(foreign)
    picture = reconstruct(foreign, descriptor=create_descriptor("sift"))
    assert torch.equal(picture, reconstruct(small_features))


def test_features_name_their_own_descriptor(small: Tensor) -> None:
    root = extract(small, descriptor="rootsift")
    assert torch.equal(reconstruct(root, descriptor="rootsift"), reconstruct(root))
    for several in (root, [small, root]):
        with pytest.raises(InputError, match=r"of 'sift', as descriptor= says, got 'rootsift'"):
            reconstruct(several, descriptor="sift")


def test_method_instance_is_used_as_it_is(small_features: LocalFeatures) -> None:
    bright = reconstruct(small_features, method=create_method("poisson", mean=0.7, deviation=0.05))
    assert to_gray(bright).mean().item() == pytest.approx(0.7, abs=1e-3)
    assert to_gray(bright).std().item() == pytest.approx(0.05, abs=1e-3)


def test_any_callable_is_a_method(small_features: LocalFeatures) -> None:
    def method(batch: FeatureBatch) -> Tensor:
        return torch.full((len(batch), 3, *batch.image_size), 0.25)

    assert reconstruct(small_features, method=method).unique().tolist() == [0.25]


def test_method_by_name_is_made_for_the_adapter(small_features: LocalFeatures) -> None:
    whole = create_descriptor("sift")
    weak = create_descriptor("sift")
    unfolding: Unfolding = whole.unfolding
    turned = dataclasses.replace(unfolding, matrix=-unfolding.matrix, bias=-unfolding.bias)
    vars(weak)["unfolding"] = turned
    one, other = (reconstruct(small_features, descriptor=d)[0] for d in (whole, weak))
    assert correlation(one, other) < -0.9


@pytest.mark.parametrize("method", [None, 3])
def test_method_of_another_kind_is_named(small: Tensor, method: Any) -> None:
    with pytest.raises(InputError, match=f"Expected a method or the name of one, got {method}"):
        reconstruct(small, method=method)


def test_class_of_a_method_is_no_method(small: Tensor) -> None:
    with pytest.raises(InputError, match="Expected a method or the name of one"):
        reconstruct(small, method=type(create_method("poisson")))


def test_unknown_names_get_a_suggestion(small: Tensor, small_features: LocalFeatures) -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown method 'poison'\. Did you mean 'poisson'"):
        reconstruct(small, method="poison")
    for verb in (extract, reconstruct):
        with pytest.raises(UnknownNameError, match=r"'sfit'\. Did you mean 'sift'"):
            verb(small, descriptor="sfit")
    foreign = dataclasses.replace(small_features, descriptor="sift3")
    with pytest.raises(UnknownNameError, match=r"Unknown descriptor 'sift3'\. Did you mean 'sift'"):
        reconstruct(foreign)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), None])
def test_device(small_features: LocalFeatures, device: Any) -> None:
    picture = reconstruct(small_features, device=device)
    assert picture.device == torch.device("cpu")
    assert torch.equal(picture, reconstruct(small_features))


@pytest.mark.parametrize("device", ["cpuu", "", "cuda:4711"])
def test_device_that_is_not_there_is_named(small: Tensor, device: str) -> None:
    with pytest.raises(InputError, match=f"Expected a device to compute on, got '{device}': .+"):
        reconstruct(small, device=device)


def test_no_keypoints_give_a_flat_picture_and_a_warning(small_features: LocalFeatures) -> None:
    with pytest.warns(NoKeypointsWarning, match="No keypoints in 1 of 1 images") as caught:
        picture = reconstruct(small_features[:0])
    assert caught[0].filename == __file__
    assert picture.shape == (3, 96, 128)
    assert (to_gray(picture) - TONES["gamma"][0]).abs().max() <= 1e-6


def test_warning_counts_the_flat_pictures(small_features: LocalFeatures) -> None:
    nothing = small_features[:0]
    with pytest.warns(NoKeypointsWarning, match="No keypoints in 2 of 3 images"):
        pictures = reconstruct([nothing, small_features, nothing])
    assert [picture.std().item() > 0.1 for picture in pictures] == [False, True, False]
    assert (pictures[1] - reconstruct(small_features)).abs().max() <= 1e-5


def test_no_warning_without_a_flat_picture(small_features: LocalFeatures) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reconstruct([small_features, small_features[:1]])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 40), (40, 1), (5, 5)])
def test_tiny_images_give_a_flat_picture_and_a_warning(size: tuple[int, int]) -> None:
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    assert len(extract(image)) == 0
    with pytest.warns(NoKeypointsWarning):
        picture = reconstruct(image)
    assert picture.shape == (3, *size)
    assert (to_gray(picture) - TONES["gamma"][0]).abs().max() <= 1e-6


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 2), (1, 7)])
def test_tiny_pictures_are_made_of_a_single_feature(size: tuple[int, int]) -> None:
    one = LocalFeatures(
        keypoints=torch.zeros(1, 2),
        descriptors=torch.arange(128.0)[None],
        image_size=size,
        descriptor="sift",
        scales=torch.ones(1),
        orientations=torch.zeros(1),
    )
    picture = reconstruct(one)
    assert picture.shape == (3, *size)
    assert picture.isfinite().all()
    assert 0 <= picture.min() <= picture.max() <= 1


def test_vectors_of_another_length_are_named(small_features: LocalFeatures) -> None:
    short = dataclasses.replace(small_features, descriptors=small_features.descriptors[:, :64])
    message = f"Expected descriptors of shape (N, 128) for 'sift', got ({len(short)}, 64)."
    with pytest.raises(InputError, match=re.escape(message)):
        reconstruct(short)


@pytest.mark.parametrize("names", [("orientations",), ("scales",), ("scales", "orientations")])
def test_missing_fields_are_named_and_can_be_guessed(small: Tensor, names: tuple[str, ...]) -> None:
    less = extract(small, descriptor="beblid").without(*names)  # whose frames are not recovered
    guess = ", ".join(f"{name}=..." for name in names)
    message = (
        f"Expected features with {' and '.join(names)}, which the unfolding of 'beblid' needs; "
        f"got some without. Guess with features.assume({guess}) or choose another method."
    )
    with pytest.raises(MissingFieldError, match=re.escape(message)):
        reconstruct(less)
    guessed = less.assume(scales=2.0, orientations=0.0)
    assert reconstruct(guessed).shape == small.shape


def test_progress_bar_changes_nothing(small_features: LocalFeatures) -> None:
    assert torch.equal(reconstruct(small_features, progress=True), reconstruct(small_features))


def test_mean_and_deviation_of_a_picture_that_is_not_clipped(
    small_features: LocalFeatures,
) -> None:
    for mean, deviation in [(0.3, 0.02), (0.5, 0.1)]:
        method = create_method("poisson", mean=mean, deviation=deviation)
        picture = reconstruct(small_features, method=method)
        gray = to_gray(picture)
        assert gray.mean().item() == pytest.approx(mean, abs=2e-3)
        assert gray.std().item() == pytest.approx(deviation, abs=2e-3)


def test_stochastic_pictures_depend_on_the_seed_and_nothing_else(
    small: Tensor, small_features: LocalFeatures
) -> None:
    def picture(seed: int) -> Tensor:
        method = create_method("poisson", stochastic=True, seed=seed)
        return reconstruct(small_features, method=method)

    truth = to_gray(small)
    first, again, other = picture(1), picture(1), picture(2)
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.05
    assert not torch.equal(first, reconstruct(small_features))
    for one in (first, other):
        assert correlation(one[0], truth) > 0.5


def test_stochastic_picture_does_not_depend_on_its_batch(small_features: LocalFeatures) -> None:
    method = create_method("poisson", stochastic=True, seed=3)
    alone = reconstruct(small_features, method=method)
    first, second = reconstruct([small_features[:30], small_features], method=method)
    assert (second - alone).abs().max() <= 1e-5
    assert (first - alone).abs().max() > 0.05


def test_stochastic_draws_leave_the_global_generator_alone(small_features: LocalFeatures) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    reconstruct(small_features, method=create_method("poisson", stochastic=True))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("photos", "sorted(Path('photos').glob('*.png'))"),
        ("photos/*.png", "sorted(glob.glob('photos/*.png'))"),
        ("", "got an empty name."),
        ("n" * 300, "File name too long."),
        (b"photo.png", "got bytes."),
    ],
)
@pytest.mark.parametrize("verb", [extract, reconstruct], ids=["extract", "reconstruct"])
def test_what_is_no_image_is_told_how_to_be_read(
    verb: Any, name: Any, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for source in (name, Path(name)) if isinstance(name, str) and name else (name,):
        with pytest.raises(InvertDescError, match=re.escape(advice) + r"\.?$"):
            verb(source)


def test_a_large_image_is_shrunk_before_and_its_keypoints_stay_in_place(astronaut: Tensor) -> None:
    whole, small = extract(astronaut), extract(astronaut, max_side=128)
    shrunk = extract(shrink_image(astronaut, 128))
    assert small.image_size == (256, 256)
    assert torch.equal(small.descriptors, shrunk.descriptors)
    assert torch.equal(small.keypoints, (shrunk.keypoints + 0.5) * 2 - 0.5)
    assert small.scales is not None
    assert shrunk.scales is not None
    assert torch.equal(small.scales, shrunk.scales * 2)
    near = torch.cdist(small.keypoints, whole.keypoints).amin(1)
    assert near.median() < 1
    assert small.scales.min() > 1.8 * whole.scales.min()  # type: ignore[union-attr]
    assert torch.equal(extract(astronaut, max_side=256).keypoints, whole.keypoints)


def test_corners_of_a_shrunk_image_stay_inside() -> None:
    image = torch.rand(3, 997, 331, generator=torch.Generator().manual_seed(0))
    assert extract(image, max_side=101).image_size == (997, 331)


def test_fixed_windows_stay_in_the_shrunk_image(astronaut: Tensor) -> None:
    assert extract(astronaut, descriptor="brief", max_side=128).image_size == (128, 128)


def test_picture_of_a_shrunk_image_has_its_size(
    astronaut: Tensor, small_features: LocalFeatures
) -> None:
    picture, other = reconstruct([astronaut, small_features], max_side=128)
    assert torch.equal(picture, reconstruct(shrink_image(astronaut, 128)))
    assert torch.equal(other, reconstruct(small_features))


@pytest.mark.parametrize("verb", [extract, reconstruct])
def test_a_side_below_one_is_refused(verb: Any, small: Tensor) -> None:
    with pytest.raises(InputError, match="Expected max_side >= 1 or None, got 0"):
        verb(small, max_side=0)


def test_a_store_in_a_list_is_told_to_be_passed_alone(
    small_features: LocalFeatures, tmp_path: Path
) -> None:
    small_features.save(tmp_path / "a.npz")
    with pytest.raises(FileError, match=r"pass it alone, or use open_store\("):
        reconstruct([tmp_path])


def test_a_device_without_values_is_refused(small_features: LocalFeatures) -> None:
    with pytest.raises(InputError, match="Expected a device to compute on, got 'meta'"):
        reconstruct(small_features, device="meta")
