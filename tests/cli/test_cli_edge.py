"""Whatever the system or the input refuses, the command says in one line, with a status of 2."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image
from safetensors import SafetensorError
from skimage import data

from invertdesc import LocalFeatures
from invertdesc.methods.networks.unet import UNet, UNetConfig
from invertdesc.weights._files import save_network

Run = Callable[..., tuple[int, str, str]]
LONG = "n" * 300  # no file system takes it
POISSON = ("-m", "poisson")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(data.astronaut()[:96, 128:256]).save(folder / f"{name}.png")
    return folder


def check_one_line(found: tuple[int, str, str], words: str = "") -> None:
    status, out, err = found
    assert (status, out) == (2, "")
    lines = [line for line in err.split("\n")[:-1] if not line.startswith("note: ")]
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert lines[0].isprintable()
    assert words in lines[0]


READERS: dict[str, tuple[object, ...]] = {
    "extract": ("extract", "BAD", "-o", "out"),
    "reconstruct": ("reconstruct", "BAD", "-o", "out"),
    "fit": ("fit", "-d", "sift", "--data", "BAD", "-o", "mine.safetensors"),
    "index": ("index", "-m", "ridge", "--data", "BAD", "-o", "ridge.safetensors"),
    "evaluate": ("evaluate", "--data", "BAD", *POISSON),
    "compare": ("compare", "--data", "BAD", "-o", "out", *POISSON),
    "train": ("train", "--data", "BAD", "-o", "out"),
    "audit": ("audit", "BAD", "-o", "report.html"),
    "inspect": ("inspect", "BAD"),
    "unfolding": ("reconstruct", "photos/a.png", "-o", "out", "--unfolding", "BAD"),
    "weights": ("reconstruct", "photos/a.png", "-o", "out", "-M", "weights=BAD"),
    "database": ("reconstruct", "photos/a.png", "-o", "out", "-m", "ridge", "-M", "database=BAD"),
    "net": ("extract", "photos/a.png", "-o", "out", "-d", "hynet", "-D", "weights=BAD"),
    "vgg16": ("audit", "photos", "--vgg16", "BAD"),
    "identity": ("audit", "photos", "--identity", "BAD"),
}
NAMES = {
    "missing": "none.png",
    "too long": f"{LONG}.png",
    "below a file": "photos/a.png/b.png",
    "link to itself": "loop.png",
    "not UTF-8": os.fsdecode(b"none\xe9.png"),
    "line end": "no\nne\x1b[2J.png",
}


@pytest.mark.filterwarnings("ignore:Left out a picture")
@pytest.mark.parametrize("name", NAMES.values(), ids=list(NAMES))
@pytest.mark.parametrize("command", READERS)
@pytest.mark.usefixtures("photos")
def test_what_cannot_be_read_is_told(command: str, name: str, run: Run) -> None:
    Path("loop.png").symlink_to("loop.png")
    check_one_line(run(*(str(word).replace("BAD", name) for word in READERS[command])))


WRITERS: dict[str, tuple[object, ...]] = {
    "extract": ("extract", "photos/a.png", "-o", "BAD/a.npz"),
    "reconstruct": ("reconstruct", "photos/a.png", *POISSON, "-o", "BAD/a.png"),
    "store": ("reconstruct", "features", *POISSON, "-o", "BAD"),
    "fit": ("fit", "-d", "sift", "--data", "photos", "-o", "BAD/mine.safetensors"),
    "patch-database": ("index", "-m", "patch-database", "--data", "photos", "-o", "BAD/a.db"),
    "ridge": ("index", "-m", "ridge", "--data", "photos", "-o", "BAD/a.safetensors"),
}


@pytest.mark.parametrize("name", [LONG, "photos/a.png", "loop"])
@pytest.mark.parametrize("command", WRITERS)
def test_what_cannot_be_written_is_told(
    command: str, name: str, run: Run, photos: Path, astronaut_features: LocalFeatures
) -> None:
    del photos  # are there
    astronaut_features[:9].save("features/a.npz")
    Path("loop").symlink_to("loop")
    check_one_line(run(*(str(word).replace("BAD", name) for word in WRITERS[command])))


@pytest.mark.parametrize("method", ["ridge", "patch-database"])
@pytest.mark.usefixtures("photos")
def test_a_disk_that_is_full_at_the_end_is_told(
    method: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", refuse)
    command = ("index", "-m", method, "--data", "photos", "-o", "o.safetensors")
    check_one_line(run(*command), "Cannot write o.safetensors: ")
    assert [path.name for path in Path().iterdir()] == ["photos"]


@pytest.mark.usefixtures("photos")
def test_a_disk_that_is_full_while_rows_are_put_by_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Path.open

    def full(path: Path, mode: str = "r", *rest: Any) -> Any:
        if path.name == "vectors":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return usual(path, mode, *rest)

    monkeypatch.setattr(Path, "open", full)
    command = ("index", "-m", "patch-database", "--data", "photos", "-o", "o.safetensors")
    check_one_line(run(*command), "Cannot write o.safetensors: No space left on device")
    assert [path.name for path in Path().iterdir()] == ["photos"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("command", [("list",), ("--help",), ("extract", "photos", "-o", "out")])
def test_an_output_that_is_full_is_told(command: tuple[str, ...], photos: Path) -> None:
    with Path("/dev/full").open("w") as sink:
        done = subprocess.run(
            [sys.executable, "-m", "invertdesc", *command],
            cwd=photos.parent,
            stdout=sink,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    check_one_line((done.returncode, "", done.stderr), "No space left")


BAD_OPTIONS: list[tuple[tuple[str, ...], str]] = [
    (("-D", "contrast_threshold=abc"), "as a number, got 'abc'"),
    (("-D", "contrast_threshold=NaN"), "as a number, got nan"),
    (("-D", "contrast_threshold=1e999"), "as a number, got inf"),
    (("-D", "contrast_threshold=true"), "as a number, got True"),
    (("-D", "max_num_keypoints=2.5"), "as a whole number or null, got 2.5"),
    (("-D", "max_num_keypoints=[1]"), "as a whole number or null, got [1]"),
    (("-D", "octave_layers=5000000000"), "that OpenCV can work with"),
    (("-D", f"octave_layers={10**30}"), "as a whole number, got 1000"),
    (("-d", "orb", "-D", "fast_threshold=99999999999"), "that OpenCV can work with"),
    (("-d", "hardnet", "-D", "weights=5"), "as a path or null, got 5"),
    (("-D", "gray=3"), "as 'gamma' or 'luma', got 3"),
    (("-M", "weights=5"), "Expected weights of method 'auto' as a path or null, got 5."),
    (("-M", "weights=true"), "got True"),
    (("-M", "weights=[]"), "got []"),
    (("-M", "weights={}"), "got {}"),
    (("-m", "unfold", "-M", "network=x"), "as an object of class Module or null, got 'x'"),
    (("-M", "unfolding=mine.safetensors"), "Expected unfolding as --unfolding FILE"),
    (("-M", "descriptor=orb"), "Expected descriptor as -d NAME"),
    (("-M", "weights=" + "[" * 100_000), "cannot look at [[["),
    (("-m", "poisson", "-M", "stride=x"), "as a whole number, got 'x'"),
    (("-m", "poisson", "-M", "stride=" + "9" * 5000), "as a whole number, got '999"),
    (("-m", "poisson", "-M", "stochastic=maybe"), "as true or false, got 'maybe'"),
    (("-m", "ridge", "-M", "database=5"), "as a path or an object of class Database or null"),
    (("-m", "gradient", "-M", "steps=x"), "as a whole number, got 'x'"),
    (("-m", "bovw", "-M", "merge=1"), "as 'poisson' or 'average', got 1"),
    (("--device", "meta"), "Expected a device"),
    (("--device", "5"), "Expected a device"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"), BAD_OPTIONS, ids=[" ".join(one)[:40] for one, _ in BAD_OPTIONS]
)
def test_options_of_another_kind_are_told(
    options: tuple[str, ...], words: str, run: Run, photos: Path
) -> None:
    check_one_line(run("reconstruct", photos / "a.png", "-o", "back.png", *options), words)
    assert not Path("back.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("index", "-m", "ridge", "-M", "penalty=x", "-o", "o"), "Expected penalty of collecting"),
        (("index", "-m", "ridge", "-M", "descriptor=orb", "-o", "o"), "as -d NAME"),
        (("index", "-m", "ridge", "-M", "progress=1", "-o", "o"), "Expected progress as"),
        (("compare", "--method-option", "poisson.descriptor=orb", "-o", "o"), "as -d NAME"),
        (("compare", "--index-option", "ridge.images=1", "-o", "o"), "Expected images as"),
        (("compare", *POISSON, "--method-option", "poisson.stride=x", "-o", "o"), "got 'x'"),
        (("evaluate", *POISSON, "-M", "stride=x"), "as a whole number, got 'x'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_of_other_commands_are_checked_too(
    arguments: tuple[str, ...], words: str, run: Run, photos: Path
) -> None:
    check_one_line(run(*arguments, "--data", photos), words)


@pytest.mark.parametrize(
    "change",
    [{"width": -1}, {"width": "a"}, {"width": 10**6}, {"width": 9}, {"nothing": 1},
     {"depth": 10**9}, {"depth": 1}, {"inputs": None}, {"inputs": [4]}],
    ids=str,
)  # fmt: skip
def test_weights_of_another_size_are_told(
    change: dict[str, Any], run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = UNet(UNetConfig(width=2, depth=2))
    monkeypatch.setattr(
        "invertdesc.weights._files.asdict",
        lambda _: {"inputs": 4, "width": 2, "depth": 2, "upscale": 2} | change,
    )
    save_network("mine.safetensors", "unfold", network, {})
    found = run("reconstruct", photos / "a.png", "-o", "back.png", "-M", "weights=mine.safetensors")
    check_one_line(found, " in mine.safetensors, got ")


def test_an_error_of_ours_shows_where_it_is(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("invertdesc.bulk.order.write_image", fail)
    with pytest.raises(ZeroDivisionError):
        run("reconstruct", photos / "a.png", "-o", "back.png")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        PermissionError(errno.EACCES, "Permission denied", "photos"),
        UnicodeEncodeError("utf-8", "\udce9", 0, 1, "surrogates not allowed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_machine_refuses_is_told(
    error: Exception, run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise error

    monkeypatch.setattr("invertdesc.bulk.order.write_image", fail)
    check_one_line(run("reconstruct", photos / "a.png", "-o", "back.png"))
