"""Measures, on pictures whose answer is known."""

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from skimage import data

from invertdesc import LocalFeatures, create_descriptor
from invertdesc.auditing.subjects import Subject
from invertdesc.descriptors import Descriptor
from invertdesc.errors import FileError, InputError
from invertdesc.evaluation.consistency import agreement
from invertdesc.evaluation.faces import count_found, find_faces
from invertdesc.evaluation.identity import Identity, load_identity
from invertdesc.evaluation.scores import Ruler, Scores, mean_of
from invertdesc.image import to_image


def measure(ruler: Ruler, subject: Subject, picture: torch.Tensor) -> Scores:
    return ruler.full(subject.features, picture, subject.image, subject.faces)


@pytest.mark.parametrize("name", ["sift", "orb", "brief"])
def test_a_picture_agrees_with_its_own_descriptors(picture: torch.Tensor, name: str) -> None:
    adapter = create_descriptor(name)
    found = agreement(adapter, adapter.extract(picture), picture)
    assert found is not None
    assert found[0] > 0.97
    assert found[1] < found[0] - 0.3


def test_agreement_keeps_to_keypoints_where_some_are_lost(
    picture: torch.Tensor, stored_bits: LocalFeatures, orb: Descriptor
) -> None:
    from dataclasses import replace

    at_border = torch.arange(len(stored_bits)) % 3 == 0
    moved = replace(
        stored_bits,
        keypoints=torch.where(at_border[:, None], torch.zeros(2), stored_bits.keypoints),
    )
    found = agreement(orb, moved, picture)
    assert found is not None
    assert found[0] > 0.97  # of the others; what lies at the border cannot be described


def test_a_flat_picture_agrees_with_nothing(
    picture: torch.Tensor, stored: LocalFeatures, sift: Descriptor
) -> None:
    found = agreement(sift, stored, torch.full_like(picture, 0.5))
    assert found is not None
    assert found[0] == pytest.approx(0, abs=1e-6)


def test_what_cannot_describe_has_no_agreement(picture: torch.Tensor) -> None:
    hog = create_descriptor("hog")
    silent = SimpleNamespace(name="hog", encode=hog.encode)
    assert agreement(silent, hog.extract(picture), picture) is None  # type: ignore[arg-type]
    assert agreement(hog, hog.extract(picture), picture) is not None


def test_the_original_itself_scores_full(
    picture: torch.Tensor, subject: Subject, sift: Descriptor
) -> None:
    scores = measure(Ruler(sift, {"vgg": lambda a, b: (a - b).square().mean()}), subject, picture)
    assert scores.ncc == pytest.approx(1, abs=1e-5)
    assert scores.gradient == pytest.approx(1, abs=1e-5)
    assert scores.ssim == pytest.approx(1, abs=1e-5)
    assert (scores.psnr, scores.vgg, scores.faces, scores.faces_seen) == (100.0, 0.0, 1.0, 1.0)
    assert scores.consistency is not None
    assert scores.consistency > 0.97


def test_without_an_original_there_is_agreement_alone(
    picture: torch.Tensor, stored: LocalFeatures, sift: Descriptor
) -> None:
    ruler = Ruler(sift)
    for scores in (ruler.full(stored, picture), ruler.quick(stored, picture, None)):
        assert scores.ncc is scores.psnr is scores.faces is None
        assert scores.consistency is not None
    assert ruler.full(stored, picture).faces_seen == 1.0
    assert Ruler(sift, faces=False).full(stored, picture).faces_seen is None


def test_quick_and_full_measure_alike(
    picture: torch.Tensor, subject: Subject, sift: Descriptor
) -> None:
    other = picture.flip(2)
    quick = Ruler(sift).quick(subject.features, other, subject.image)
    assert quick.ncc == measure(Ruler(sift), subject, other).ncc


def test_means_leave_out_what_is_missing() -> None:
    mean = mean_of([Scores(ncc=0.25, faces=1.0), Scores(ncc=0.75), Scores()])
    assert (mean.ncc, mean.faces, mean.ssim) == (0.5, 1.0, None)


def test_the_one_face_is_found_once(picture: torch.Tensor) -> None:
    (box,) = find_faces(picture)
    x0, y0, x1, y1 = box
    assert 60 < (x0 + x1) / 2 < 160
    assert 60 < (y0 + y1) / 2 < 160
    assert find_faces(to_image(data.coffee())) == []
    assert find_faces(torch.zeros(3, 20, 20)) == []


def test_a_face_that_fills_its_picture_is_found() -> None:
    face = to_image(data.astronaut()[70:190, 165:280])
    (box,) = find_faces(face)
    assert min(box) >= 0
    assert box[2] <= 115
    assert box[3] <= 120
    assert count_found([(0, 0, 115, 120)], [box]) == 1


def test_faces_are_not_counted_where_the_original_has_none(
    picture: torch.Tensor, stored: LocalFeatures, sift: Descriptor
) -> None:
    scores = measure(Ruler(sift), Subject("gray", stored, torch.full_like(picture, 0.5)), picture)
    assert scores.faces is scores.faces_seen is None


def test_faces_are_the_same_where_boxes_overlap() -> None:
    face = (0.0, 0.0, 10.0, 10.0)
    assert count_found([face], [(0, 0, 10, 4)]) == 1  # 40 of 100
    assert count_found([face], [(0, 0, 10, 2)]) == 0  # 20 of 100
    assert count_found([face], [(20, 20, 30, 30)]) == count_found([face], []) == 0


def test_identity_compares_faces_cut_out(picture: torch.Tensor) -> None:
    seen: list[torch.Size] = []

    def model(faces: torch.Tensor) -> torch.Tensor:
        seen.append(faces.shape)
        return faces.mean((2, 3)) - faces.mean((1, 2, 3))[:, None]

    recogniser = Identity(model, side=32)
    (face,) = recogniser.faces(picture)
    assert seen == [(1, 3, 32, 32)]
    (again,) = recogniser.again(picture, [face])
    assert again is not None
    assert recogniser.distance(again.embedding, face.embedding) == pytest.approx(0, abs=1e-5)
    (turned,) = recogniser.again(picture[[2, 1, 0]], [face])
    assert turned is not None
    assert recogniser.distance(turned.embedding, face.embedding) > 0.5
    assert recogniser.again(torch.zeros_like(picture), [face]) == [None]
    with pytest.raises(InputError, match="identity model"):
        Identity(lambda x: x).faces(picture)


class Means(torch.nn.Module):
    """An embedding of a face: how much its mean colours differ from gray."""

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        return faces.mean((2, 3)) - faces.mean((1, 2, 3))[:, None]


@pytest.mark.parametrize("suffix", [".pt2", ".pt"])
def test_identity_is_read_from_a_file(picture: torch.Tensor, tmp_path: Path, suffix: str) -> None:
    example, path = torch.rand(1, 3, 112, 112), tmp_path / f"model{suffix}"
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)
        if suffix == ".pt2":
            torch.export.save(torch.export.export(Means(), (example,)), path)
        else:
            torch.jit.trace(Means(), example).save(str(path))
    (expected,), (found,) = Identity(Means()).faces(picture), load_identity(path).faces(picture)
    assert found.box == expected.box
    torch.testing.assert_close(found.embedding, expected.embedding, atol=1e-5, rtol=0)


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="TorchScript"):
        load_identity(tmp_path / "missing.pt")
    for name in ("broken.pt", "broken.pt2"):
        (tmp_path / name).write_bytes(b"no archive")
        with pytest.raises(FileError, match="TorchScript"):
            load_identity(tmp_path / name)
