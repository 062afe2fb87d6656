from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from invertdesc import LocalFeatures
from invertdesc.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command in an empty folder; return exit status, output and messages."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return command


@pytest.fixture(scope="session")
def some(astronaut_features: LocalFeatures) -> LocalFeatures:
    """Sixty keypoints, from the whole width and height of a picture that is no square."""
    part = astronaut_features.crop((0, 0, 240, 200))
    return part[torch.linspace(0, len(part) - 1, 60).long()]


@pytest.fixture(scope="session")
def images(some: LocalFeatures) -> dict[str, LocalFeatures]:
    """Two images, called so that every format can hold them."""
    return {"101": some, "102": some[::2]}
