"""`invertdesc inspect`."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from make_stores import change, write_colmap

from invertdesc import LocalFeatures

Run = Callable[..., tuple[int, str, str]]
Images = dict[str, LocalFeatures]


def test_inspect_says_what_is_in_a_store(run: Run, tmp_path: Path, images: Images) -> None:
    status, out, err = run("inspect", write_colmap(tmp_path, images))
    assert (status, err) == (0, "")
    assert "COLMAP database" in out
    assert re.search(r"images +2\n", out)
    assert re.search(r"keypoints +90 \(45 an image, 30 to 60\)\n", out)
    assert re.search(r"descriptor +rootsift, 128 long\n", out)
    assert re.search(r"normalisation +L1 root \(RootSIFT\): sum over length is [78]\.\d\d", out)
    assert re.search(r"positions .*moved by half a pixel\n", out)
    assert re.search(r"missing +scores\n", out)


def test_inspect_says_what_missing_orientations_cost(
    run: Run, tmp_path: Path, images: Images
) -> None:
    _, out, _ = run("inspect", write_colmap(tmp_path, images, columns=2))
    assert "missing        scales, orientations, scores" in out
    assert "Without scales and orientations, `poisson` and `unfold` have to recover them" in out
    assert "which grows and turns with its keypoint" in out
    assert "assume" not in out


def test_inspect_prints_json(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    change(path, "UPDATE keypoints SET rows = -1 WHERE image_id = 2;")
    status, out, _ = run("inspect", path, "--json")
    told = json.loads(out)
    assert status == 2
    assert told["images"] == 2
    assert told["read"] == 1
    assert told["keypoints"] == 60
    assert told["descriptor"] == "rootsift"
    assert told["missing"] == ["scores"]
    assert told["errors"][0].startswith("Cannot read '102'")


def test_inspect_of_a_database_without_descriptors(
    run: Run, tmp_path: Path, images: Images
) -> None:
    _, out, _ = run("inspect", write_colmap(tmp_path, images, descriptors=False))
    assert "missing        descriptors" in out
    assert "Without descriptors there is nothing to reconstruct from" in out
    assert "hloc stores these" in out


def test_inspect_reads_as_many_as_it_is_told(run: Run, tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {f"{k:02}": some[: k + 1] for k in range(20)})
    _, out, _ = run("inspect", path, "--images", "5")
    assert re.search(r"images +20, of which 5 were read\n", out)


def test_inspect_of_another_descriptor(run: Run, tmp_path: Path, images: Images) -> None:
    _, out, _ = run("inspect", write_colmap(tmp_path, images), "-d", "sift")
    assert "as the caller says" in out
    assert "The vectors look like 'rootsift'" in out
