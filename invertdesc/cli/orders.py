"""Reconstruct the images of a store, here or on a cluster, and say what became of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import typer

from invertdesc._text import printable
from invertdesc.cli.bulk import (
    FAILED,
    MADE,
    Clock,
    Job,
    Loaded,
    Outcome,
    Work,
    count_missing,
    run_jobs,
    watch,
)
from invertdesc.cli.metrics import THERE, Metrics, metrics_path
from invertdesc.cli.options import make_method
from invertdesc.cli.sources import BAD_INPUT
from invertdesc.cli.stores import (
    check_inside,
    check_readable,
    is_there,
    open_named,
    plan_images,
    tell,
    warn_of_left_out,
)
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from invertdesc.features.local import LocalFeatures
    from invertdesc.methods import Reconstructor
    from invertdesc.stores.base import Store

Places: TypeAlias = Iterator[tuple[str, Path | InputError]]  # targets by name, or what is wrong

EMPTY, GONE = "empty", "gone"
TOLD = {THERE: "were there already", EMPTY: "have no keypoints", FAILED: "failed", GONE: "are gone"}


@dataclass(frozen=True)
class Recipe:
    """How features become pictures: plain values, so that it can be sent to other processes.

    Attributes:
        method: Its name.
        options: Of the method, as `name=value`.
        unfolding: File of one, or None.
        device: Where to compute.
        size: Images that are reconstructed together.
        side_by_side: Whether to draw keypoints and original beside the picture.
        consistency: Whether to measure how well the picture's own descriptors agree.
    """

    method: str
    options: tuple[str, ...] = ()
    unfolding: Path | None = None
    device: str | None = None
    size: int = 16
    side_by_side: bool = False
    consistency: bool = False

    def work(self, method: Reconstructor | None = None) -> Work:
        """Return what makes and writes pictures, with the method at hand or a new one."""
        from invertdesc.api import reconstruct

        chosen = method or make_method(self.method, list(self.options), self.unfolding)

        def make(part: Sequence[Loaded]) -> list[Tensor]:
            features = [one for _, one, _ in part]
            return reconstruct(features, method=chosen, device=self.device, batch_size=self.size)

        return Work(make, self._write)

    def _write(self, loaded: Loaded, picture: Tensor) -> dict[str, float]:
        from invertdesc.drawing import side_by_side
        from invertdesc.image import write_image

        target, features, image = loaded
        measures = _consistency(features, picture.cpu()) if self.consistency else {}
        if self.side_by_side:
            picture = side_by_side(features, picture, image, self.method)
        write_image(picture, target)
        return measures


def _consistency(features: LocalFeatures, picture: Tensor) -> dict[str, float]:
    """Return how well a picture's own descriptors agree with the stored ones, where they can."""
    from invertdesc.evaluation.consistency import agreement, can_describe
    from invertdesc.stores.record import adapter_of

    adapter = adapter_of(features.descriptor)
    found = agreement(adapter, features, picture) if can_describe(adapter) else None
    if found is None:
        return {}
    return {"agreement": round(found[0], 4), "shuffled": round(found[1], 4)}


@dataclass(frozen=True)
class Order:
    """What is asked of a store: plain values, so that it can be sent to other processes.

    Attributes:
        store: Its path.
        out: The folder that pictures go to.
        recipe: How they are made.
        descriptor: What the caller says that the vectors are.
        image_size: What the caller says, as `WxH`.
        guesses: For what features lack, as `LocalFeatures.assume` takes them.
        mend: As `open_store` takes it.
    """

    store: Path
    out: Path
    recipe: Recipe
    descriptor: str | None = None
    image_size: str | None = None
    guesses: dict[str, float] = field(default_factory=dict)
    mend: bool = True

    def open(self) -> Store:
        """Open the store."""
        return open_named(self.store, self.descriptor, self.image_size, mend=self.mend)

    def jobs(self, store: Store, places: Places) -> Iterator[Job]:
        """Yield what is to be done for each image."""
        for name, place in places:
            target = place if isinstance(place, Path) else self.out
            yield Job(name, target, partial(self._read, store, name, place))

    def is_done(self, place: Path | InputError) -> bool:
        """Say whether a picture is there.

        Raises:
            InputError: It has no place, or one that is elsewhere.
        """
        if not isinstance(place, Path):
            raise place
        check_inside(place, self.out)
        return is_there(place)

    def _read(
        self, store: Store, name: str, place: Path | InputError
    ) -> tuple[LocalFeatures, None] | str:
        if self.is_done(place):
            return THERE
        features = store.load(name)
        return (features.assume(**self.guesses), None) if len(features) else EMPTY


def carry_out(
    order: Order, *, pattern: str | None, shard: tuple[int, int], cluster: str | None = None
) -> None:
    """Reconstruct the images that are wanted, say what became of them, and end with a status.

    Args:
        order: What is asked.
        pattern: Of the names of images; None for all.
        shard: Number of this run, and count of those that share the images.
        cluster: Address of Ray; None for this process.

    Raises:
        InputError: No image is wanted, or no method can read the vectors.
        typer.Exit: Some failed.
    """
    with order.open() as store:
        check_readable(store)
        tell(store.description.notes)
        warn_of_left_out(store)
        log = metrics_path(order.out, shard)
        check_inside(log, order.out)
        places = partial(plan_images, list(store.names()), order.out, pattern, shard)
        total = sum(1 for _ in places())
        if not total and pattern is not None and shard == (0, 1):
            raise InputError(f"Expected images of names like {pattern!r} in {store.path}.")
        work = order.recipe.work()  # which tells of an unknown name, before there are processes
        with Metrics(log) as metrics:
            how: object
            if cluster is None:
                how = clock = Clock()
                jobs = order.jobs(store, places())
                outcomes = run_jobs(jobs, work, size=order.recipe.size, clock=clock)
            else:
                from invertdesc.cli.cluster import Cluster

                how = workers = Cluster(order, cluster)
                outcomes = workers.run(places())
            done: set[str] = set()

            def note(outcome: Outcome) -> None:
                metrics.note(outcome)
                done.update([outcome.image] if outcome.status == MADE else [])

            start = time.perf_counter()
            counts = watch(outcomes, total=total, title="reconstruct", note=note)
            spent = time.perf_counter() - start
        made = (place for name, place in places() if name in done)
        counts[GONE] = count_missing([place for place in made if isinstance(place, Path)])
    _report(counts, total, order.out, f"in {spent:.1f} s, {how}", spent)


def _report(counts: Counter[str], total: int, out: Path, how: str, spent: float) -> None:
    """Say what became of the images, and end with a status for bad input where some failed."""
    made = counts[MADE] - counts[GONE]
    rest = ", ".join(f"{counts[what]} {told}" for what, told in TOLD.items() if counts[what])
    typer.echo(
        f"Wrote {made} of {total} pictures to {printable(out)}." + (f" {rest}." if rest else "")
    )
    if made:
        typer.echo(f"{made / spent:.1f} images/s {how}.")
    if counts[FAILED] or counts[GONE]:
        raise typer.Exit(BAD_INPUT)
