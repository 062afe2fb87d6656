"""Measure the memory that a method takes, in a separate process."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from invertdesc._workers import begin_worker
from invertdesc.descriptors import create_descriptor
from invertdesc.errors import InputError
from invertdesc.features.batch import FeatureBatch
from invertdesc.features.local import LocalFeatures
from invertdesc.methods import create_method
from invertdesc.methods.base import run_method

if TYPE_CHECKING:
    from invertdesc.descriptors import Descriptor

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(
    name: str,
    descriptor: Descriptor,
    features: LocalFeatures,
    options: Mapping[str, Any] | None = None,
    *,
    device: str | None = None,
) -> float | None:
    """Create a method and make one picture in a new process; return the MiB that this took.

    This is the growth of the process's resident memory, from before the method is created, when
    PyTorch and this library are already loaded, to its peak: weights, database, libraries that are
    loaded later, and memory for the picture. On CUDA it is the peak of PyTorch's allocations.

    Args:
        name: Registry name of the method.
        descriptor: Adapter of the descriptor.
        features: Features of one image.
        options: Options of the method.
        device: Device to compute on.

    Returns:
        None if the system does not report it: it is read from /proc, which only Linux has.

    Raises:
        InvertDescError: The method does not serve the descriptor or these features.
        InputError: The process died, for example because of too little memory.
    """
    with ProcessPoolExecutor(1, get_context("spawn"), begin_worker) as pool:
        future = pool.submit(_measure, name, descriptor, features, dict(options or {}), device)
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise InputError(
                f"Expected {name!r} to make a picture; its process died, perhaps from too little "
                "memory."
            ) from error


def _measure(
    name: str,
    descriptor: Descriptor,
    features: LocalFeatures,
    options: dict[str, Any],
    device: str | None,
) -> float | None:
    _warm_up()
    with suppress(OSError):
        _RESET.write_text("5")  # reset the peak of loading the library
    before = _resident("VmRSS")
    _make(name, descriptor, features, options, device)
    if device is not None and torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    after = _resident("VmHWM")
    return None if before is None or after is None else after - before


def _make(
    name: str,
    descriptor: Descriptor,
    features: LocalFeatures,
    options: dict[str, Any],
    device: str | None,
) -> None:
    with torch.no_grad():
        batch = FeatureBatch.collate([features])
        method = create_method(name, descriptor=descriptor, **options)
        run_method(method, batch, device).cpu()


def _warm_up() -> None:
    """Load what all methods share, PyTorch and this library, by making a tiny picture."""
    features = LocalFeatures(
        keypoints=torch.ones(1, 2),
        descriptors=torch.ones(1, 128),
        image_size=(8, 8),
        descriptor="sift",
        scales=torch.ones(1),
        orientations=torch.zeros(1),
    )
    _make("poisson", create_descriptor("sift"), features, {}, None)


def _resident(field: str) -> float | None:
    """Return a value from Linux's status of this process, in MiB."""
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
    return None
