"""Reconstruct the images of a store in processes of Ray, on this machine or on many."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeAlias

from invertdesc._optional import require
from invertdesc.bulk.jobs import Outcome, Status, run_jobs
from invertdesc.bulk.order import Order
from invertdesc.bulk.places import Places
from invertdesc.errors import FileError, InvertDescError
from invertdesc.limits import Limits, get_limits, set_limits

Columns: TypeAlias = dict[str, Any]

MOST_BATCHES = 16  # in a unit of work
MOST_BLOCKS = 4096  # units of work for Ray; a unit is repeated if its process dies


class Cluster:
    """Distribute the images of a store over actors, each with its own store and method.

    A process that dies is replaced, and its unfinished work is repeated, except for pictures that
    were already written. No picture is lost, and none is made twice.
    """

    def __init__(self, order: Order, address: str) -> None:
        """Find Ray.

        Args:
            order: The request. Its paths must lead to the same files on all machines.
            address: `"local"` starts Ray on this machine, `"auto"` finds a running one; otherwise
                the address of a cluster, such as `"10.0.0.1:6379"` or `"ray://10.0.0.1:10001"`.

        Raises:
            MissingDependencyError: Ray is not installed.
        """
        # A cluster started here sends no usage statistics; a running one keeps its own setting.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        self._ray: Any = require("ray", "dist", needed_by="sharing work over machines")
        self._data: Any = require("ray.data", "dist", needed_by="sharing work over machines")
        self._order = replace(order, out=order.out.absolute())
        self._address = address
        self.workers = 0

    def run(self, places: Places) -> Generator[Outcome]:
        """Yield the outcomes of images, in the order in which they are finished.

        Raises:
            FileError: There is no such cluster.
        """
        waiting: list[Columns] = []
        yield from self._plan(places, waiting)
        if not waiting:
            return
        with self._connected():
            for row in self._share_out(waiting).iter_rows():
                outcome = Outcome(**row["outcome"])
                # An existing picture was written by a process that died before it reported it.
                there = outcome.status == Status.THERE
                outcome.status = Status.MADE if there else Status(outcome.status)
                yield outcome

    def _plan(self, places: Places, waiting: list[Columns]) -> Iterator[Outcome]:
        """Yield outcomes that need no work, and collect the other images."""
        for name, place in places:
            place = place.absolute() if isinstance(place, Path) else place
            outcome = Outcome(name, Status.THERE)
            try:
                if not self._order.is_done(place):
                    waiting.append({"name": name, "place": str(place)})
                    continue
            except InvertDescError as error:
                outcome.fail(error)
            yield outcome

    def _share_out(self, waiting: list[Columns]) -> Any:
        size, resources = self._order.recipe.batch_size, self._ray.cluster_resources()
        on_gpu = str(self._order.recipe.device or "cpu") != "cpu"
        self.workers = max(1, int(resources.get("GPU" if on_gpu else "CPU", 1)))
        self.workers = min(self.workers, -(-len(waiting) // size))
        unit = unit_of(len(waiting), size, self.workers)
        blocks = min(MOST_BLOCKS, -(-len(waiting) // unit))
        return self._data.from_items(waiting, override_num_blocks=blocks).map_batches(
            Worker,
            fn_constructor_args=(self._order, get_limits()),
            batch_size=unit,
            batch_format="numpy",
            compute=self._data.ActorPoolStrategy(size=self.workers),
            num_cpus=0 if on_gpu else 1,
            num_gpus=1 if on_gpu else 0,
        )

    @contextmanager
    def _connected(self) -> Generator[None]:
        context = self._data.DataContext.get_current()
        context.enable_progress_bars = False
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.ERROR)
        own = {"include_dashboard": False} if self._address == "local" else {}
        try:
            self._ray.init(self._address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise FileError(f"Expected Ray at {self._address!r}, got: {error}.") from error
        try:
            yield
        finally:
            self._ray.shutdown()


def unit_of(images: int, size: int, workers: int) -> int:
    """Return the number of images that a process gets at once, some batches of `size` images.

    In a unit reading, computing and writing overlap. Each process gets 8 units or more, so that all
    end at about the same time.

    >>> unit_of(10_000, 16, 2), unit_of(100, 16, 2)
    (256, 16)
    """
    return size * max(1, min(MOST_BATCHES, images // (8 * size * workers)))


class Worker:
    """An actor that does the work of a run without Ray, a few images at a time."""

    def __init__(self, order: Order, limits: Limits) -> None:
        set_limits(limits)
        self._order = order
        self._store = order.open()
        self._work = order.recipe.work()

    def __call__(self, batch: Columns) -> Columns:
        """Return an outcome for each of a batch's images."""
        found: Iterable[tuple[str, str]] = zip(batch["name"], batch["place"], strict=True)
        places = ((str(name), Path(place)) for name, place in found)
        jobs = self._order.jobs(self._store, places)
        outcomes = list(run_jobs(jobs, self._work, size=self._order.recipe.batch_size))
        return {
            "outcome": [
                {**asdict(one), "status": one.status.value, "hint": None} for one in outcomes
            ]
        }
