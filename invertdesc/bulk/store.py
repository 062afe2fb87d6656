"""Reconstruct the images of a store to a folder of pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from invertdesc.api import BATCH_PIXELS
from invertdesc.bulk.jobs import StageTimes, run_jobs
from invertdesc.bulk.log import Log
from invertdesc.bulk.order import Order, Recipe
from invertdesc.bulk.places import Shard, check_inside, check_shard
from invertdesc.bulk.summary import OnOutcome, Summary, summarise
from invertdesc.features.guesses import Guesses
from invertdesc.methods import MethodLike, create_method
from invertdesc.stores.base import Store
from invertdesc.stores.open import opener
from invertdesc.stores.summary import check_readable, opened

if TYPE_CHECKING:
    from invertdesc.bulk.ray import Cluster


def reconstruct_store(
    store: Store | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    method: str | MethodLike = "auto",
    method_options: Mapping[str, Any] | None = None,
    descriptor: str | None = None,
    names: str | None = None,
    shard: Shard = (0, 1),
    assume: Guesses | Mapping[str, float] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
    batch_pixels: int = BATCH_PIXELS,
    consistency: bool = False,
    side_by_side: bool = False,
    ray: str | None = None,
    on_outcome: OnOutcome | None = None,
    progress: bool = False,
) -> Summary:
    """Reconstruct the images of a store to .png files that keep the images' names.

    Existing pictures are skipped, so that a run can be resumed. At most three batches are held.
    `metrics.jsonl` in the folder, one file for each shard, gets a line for each image, read or not.

    Args:
        store: Path as `open_store` takes it, or an open store, not to be used elsewhere meanwhile.
        folder: Folder to write pictures to; nothing is written outside it.
        method: Name, or a method from `create_method`.
        method_options: Options of a method that is given by its name.
        descriptor: Registry name of the vectors, if `store` is a path and does not contain it.
        names: Wildcard pattern that image names have to match, such as `"cam0/*"`; None for all.
        shard: (number, count); (1, 4) selects the images 1, 5, 9, ... of these, counted from 0.
        assume: Guesses for scales or orientations that the store lacks.
        device: Device to compute on, such as `"cuda"`; None for the CPU.
        batch_size: Number of images that are reconstructed together.
        batch_pixels: Number of pixels that they may have together; a larger image is alone.
        consistency: Whether to measure how well descriptors of the pictures agree with those given.
        side_by_side: Whether to show the keypoints next to each picture.
        ray: Address of a Ray cluster; `"local"` starts one, `"auto"` finds one; None for no Ray.
        on_outcome: Function that is called with the `Outcome` of each image, in this thread.
        progress: Show a progress bar, on a terminal.

    Raises:
        FileError: The store or the log cannot be read, or there is no such cluster.
        InputError: An invalid argument, no matching name, or vectors that no method can read.
        MissingDependencyError: Ray is not installed.

    >>> import tempfile
    >>> from invertdesc import extract
    >>> from invertdesc.sources import example_path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     extract(example_path("camera")).save(f"{folder}/in/cam0/1.npz")
    ...     reconstruct_store(f"{folder}/in", f"{folder}/out", method="poisson").made
    1
    """
    made = _made(method, method_options)
    recipe = Recipe(made, device, batch_size, side_by_side, consistency, batch_pixels)
    with opened(store, descriptor) as source:
        order = Order(opener(source), Path(folder), recipe, Guesses.of(assume), names, shard)
        return _carry_out(order, source, ray, on_outcome, progress)


def _made(method: str | MethodLike, options: Mapping[str, Any] | None) -> str | MethodLike:
    """Return a method with options as an object; one without is made where it is needed."""
    return create_method(method, **options) if isinstance(method, str) and options else method


def _carry_out(
    order: Order, store: Store, ray: str | None, on_outcome: OnOutcome | None, progress: bool
) -> Summary:
    """Make the pictures of an order that are not there yet, here or on a Ray cluster."""
    check_shard(order.shard)
    check_readable(store)
    check_inside(order.log, order.out)
    places = order.places(store)
    work = order.recipe.work()  # an unknown method is an error before there are processes
    cluster, times = _cluster(order, ray), StageTimes()
    if cluster is None:
        jobs = order.jobs(store, places())
        outcomes = run_jobs(jobs, work, size=order.recipe.batch_size, times=times)
    else:
        outcomes = cluster.run(places())
    with Log(order.log) as log:
        summary = summarise(
            log.noting(outcomes),
            places,
            times,
            title="reconstruct",
            on_outcome=on_outcome,
            progress=progress,
            log=order.log,
            target=order.out,
        )
    return summary if cluster is None else replace(summary, workers=cluster.workers)


def _cluster(order: Order, address: str | None) -> Cluster | None:
    if address is None:
        return None
    from invertdesc.bulk.ray import Cluster

    return Cluster(order, address)
