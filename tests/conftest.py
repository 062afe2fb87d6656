import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

if not torch.cuda.is_available():
    # Settled when triton is imported: kernels are then run by its interpreter, on the CPU.
    os.environ.setdefault("TRITON_INTERPRET", "1")

from skimage import data

from invertdesc import LocalFeatures, create_descriptor, extract
from invertdesc.auditing.subjects import Subject
from invertdesc.cli import main
from invertdesc.descriptors import Descriptor
from invertdesc.image import to_image, write_image
from invertdesc.methods.database import collect_database

# Descriptor and further options of the small databases that methods are tested with.
DATABASES: dict[str, dict[str, Any]] = {
    "bovw": {"descriptor": "sift-dense", "words": 24},
    "paired-dictionary": {"descriptor": "sift", "most": 150, "atoms": 48},
    "patch-database": {"descriptor": "sift", "most": 300},
    "ridge": {"descriptor": "sift", "most": 300},
}


@pytest.fixture(scope="session")
def astronaut() -> torch.Tensor:
    """(3, 256, 256) RGB in [0, 1]."""
    return to_image(data.astronaut()[::2, ::2])


@pytest.fixture(scope="session")
def astronaut_features(astronaut: torch.Tensor) -> LocalFeatures:
    return extract(astronaut, descriptor="sift")


@pytest.fixture(scope="session")
def picture() -> torch.Tensor:
    """(3, 200, 240) RGB in [0, 1], with one face."""
    return to_image(data.astronaut()[:200, 110:350])


@pytest.fixture(scope="session")
def sift() -> Descriptor:
    return create_descriptor("sift")


@pytest.fixture(scope="session")
def orb() -> Descriptor:
    return create_descriptor("orb")


@pytest.fixture(scope="session")
def stored(picture: torch.Tensor, sift: Descriptor) -> LocalFeatures:
    return sift.extract(picture)


@pytest.fixture(scope="session")
def stored_bits(picture: torch.Tensor, orb: Descriptor) -> LocalFeatures:
    return orb.extract(picture)


@pytest.fixture(scope="session")
def subject(picture: torch.Tensor, stored: LocalFeatures) -> Subject:
    return Subject("astronaut.png", stored, picture)


@pytest.fixture(scope="session")
def some(astronaut_features: LocalFeatures) -> LocalFeatures:
    """Sixty keypoints, from the whole width and height of a picture that is no square."""
    part = astronaut_features.crop((0, 0, 240, 200))
    return part[torch.linspace(0, len(part) - 1, 60).long()]


@pytest.fixture(scope="session")
def images(some: LocalFeatures) -> dict[str, LocalFeatures]:
    """Two images, called so that every format can hold them."""
    return {"101": some, "102": some[::2]}


@pytest.fixture
def little_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Make writing fail, in a block, where a file grows beyond so many bytes."""

    @contextmanager
    def full(most: int) -> Iterator[None]:
        before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))  # Python ignores the signal
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))

    return full


@pytest.fixture(scope="session")
def pictures_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six pictures to collect databases from; none is the astronaut or the coffee."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("camera", "cat", "coins", "immunohistochemistry", "rocket", "stereo_motorcycle"):
        picture = getattr(data, name)()
        picture = picture[0] if isinstance(picture, tuple) else picture
        write_image(to_image(picture[:480:2, :480:2]), folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def database(
    tmp_path_factory: pytest.TempPathFactory, pictures_folder: Path
) -> Callable[[str], Path]:
    """The small database of a method, by its registry name."""
    folder = tmp_path_factory.mktemp("databases")

    @cache
    def collected(name: str) -> Path:
        path = folder / f"{name}.safetensors"
        collect_database(name, sorted(pictures_folder.iterdir()), path, **DATABASES[name])
        return path

    return collected


@pytest.fixture(scope="session")
def crowded_case() -> Callable[[int], tuple[Any, ...]]:
    """Random cases for placing, by seed."""
    return _crowded


def _crowded(seed: int) -> tuple[Any, ...]:
    """Crowded pictures of a few cells, with ties in score and keypoints past the borders.

    Returns points, offsets, scores or None, image size, cell sizes and radius.
    """
    draw = torch.Generator().manual_seed(seed)

    def integer(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=draw))

    size = integer(1, 40), integer(1, 40)
    counts = [integer(0, 60) for _ in range(integer(1, 6))]
    offsets = torch.tensor([0, *counts]).cumsum(0)
    total = int(offsets[-1])
    span = torch.tensor([size[1], size[0]]) / integer(1, 4)
    points = torch.rand(total, 2, generator=draw) * span - 0.5
    scores = torch.randint(-3, 3, (total,), generator=draw) / 2 * torch.rand((), generator=draw)
    cells = ((1, 2), (2, 4), (4,), (7, 3, 16))[integer(0, 4)]
    return points, offsets, scores if seed % 2 else None, size, cells, integer(0, 9)


@pytest.fixture(scope="session")
def interruptible() -> Iterator[None]:
    """Let programs that tests start hear Ctrl-C, which whatever runs in the background ignores."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in an empty folder; return exit status, output and messages."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return command
