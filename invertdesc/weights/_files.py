"""Weights of networks: safetensors with a header that says what they are for."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from invertdesc._atomic import atomic_write
from invertdesc._version import __version__
from invertdesc.errors import FileError

FORMAT = "invertdesc-network"


def save_network(
    path: str | os.PathLike[str], method: str, network: Any, card: Mapping[str, object]
) -> None:
    """Write a network's weights in float16, whole or not at all.

    Args:
        path: A .safetensors file.
        method: Registry name of the method that the network belongs to.
        network: An `nn.Module` with a `config`, a frozen dataclass.
        card: What to tell about the training: data, descriptors, steps, measures.

    Raises:
        FileError: The place cannot be written.
    """
    from safetensors.torch import save

    header = {
        "library": f"invertdesc {__version__}",
        "method": method,
        "config": asdict(network.config),
        "card": dict(card),
    }
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    with atomic_write(path) as file:
        file.write(save(state, {FORMAT: json.dumps(header)}))  # one key: their order is random


def read_network(
    path: str | os.PathLike[str], method: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the config and the weights (float32) that `save_network` wrote for a method.

    Raises:
        FileError: Missing, not ours, or of another method.
    """
    from safetensors import SafetensorError, safe_open

    name = Path(path)
    if not name.is_file():
        raise FileError(f"Expected weights for {method!r}, found none at {name}.")
    try:
        with safe_open(name, framework="pt") as file:
            text = (file.metadata() or {}).get(FORMAT)
            if text is None:
                raise ValueError("its header is not ours")
            header = json.loads(text)
            if header["method"] != method:
                raise ValueError(f"it holds weights for {header['method']!r}")
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        config: dict[str, Any] = dict(header["config"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise FileError(f"Expected weights for {method!r}, got {name}: {error}.") from error
    return config, {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def load_state(network: nn.Module, state: Mapping[str, Tensor], path: object) -> None:
    """Fill a network with weights.

    Raises:
        FileError: They do not fit.
    """
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise FileError(f"Expected weights that fit the config in {path}: {error}") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise FileError(f"Expected weights that fit the config in {path}, got others: {missing}.")
    if not all(torch.isfinite(value).all() for value in state.values()):
        raise FileError(f"Expected finite weights in {path}, got NaN or infinity.")
