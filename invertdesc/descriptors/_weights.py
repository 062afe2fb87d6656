"""Weights of learned descriptors, from the files of their authors."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from invertdesc._files import existing_file
from invertdesc.errors import FileError

N = TypeVar("N", bound=nn.Module)
WRAPPERS = ("state_dict", "extractor")  # keys under which authors keep the weights


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


def downloaded(make: Callable[[], N], name: str) -> N:
    """Return what kornia makes with weights that it downloads and caches.

    Args:
        make: Function that returns the network.
        name: Registry name of the descriptor, for messages.

    Raises:
        FileError: The download failed.
    """
    try:
        return make()
    except (OSError, RuntimeError) as error:  # kornia tried all its mirrors
        raise FileError(
            f"Expected weights for {name!r}, which kornia downloads; it could not. Pass a file: "
            f"create_descriptor({name!r}, weights=PATH)."
        ) from error
