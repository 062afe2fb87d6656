"""AKAZE of OpenMVG and AliceVision, written from OpenCV's by their own order and units."""

import json
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from forms import Array
from skimage import data

from invertdesc import LocalFeatures, extract, open_store, reconstruct
from invertdesc.descriptors._opencv import find_class
from invertdesc.errors import InputError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image
from invertdesc.stores._akaze import from_interleaved

REGIONS = {"akaze": "AKAZE_Float_Regions", "akaze_mldb": "AKAZE_Binary_Regions"}
KINDS = pytest.mark.parametrize("kind", REGIONS)
PLACES = pytest.mark.parametrize("openmvg", [True, False])


@pytest.fixture(scope="module")
def gray() -> Array:
    return cv2.cvtColor(data.astronaut()[::2, ::2], cv2.COLOR_RGB2GRAY)


def interleaved(vectors: Array) -> Array:
    """Write OpenCV's bits, channel by channel, as theirs: pair by pair, and padded to 64 bytes."""
    bits = np.unpackbits(vectors, axis=1, bitorder="little")
    written, start = np.zeros((len(bits), 512), np.uint8), 0
    for cells in (4, 9, 16):
        pairs = cells * (cells - 1) // 2
        for channel in range(3):
            for pair in range(pairs):
                ours = start + channel * pairs + pair
                written[:, start + 3 * pair + channel] = bits[:, ours]
        start += 3 * pairs
    return np.packbits(written, axis=1, bitorder="little")


def write(folder: Path, gray: Array, kind: str, openmvg: bool, named: bool = True) -> LocalFeatures:
    """Write a picture's features; return what the library extracts of it."""
    types = {"akaze": 3, "akaze_mldb": 5}  # OpenCV's DESCRIPTOR_KAZE and DESCRIPTOR_MLDB
    tool = find_class("AKAZE").create(descriptor_type=types[kind], threshold=5e-4)
    points, vectors = tool.detectAndCompute(gray, None)
    stem = "7" if openmvg else f"7.{kind}"
    lines = (f"{p.pt[0]} {p.pt[1]} {p.size / 2} {np.deg2rad(p.angle)}\n" for p in points)
    (folder / f"{stem}.feat").write_text("".join(lines))
    stored = vectors.astype("<f4") if kind == "akaze" else interleaved(vectors)
    count = len(points).to_bytes(8, "little")
    (folder / f"{stem}.desc").write_bytes(count + stored.tobytes())
    if openmvg and named:
        told = {"regions_type": {"polymorphic_name": REGIONS[kind]}}
        (folder / "image_describer.json").write_text(json.dumps(told))
    name = "kaze" if kind == "akaze" else "akaze"
    return LocalFeatures.from_opencv(points, vectors, image_size=gray.shape, descriptor=name)


@KINDS
@PLACES
@pytest.mark.parametrize("named", [True, False])
def test_features_come_back(
    kind: str, openmvg: bool, named: bool, tmp_path: Path, gray: Array
) -> None:
    given = write(tmp_path, gray, kind, openmvg, named)
    with open_store(tmp_path) as store:
        read = store.load("7")
    assert read.descriptor == given.descriptor
    assert torch.equal(read.descriptors, given.descriptors)
    for one, other in (
        (read.keypoints, given.keypoints),
        (read.scales, given.scales),
        (read.orientations, given.orientations),
    ):
        assert one is not None
        assert other is not None
        assert torch.allclose(one, other, atol=1e-4)


def contradictions(vectors: Array) -> int:
    """Count triples of a grid's cells of which a > b, b > c, but not a > c, by OpenCV's order."""
    bits, start, wrong = np.unpackbits(vectors, axis=1, bitorder="little"), 0, 0
    for cells in (4, 9, 16):
        pairs = {pair: k for k, pair in enumerate(combinations(range(cells), 2))}
        for channel in range(3):
            part = bits[:, start + channel * len(pairs) :].astype(bool)
            for a, b, c in combinations(range(cells), 3):
                ab, bc, ac = part[:, pairs[a, b]], part[:, pairs[b, c]], part[:, pairs[a, c]]
                wrong += int((ab & bc & ~ac).sum() + (~ab & ~bc & ac).sum())
        start += 3 * len(pairs)
    return wrong


def test_bits_of_opencv_do_not_contradict_each_other(gray: Array) -> None:
    # So channels do come one after the other, and written pair by pair they would not be read.
    _, vectors = find_class("AKAZE").create().detectAndCompute(gray, None)
    theirs = interleaved(vectors)
    assert contradictions(vectors) == 0
    assert contradictions(theirs[:, :61]) > 1000
    assert contradictions(from_interleaved(theirs)) == 0


@KINDS
def test_picture(kind: str, tmp_path: Path, gray: Array) -> None:
    given = write(tmp_path, gray, kind, openmvg=False)
    with open_store(tmp_path, image_size=gray.shape) as store:
        pictures = [reconstruct(one, method="poisson") for one in (store.load("7"), given)]
    truth = to_gray(to_image(data.astronaut()[::2, ::2]), "luma")
    read, expected = (float(ncc(to_gray(one, "luma"), truth)) for one in pictures)
    assert read == pytest.approx(expected, abs=0.01)
    assert read > 0.6


def test_floats_of_sift(tmp_path: Path, astronaut_features: LocalFeatures) -> None:
    from forms import fields, to_vlfeat

    xy, scale, turn, vectors = fields(astronaut_features)
    rooted = np.sqrt(vectors / vectors.sum(1, keepdims=True))
    table = np.column_stack([xy, scale, turn]).tolist()
    (tmp_path / "7.sift_float.feat").write_text(
        "".join("{} {} {} {}\n".format(*row) for row in table)
    )
    stored = to_vlfeat(rooted).astype("<f4").tobytes()
    (tmp_path / "7.sift_float.desc").write_bytes(len(xy).to_bytes(8, "little") + stored)
    with open_store(tmp_path) as store:
        read = store.load("7")
    assert read.descriptor == "rootsift"
    assert np.allclose(read.descriptors.numpy(), rooted, atol=1e-6)


@pytest.mark.parametrize("describer", ["akaze_liop", "cctag3", "akaze_ocv"])
def test_other_describers_are_refused(describer: str, tmp_path: Path) -> None:
    (tmp_path / f"7.{describer}.feat").write_text("1 2 3 4\n")
    (tmp_path / f"7.{describer}.desc").write_bytes((1).to_bytes(8, "little") + bytes(144))
    with open_store(tmp_path) as store, pytest.raises(InputError, match=describer):
        store.load("7")


def test_extracted_akaze_has_the_same_units(gray: Array, tmp_path: Path) -> None:
    given = write(tmp_path, gray, "akaze_mldb", openmvg=True)
    own = extract(data.astronaut()[::2, ::2], descriptor="akaze")
    assert given.scales is not None
    assert own.scales is not None
    assert float(given.scales.median()) == pytest.approx(float(own.scales.median()), rel=0.2)
