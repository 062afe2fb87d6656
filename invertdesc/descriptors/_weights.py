"""Weights of learned descriptors, from the files of their authors."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from invertdesc._files import existing_file
from invertdesc.errors import DownloadWarning, FileError

N = TypeVar("N", bound=nn.Module)
WRAPPERS = ("state_dict", "extractor")  # keys under which authors keep the weights


@dataclass(frozen=True)
class Remote:
    """A file of weights that kornia downloads.

    Attributes:
        file: Its name.
        megabytes: Its size in 10^6 bytes, to a tenth.
        hosts: Where it is, in words.

    >>> print(Remote("HyNet_LIB.pth", 5.3))
    HyNet_LIB.pth, about 5.3 MB, from huggingface.co or github.com
    """

    file: str
    megabytes: float
    hosts: str = "huggingface.co or github.com"

    def __str__(self) -> str:
        """Return name, size and place in words."""
        return f"{self.file}, about {self.megabytes:.1f} MB, from {self.hosts}"

    @property
    def cached(self) -> Path:
        """Where the file is kept."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file


def fill(
    network: nn.Module, path: str | os.PathLike[str], name: str, *, constants: tuple[str, ...] = ()
) -> None:
    """Load the weights of a file into a network.

    Args:
        network: Module to fill.
        path: File of a state dict: .safetensors, or what `torch.save` writes.
        name: Registry name of the descriptor, for messages.
        constants: Names of buffers that a file may lack, since no training changes them.

    Raises:
        FileError: The file is missing, unreadable, or of another network.
    """
    file = Path(path)
    existing_file(file, f"weights for {name!r}")
    from safetensors import SafetensorError

    unreadable = (OSError, EOFError, RuntimeError, AttributeError, TypeError, ValueError)
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
        for key in WRAPPERS:
            state = state.get(key, state)
        own = {key: network.get_buffer(key) for key in constants}
        network.load_state_dict(own | dict(state))
    except (*unreadable, SafetensorError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise FileError(f"Expected weights for {name!r}, got {file}: {reason}") from error


def downloaded(make: Callable[[], N], name: str, remote: Remote) -> N:
    """Return what kornia makes with weights that it downloads, unless its cache has them.

    Args:
        make: Function that returns the network.
        name: Registry name of the descriptor, for messages.
        remote: What is downloaded.

    Raises:
        FileError: The download failed.
    """
    if not remote.cached.exists():
        warnings.warn(
            f"Downloading weights for {name!r}: {remote}. They are kept in {remote.cached.parent}. "
            "To download nothing, pass your own file as weights.",
            DownloadWarning,
            stacklevel=2,
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # one for each attempt at each mirror
            return make()
    except (OSError, RuntimeError) as error:  # kornia tried all its mirrors
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise FileError(
            f"Expected weights for {name!r}, which kornia downloads ({remote}); it could not: "
            f"{reason.rstrip('.')}. Without a network, pass a file: "
            f"create_descriptor({name!r}, weights=PATH)."
        ).with_hint(descriptor_option="weights=FILE") from error
