"""Files of network weights: safetensors with a header that says what they are for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from invertdesc._files import open_tensors, save_tensors
from invertdesc.errors import FileError
from invertdesc.weights import FOLDER

FORMAT = "invertdesc-network"
_WRONG_SIZES = (  # errors when a network of wrong sizes is created
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
UNSAVED = "num_batches_tracked"  # a buffer of batch normalisation that only training needs
LARGEST = 8192  # maximum of the numbers that determine the size of a network
VERSION = 1
BASE = "base."  # prefix of the weights of the network in front of a refiner


@dataclass(frozen=True)
class Trained:
    """The header of a file of weights.

    Attributes:
        config: Size of the network.
        descriptor: Descriptor that the weights need; None for any.
        gray: Gray mode that the weights need; None for any.
        card: Data about the training: data, recipe, steps, measures.
    """

    config: dict[str, Any] = field(default_factory=dict)
    descriptor: str | None = None
    gray: str | None = None
    card: dict[str, Any] = field(default_factory=dict)


def save_network(
    path: str | os.PathLike[str],
    method: str,
    network: Any,
    card: Mapping[str, object],
    *,
    descriptor: str | None = None,
    gray: str | None = None,
) -> None:
    """Write the weights of a network atomically in float16.

    Args:
        path: Path of the .safetensors file.
        method: Registry name of the method that the network belongs to.
        network: Module with a `config`, a frozen dataclass.
        card: Data about the training: data, descriptors, steps, measures.
        descriptor: Descriptor that the weights need; None for any.
        gray: Gray mode that the weights need; None for any.

    Raises:
        FileError: The file cannot be written.
    """
    header = {
        "method": method,
        "descriptor": descriptor,
        "gray": gray,
        "config": asdict(network.config),
        "card": dict(card),
    }
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
        if not name.endswith(UNSAVED)
    }
    save_tensors(path, state, format=FORMAT, version=VERSION, header=header)


def read_network(path: str | os.PathLike[str], method: str) -> tuple[Trained, dict[str, Tensor]]:
    """Read a file that `save_network` wrote for a method; the weights are float32.

    If the file shares the network in front of a refiner with another file of the package, the
    weights are those of both.

    Raises:
        FileError: The file is missing, broken, of another method, or of a later version; or the
            file that it shares weights with has changed.
    """
    what = f"weights for {method!r}"
    with open_tensors(path, what=what, format=FORMAT, newest=VERSION) as (header, state):
        if header["method"] != method:
            raise ValueError(f"it holds weights for {header['method']!r}")
        if "base" in header:
            state |= _base(**header["base"])
        trained = Trained(
            dict(header["config"]),
            header.get("descriptor"),
            header.get("gray"),
            dict(header.get("card", {})),
        )
    return trained, {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def share_base(path: Path, base: Path) -> None:
    """Take out of a file of weights those of the network in front, if `base` has the same.

    Args:
        path: File of a method with a refiner that was trained with `freeze_base`; it is replaced.
        base: File of the package with the weights of the network in front.

    Raises:
        FileError: The weights differ, or a file is broken.
    """
    with open_tensors(base, what="weights", format=FORMAT, newest=VERSION) as (_, own):
        digest = _digest(own)
    with open_tensors(path, what="weights", format=FORMAT, newest=VERSION) as (header, state):
        inside = {key.removeprefix(BASE): v for key, v in state.items() if key.startswith(BASE)}
        if _digest(inside) != digest:
            raise ValueError(f"the weights of its network in front are not those of {base}")
    rest = {key: value for key, value in state.items() if not key.startswith(BASE)}
    shared = {"file": base.name, "digest": digest}
    save_tensors(path, rest, format=FORMAT, version=VERSION, header=header | {"base": shared})


def _base(file: str, digest: str) -> dict[str, Tensor]:
    """Return the weights of the network in front, from another file of the package."""
    with open_tensors(FOLDER / Path(file).name, what="weights", format=FORMAT, newest=VERSION) as (
        _,
        state,
    ):
        if _digest(state) != digest:
            raise ValueError(f"it was trained with other weights than those of {file}")
    return {BASE + key: value for key, value in state.items()}


def _digest(state: Mapping[str, Tensor]) -> str:
    """Return a hash of weights."""
    digest = sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def has_weights(method: str, descriptor: str | None = None) -> bool:
    """Return whether the package has weights of a method, for a descriptor or for any."""
    if descriptor is not None:
        return (FOLDER / f"{method}-{descriptor}.safetensors").is_file()
    return any(FOLDER.glob(f"{method}.safetensors")) or any(FOLDER.glob(f"{method}-*.safetensors"))


def shipped_for(method: str) -> list[str] | None:
    """Return the descriptors that the package has weights of a method for.

    An empty list stands for all descriptors, None for no weights.

    >>> shipped_for("coarse"), shipped_for("unfold"), shipped_for("poisson")
    (['sift'], [], None)
    """
    some = sorted(file.stem[len(method) + 1 :] for file in FOLDER.glob(f"{method}-*.safetensors"))
    return some if some or has_weights(method) else None


def find_weights(
    method: str, descriptor: str, shared: bool, given: str | os.PathLike[str] | None
) -> Path:
    """Return the file of weights: the given one, or that of the package.

    Raises:
        FileError: The package has no weights for this descriptor.
    """
    if given is not None:
        return Path(given)
    path = FOLDER / (f"{method}.safetensors" if shared else f"{method}-{descriptor}.safetensors")
    if not path.is_file():
        others = shipped_for(method)
        ship = f"They ship for {', '.join(others)}" if others else "None ship"
        raise FileError(
            f"Expected weights of {method!r} for {descriptor!r}, found none. {ship}; train your "
            "own with `train` and give them as weights, or choose method 'unfold', which serves "
            "every descriptor."
        ).with_hint("train", method=method, descriptor=descriptor)
    return path


def build_network(
    build: Callable[[dict[str, Any]], nn.Module],
    config: dict[str, Any],
    state: Mapping[str, Tensor],
    path: object,
) -> nn.Module:
    """Create a network with the config of a file, and load the weights of the file.

    It is created on the meta device. Weights are then not initialised from PyTorch's random
    generator, and a wrong config takes no memory.

    Args:
        build: Function that creates the network from its config.
        config: Config from the file.
        state: Weights by name.
        path: Path of the file, for messages.

    Raises:
        FileError: There is no such network, or the weights do not fit.
    """
    try:
        if not all(size <= LARGEST for size in _sizes(config)):
            raise ValueError(f"a number above {LARGEST}")
        with torch.device("meta"):
            network = build(config)
    except _WRONG_SIZES as error:
        raise FileError(
            f"Expected the config of a network in {path}, got {config}: {error}."
        ) from error
    own = network.state_dict()
    counts = {name: torch.tensor(0) for name in own if name.endswith(UNSAVED)}
    whole = {**counts, **state}
    shapes = {name: value.shape for name, value in own.items()}
    odd = [name for name, value in whole.items() if shapes.get(name) != value.shape]
    odd += sorted(own.keys() - whole.keys())
    if odd:
        raise FileError(f"Expected weights that fit the config in {path}, got others: {odd}.")
    network.load_state_dict(whole, assign=True)
    if not all(torch.isfinite(value).all() for value in state.values()):
        raise FileError(f"Expected finite weights in {path}, got NaN or infinity.")
    return network


def _sizes(config: object) -> Iterator[float]:
    """Yield the numbers in a config and in its nested values."""
    if isinstance(config, dict | list):
        for part in config.values() if isinstance(config, dict) else config:
            yield from _sizes(part)
    elif isinstance(config, int | float):
        yield config
