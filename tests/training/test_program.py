"""Fit the unfolding of a made-up extractor, of which the library knows nothing."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from skimage import data

from invertdesc import (
    FeatureBatch,
    FieldRasterizer,
    Frame,
    create_descriptor,
    fit_program,
    fit_unfolding,
    open_store,
    reconstruct,
    reconstruct_store,
)
from invertdesc.descriptors.stored import Stored
from invertdesc.errors import FileError, InputError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import read_image, to_gray, to_image, write_image
from invertdesc.training.decoders import DecoderConfig

Run = Callable[..., tuple[int, str, str]]
# Mean and range-free differences of 6 x 6 cells of 3 x 3 pixels every 6 pixels, mixed at random.
PROGRAM = """
import sys
from pathlib import Path
import h5py, numpy as np
from PIL import Image
pictures, out = Path(sys.argv[1]), Path(sys.argv[2])
mix = np.random.default_rng(0).normal(size=(36, 40))
with h5py.File(out / "anything.h5", "w") as file:
    for path in sorted(pictures.glob("*.png")):
        gray = np.asarray(Image.open(path).convert("L"), float) / 255
        points, vectors = [], []
        for y in range(9, gray.shape[0] - 9, 6):
            for x in range(9, gray.shape[1] - 9, 6):
                patch = gray[y - 9 : y + 9, x - 9 : x + 9].reshape(6, 3, 6, 3).mean((1, 3)).ravel()
                points.append((x - 0.5, y - 0.5))
                vectors.append((patch - patch.mean()) @ mix + 0.01)
        group = file.create_group(path.name)
        group["keypoints"] = np.array(points, "f4")
        group["descriptors"] = np.array(vectors, "f4").T
        group["image_size"] = np.array(gray.shape[::-1])
"""
PICTURES = ("astronaut", "cat", "rocket", "coins")


def small(name: str) -> torch.Tensor:
    return to_image(getattr(data, name)()[:200:2, :240:2])


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A command that extracts features of a kind that nobody else has."""
    file = tmp_path_factory.mktemp("program") / "it's mine.py"
    file.write_text(PROGRAM)
    return f'"{sys.executable}" "{file}" {{images}} {{out}}'


