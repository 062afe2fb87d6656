"""Weights that kornia downloads: what is said before, and after a failure."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from invertdesc import (
    DownloadWarning,
    create_descriptor,
    list_descriptors,
    reconstruct,
    write_image,
)
from invertdesc.bulk import reconstruct_files
from invertdesc.cli.messages import in_words
from invertdesc.descriptors.hardnet import HardNet
from invertdesc.errors import FileError

NAMES = [name for name in list_descriptors() if hasattr(create_descriptor(name), "weights")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The addresses that kornia asks for, where no network is."""
    import kornia.feature

    asked: list[str] = []

    def fetch(url: str | list[str], **_: Any) -> None:
        asked.extend([url] if isinstance(url, str) else url)
        raise RuntimeError("Failed.") from OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    place = "load_state_dict_from_url"
    modules = [one for name, one in sys.modules.items() if name.startswith("kornia.feature")]
    for module in (torch.hub, kornia.feature, *modules):
        if hasattr(module, place):
            monkeypatch.setattr(module, place, fetch)
    return asked


@pytest.mark.parametrize("name", NAMES)
def test_what_is_downloaded_is_said_before(name: str, asked: list[str], tmp_path: Path) -> None:
    adapter: Any = create_descriptor(name)
    with (
        pytest.warns(DownloadWarning, match=f"'{name}': .* MB, from .* kept in {tmp_path}"),
        pytest.raises(FileError, match=r"Name or service not known\. Without a network, pass"),
    ):
        _ = adapter.network
    assert adapter.remote.file in {url.rpartition("/")[2] for url in asked}
    assert all(url.split("/")[2] in adapter.remote.hosts.split() for url in asked)


@pytest.mark.parametrize("name", NAMES)
def test_its_size_is_that_of_the_network(
    name: str, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import kornia.feature as kornia

    makers: dict[str, Any] = {"disk": kornia.DISK, "xfeat": lambda: kornia.XFeat().net}
    if name.startswith("aliked"):
        network = kornia.ALIKED(name)
    else:
        adapter: Any = create_descriptor(name)
        made = getattr(adapter, "kornia_class", None)
        network = makers[name]() if made is None else getattr(kornia, made)(pretrained=False)
    held = sum(one.numel() * one.element_size() for one in network.state_dict().values())
    assert create_descriptor(name).remote.megabytes == pytest.approx(held / 1e6, abs=0.1)


def test_what_is_there_is_not_announced(asked: list[str], tmp_path: Path) -> None:
    adapter: Any = create_descriptor("xfeat")
    adapter.remote.cached.parent.mkdir()
    adapter.remote.cached.touch()
    with pytest.raises(FileError):  # by the fixture; a warning would fail as an error
        _ = adapter.network


def test_a_program_can_refuse(asked: list[str]) -> None:
    with pytest.raises(DownloadWarning):  # pytest makes errors of warnings
        _ = create_descriptor("disk").network
    assert asked == []


def test_the_shell_names_its_option(asked: list[str]) -> None:
    with pytest.warns(DownloadWarning), pytest.raises(FileError) as caught:
        _ = create_descriptor("hardnet").network
    assert in_words(caught.value).endswith(" On the command line: -D weights=FILE")


def test_without_an_unfolding_an_image_is_refused_before_a_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(HardNet, "_build", lambda *_: pytest.fail("it was downloaded"))
    image = tmp_path / "image.png"
    write_image(torch.rand(3, 64, 64), image)
    with pytest.raises(FileError, match="an unfolding for 'hardnet'"):
        reconstruct(image, descriptor="hardnet")
    with pytest.raises(FileError, match="an unfolding for 'hardnet'"):
        reconstruct_files({image: tmp_path / "back.png"}, descriptor="hardnet")
