"""Reconstruct the images of a store to a folder of pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from invertdesc.bulk.jobs import StageTimes, run_jobs
from invertdesc.bulk.log import Log, log_path
from invertdesc.bulk.order import Order, Recipe
from invertdesc.bulk.places import Shard, check_inside, check_shard, plan_images
from invertdesc.bulk.summary import OnOutcome, Summary, summarise
from invertdesc.errors import InputError
from invertdesc.features.guesses import Guesses
from invertdesc.methods import MethodLike
from invertdesc.stores.base import Store
from invertdesc.stores.open import opener
from invertdesc.stores.summary import check_readable, opened

if TYPE_CHECKING:
    from invertdesc.bulk.ray import Cluster


def reconstruct_store(
    store: Store | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    method: str | MethodLike = "unfold",
    descriptor: str | None = None,
    names: str | None = None,
    shard: Shard = (0, 1),
    assume: Guesses | Mapping[str, float] | None = None,
    device: str | torch.device | None = None,
    batch_size: int = 16,
    consistency: bool = False,
    side_by_side: bool = False,
    ray: str | None = None,
    on_outcome: OnOutcome | None = None,
    progress: bool = False,
) -> Summary:
    """Reconstruct the images of a store to .png files that keep the images' names.

    Existing pictures are skipped, so that an interrupted run can be resumed. Reading, computing and
    writing overlap; at most three batches are in memory. An image that cannot be read is logged and
    left out. `metrics.jsonl` in the folder gets a line for each image; each shard has its own file.

    Args:
        store: An open store, which is not to be used elsewhere meanwhile, or the path of one as
            `open_store` takes it.
        folder: Where pictures go; nothing is written outside of it, whatever images are called.
        method: Name, or a method from `create_method`, which takes options.
        descriptor: Registry name of the vectors, where `store` is a path and does not tell.
        names: Wildcard pattern that image names have to match, such as `"cam0/*"`; None for all.
        shard: (number, count): take every count-th of those images, from that number on. The runs
            of all numbers from 0 to count - 1 together make what one run would.
        assume: Guesses for scales or orientations that the store lacks.
        device: Where to compute, such as `"cuda"`; None for the CPU.
        batch_size: Images that are reconstructed together.
        consistency: Whether to measure how well the pictures' own descriptors agree with those
            stored.
        side_by_side: Whether to draw the keypoints beside each picture.
        ray: Address of a Ray cluster that shares the work: `"local"` starts one on this machine,
            `"auto"` finds one that runs here. A method that is given as an object is then pickled.
            None for this process alone.
        on_outcome: Called with the `Outcome` of each image, in this thread.
        progress: Show a bar, where there is a terminal.

    Raises:
        FileError: The store or the log cannot be read, or there is no such cluster.
        InputError: An invalid argument, no image of such a name, or vectors that no method reads.
        MissingDependencyError: Ray is not installed.

    >>> import tempfile
    >>> from skimage.data import camera
    >>> from invertdesc import extract
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     extract(camera()[::2, ::2]).save(f"{folder}/store/cam0/1.npz")
    ...     first = reconstruct_store(f"{folder}/store", f"{folder}/out", method="poisson")
    ...     again = reconstruct_store(f"{folder}/store", f"{folder}/out", method="poisson")
    ...     (first.made, again.there, sorted(path.name for path in Path(folder, "out").iterdir()))
    (1, 1, ['cam0', 'metrics.jsonl'])
    """
    check_shard(shard)
    if batch_size < 1:
        raise InputError(f"Expected batch_size >= 1, got {batch_size}.")
    guesses = Guesses.of(assume)
    recipe = Recipe(method, device, batch_size, side_by_side, consistency)
    with opened(store, descriptor) as source:
        check_readable(source)
        order = Order(opener(source), Path(folder), recipe, guesses)
        file = log_path(order.out, shard)
        check_inside(file, order.out)
        places = partial(plan_images, list(source.names()), order.out, names, shard)
        if names is not None and shard == (0, 1) and not any(True for _ in places()):
            raise InputError(f"Expected images of names like {names!r} in {source.path}.")
        work = recipe.work()  # an unknown method is an error before there are processes
        cluster, times = _cluster(order, ray), StageTimes()
        if cluster is None:
            jobs = order.jobs(source, places())
            outcomes = run_jobs(jobs, work, size=batch_size, times=times)
        else:
            outcomes = cluster.run(places())
        with Log(file) as log:
            summary = summarise(
                log.noting(outcomes),
                places,
                times,
                title="reconstruct",
                on_outcome=on_outcome,
                progress=progress,
                log=file,
            )
    return summary if cluster is None else replace(summary, workers=cluster.workers)


def _cluster(order: Order, address: str | None) -> Cluster | None:
    if address is None:
        return None
    from invertdesc.bulk.ray import Cluster

    return Cluster(order, address)