@pytest.fixture(scope="module")
def fitted(program: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fitted") / "mine.safetensors"
    found = fit_program(program, [small(name) for name in PICTURES], grid=6)
    assert found.photographs == 4
    assert found.ncc is not None
    assert found.ncc > 0.5
    assert found.unfolding.frame.support in (12.0, 16.0, 24.0)  # of 18 in truth
    assert found.descriptor.width == 40
    found.save(path)
    return path


@pytest.fixture(scope="module")
def store(program: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of the program of a picture that the fit has not seen."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "images").mkdir()
    write_image(small("chelsea"), folder / "images" / "cat.png")
    sys_argv = [str(folder / "images"), str(folder)]
    code = f"import sys; sys.argv[1:] = {sys_argv!r}\n{PROGRAM}"
    exec(compile(code, "program", "exec"), {})
    return folder / "anything.h5"


def test_stored_features_reconstruct_without_the_program(fitted: Path, store: Path) -> None:
    name = os.path.relpath(fitted)
    with open_store(store, descriptor=name) as opened:
        features = opened.load("cat.png")
        assert opened.description.missing == ("scales", "orientations", "scores")
    picture = to_gray(reconstruct(features, method="poisson"), "gamma")
    assert ncc(picture, to_gray(small("chelsea"), "luma")) > 0.7


def test_a_decoder_is_fitted_saved_and_read(program: str, store: Path, tmp_path: Path) -> None:
    pictures = [small(name) for name in PICTURES]
    frame, decoder = Frame(16.0, scaled=False, rotated=False), DecoderConfig(width=32, epochs=40)
    found = fit_program(program, pictures, frame=frame, decoder=decoder)
    assert found.unfolding.decoder is not None
    found.save(tmp_path / "mine.safetensors")
    with open_store(store, descriptor=os.fspath(tmp_path / "mine.safetensors")) as opened:
        features = opened.load("cat.png")
    assert features.descriptor.endswith("mine.safetensors")
    truth, likeness = to_gray(small("chelsea"), "luma"), []
    for unfolding in (found.unfolding, replace(found.unfolding, decoder=None)):
        picture = FieldRasterizer(found.descriptor, unfolding=unfolding)(
            FeatureBatch.collate([replace(features, scores=None)])
        ).picture[0, 0]
        likeness.append(float(ncc(picture, truth)))
    assert likeness[0] > 0.6
    assert likeness[0] != likeness[1]


def test_commands_of_the_shell(run: Run, program: str, store: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in PICTURES:
        write_image(small(name), tmp_path / "photos" / f"{name}.png")
    status, out, _ = run(
        "fit",
        "--command",
        program,
        "--data",
        "photos",
        "-o",
        "m.safetensors",
        "--support",
        "16",
        "--decoder",
    )
    assert status == 0
    assert "Read such features with -d m.safetensors" in out
    for name in (("-d", "m.safetensors"), ("--unfolding", "m.safetensors")):
        folder = "out" + name[0]
        assert run("reconstruct", store, "-o", folder, "-m", "poisson", *name)[0] == 0
        picture = to_gray(read_image(tmp_path / folder / "cat.png"), "gamma")
        assert ncc(picture, to_gray(small("chelsea"), "luma")) > 0.7
    audit = (
        "audit",
        store,
        "-m",
        "poisson",
        "--images",
        "1",
        "--side",
        "64",
        "--threat",
        "everything",
    )
    assert run(*audit, "-d", "m.safetensors", "--no-faces", "-o", "a.html")[0] == 0
    status, out, _ = run("inspect", store, "-d", "m.safetensors")
    assert status == 0
    assert "m.safetensors, 40 long" in out
    status, _, err = run("reconstruct", store, "-o", "none", "-m", "poisson")
    assert status == 2
    assert "fit_program" in err


def test_store_is_made_by_name_alone(fitted: Path, store: Path, tmp_path: Path) -> None:
    done = reconstruct_store(store, tmp_path / "out", method="poisson", descriptor=str(fitted))
    assert done.made == 1


def test_adapter_from_the_file(fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = create_descriptor(str(fitted))
    assert isinstance(adapter, Stored)
    assert (adapter.dim, adapter.packed) == (40, False)
    monkeypatch.chdir(fitted.parent)
    assert create_descriptor("mine.safetensors").name == str(fitted)
    with pytest.raises(InputError, match="there is a map alone"):
        adapter.extract(torch.zeros(3, 8, 8))
    with pytest.raises(InputError, match="gray"):
        create_descriptor(str(fitted), gray="luma")
    with pytest.raises(FileError, match="found none at"):
        create_descriptor("theirs.safetensors")


def test_file_of_a_known_descriptor_is_not_a_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "sift.safetensors"
    fit_unfolding(create_descriptor("sift"), [small("astronaut")], grid=4).save(
        path, card={"descriptor": "sift"}
    )
    with pytest.raises(FileError, match=r"fitted to 'sift'.*Unfolding.load"):
        create_descriptor(str(path))


def test_bits(tmp_path: Path) -> None:
    adapter = Stored(name="bits", width=2, packed=True, frame=Frame(8.0))
    assert adapter.dim == 16
    assert adapter.encode(torch.tensor([[1, 128]], dtype=torch.uint8))[0].tolist() == [
        1, *[-1] * 14, 1,
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("rotated", [False, True])
def test_square_of_scales_and_orientations_is_found(
    rotated: bool, tmp_path: Path, astronaut: torch.Tensor
) -> None:
    # A program that writes ORB, BRISK or whatever: here SIFT, as the library's own files.
    code = (
        "import sys\nfrom pathlib import Path\nfrom invertdesc import extract\n"
        "for path in Path(sys.argv[1]).iterdir():\n    one = extract(str(path))\n"
        + ("" if rotated else "    one = one.without('orientations')\n")
        + "    one.save(f'{sys.argv[2]}/{path.name}.npz')\n"
    )
    command = [sys.executable, "-c", code, "{images}", "{out}"]
    found = fit_program(command, [astronaut, small("cat"), small("coins")])
    assert found.unfolding.frame.rotated == rotated
    if rotated:
        assert found.unfolding.frame.scaled
        assert found.unfolding.frame.support == 12.0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("program {images}", r"without \{out\}"),
        ("program {out}", r"without \{images\}"),
        ("'program {images} {out}", "No closing quotation"),
        ("no-such-program {images} {out}", "Is it installed"),
        (f"{sys.executable} -c 'import sys; sys.exit(\"bad day\")' {{images}} {{out}}", "bad day"),
        (f"{sys.executable} -c pass {{images}} {{out}}", "Expected features in"),
    ],
)
def test_commands_that_fail(command: str, words: str) -> None:
    with pytest.raises((InputError, FileError), match=words):
        fit_program(command, [small("astronaut")])


def write_h5(code: str) -> list[str]:
    """A command that writes a group of HDF5 for each picture, as a line of code says."""
    lines = [
        "import sys, h5py, numpy as np",
        "from pathlib import Path",
        "file = h5py.File(sys.argv[2] + '/a.h5', 'w')",
        "for number, path in enumerate(sorted(Path(sys.argv[1]).iterdir())):",
        "    points, vectors, name = np.ones((3, 2)), np.ones((8, 3), 'f4'), path.name",
        "    vectors = np.random.default_rng(0).normal(size=(8, 3)).astype('f4')",
        f"    {code}",
        "    file[name + '/keypoints'], file[name + '/descriptors'] = points, vectors",
    ]
    return [sys.executable, "-c", "\n".join(lines), "{images}", "{out}"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("name = 'x' + name", "Expected images called 000000"),
        ("points, vectors = points[:0], vectors[:, :0]", "Expected keypoints in some picture"),
        ("vectors = vectors[: 8 - number]", "vectors of one length"),
        ("points *= 1e4", "000000.png"),
    ],
)
def test_features_that_are_not_the_pictures(code: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit_program(write_h5(code), [small("astronaut"), small("cat")])


def test_name_to_save_to(fitted: Path) -> None:
    found = fit_program(write_h5("pass"), [small("cat")], frame=Frame(9.0, False, False))
    assert found.ncc is None
    with pytest.raises(FileError, match="ends with"):
        found.save("mine.npz")
