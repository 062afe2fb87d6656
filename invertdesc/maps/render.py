"""Make pictures of a map from many places: a folder of them, a sheet and an animation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from invertdesc._options import check_range
from invertdesc.bulk.jobs import Job, Loaded, StageTimes, Status, Work, run_jobs
from invertdesc.bulk.log import Log, log_path
from invertdesc.bulk.order import Recipe
from invertdesc.bulk.places import Places, Shard, check_inside, check_shard, is_there, plan_images
from invertdesc.bulk.summary import OnOutcome, Summary, summarise
from invertdesc.drawing import contact_sheet
from invertdesc.errors import InputError
from invertdesc.features.local import LocalFeatures
from invertdesc.image import read_image, shrink_image, write_image
from invertdesc.maps._measure import measure, resized_image
from invertdesc.maps._view import ViewOptions
from invertdesc.maps.animation import AnimationKind, check_animation, write_animation
from invertdesc.maps.map import Map
from invertdesc.maps.open import open_map
from invertdesc.maps.viewpoints import Viewpoint, own_viewpoints, shrunk
from invertdesc.methods import MethodLike

SHEET, ANIMATION = "sheet.png", "animation"
_SHOWN, _COLUMNS, _THUMB = 60, 6, 240  # pictures of a sheet, in a row, pixels of a side


@dataclass(frozen=True)
class RenderSummary(Summary):
    """What a run made, beside its pictures.

    Attributes:
        sheet: A sheet of small pictures; None while some are missing.
        animation: All pictures, one after the other; None while some are missing, or not wanted.
    """

    sheet: Path | None = None
    animation: Path | None = None


@dataclass(frozen=True)
class _Order:
    """What is wanted of a map."""

    source: Map
    viewpoints: tuple[Viewpoint, ...]
    out: Path
    truth: Path | None
    options: ViewOptions
    shard: Shard

    def places(self, shard: Shard | None = None) -> Places:
        names = (viewpoint.name for viewpoint in self.viewpoints)
        return plan_images(names, self.out, None, shard or self.shard)

    def jobs(self) -> Iterator[Job]:
        known = {viewpoint.name: viewpoint for viewpoint in self.viewpoints}
        for name, place in self.places():
            target = place if isinstance(place, Path) else self.out
            yield Job(name, target, partial(self._read, known[name], place))

    def _read(
        self, viewpoint: Viewpoint, place: Path | InputError
    ) -> tuple[LocalFeatures, Tensor | None] | Status:
        if not isinstance(place, Path):
            raise place
        check_inside(place, self.out)
        if is_there(place):
            return Status.THERE
        features = self.source.view(
            viewpoint.camera, viewpoint.pose, leave_out=viewpoint.leave_out, options=self.options
        )
        return (features, self._image(viewpoint)) if len(features) else Status.EMPTY

    def _image(self, viewpoint: Viewpoint) -> Tensor | None:
        """Return the image that a viewpoint is named as, where its owner has it."""
        if self.truth is None or viewpoint.name not in {one.name for one in self.source.images}:
            return None
        file = self.truth / viewpoint.name
        check_inside(file, self.truth)
        return resized_image(read_image(file), viewpoint.camera.image_size)


def render_map(
    source: Map | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    viewpoints: Sequence[Viewpoint] | None = None,
    method: str | MethodLike = "auto",
    options: ViewOptions | None = None,
    truth: str | os.PathLike[str] | None = None,
    max_side: int | None = None,
    shard: Shard = (0, 1),
    device: str | torch.device | None = None,
    batch_size: int = 4,
    animation: AnimationKind | None = None,
    rate: float = 12.0,
    on_outcome: OnOutcome | None = None,
    progress: bool = False,
) -> RenderSummary:
    """Reconstruct what cameras would see of a map, to .png files that are named as viewpoints.

    Existing pictures are skipped, so that an interrupted run can be resumed. `metrics.jsonl`
    in the folder, or a file for each shard, has a line for each viewpoint. `sheet.png` shows all.

    Args:
        source: An open map, or the path of one as `open_map` takes it.
        folder: Where pictures go; nothing is written outside of it.
        viewpoints: What to make; None for the cameras of the map's own images.
        method: Name, or a method from `create_method`, which takes options.
        options: How observations are chosen.
        truth: Folder with the map's images, to measure pictures against: NCC and SSIM in luma, RGB
            PSNR, the share of pixels near a keypoint, and NCC and PSNR of these.
        max_side: Pixels of the longer side that pictures are made in, at most.
        shard: (number, count): take every count-th viewpoint, from that number on.
        device: Where to compute, such as `"cuda"`; None for the CPU.
        batch_size: Pictures that are made together.
        animation: Put the pictures, in order, into `animation.webp`, `.gif` or `.mp4` as well.
        rate: Pictures per second of it.
        on_outcome: Called with the `Outcome` of each viewpoint, in this thread.
        progress: Show a bar on a terminal.

    Raises:
        FileError: The map or the log cannot be read.
        InputError: An invalid argument, or a map without features.
        MissingDependencyError: What packs the animation is not installed.

    >>> render_map("colmap", "out", animation="avi")
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected an animation as webp, gif or mp4, got 'avi'.
    """
    check_shard(shard)
    check_range("batch_size", batch_size, 1)
    check_range("max_side", 1 if max_side is None else max_side, 1)
    check_animation(animation)
    recipe, out = Recipe(method, device, batch_size), Path(folder)
    with _opened(source) as found:
        chosen = own_viewpoints(found) if viewpoints is None else viewpoints
        wanted = tuple(shrunk(one, max_side) for one in chosen)
        images = Path(truth) if truth else None
        order = _Order(found, wanted, out, images, options or ViewOptions(), shard)
        summary = _carry_out(order, recipe, on_outcome, progress)
    return _finished(summary, order, animation, rate)


@contextmanager
def _opened(source: Map | str | os.PathLike[str]) -> Iterator[Map]:
    """Open a map for a block; one that is open already stays so."""
    if isinstance(source, Map):
        yield source
        return
    with open_map(source) as found:
        yield found


def _carry_out(
    order: _Order, recipe: Recipe, on_outcome: OnOutcome | None, progress: bool
) -> Summary:
    log, times = log_path(order.out, order.shard), StageTimes()
    check_inside(log, order.out)
    outcomes = run_jobs(
        order.jobs(), Work(recipe.work().make, _write), size=recipe.batch_size, times=times
    )
    with Log(log) as noted:
        return summarise(
            noted.noting(outcomes),
            order.places,
            times,
            title="render",
            on_outcome=on_outcome,
            progress=progress,
            log=log,
            target=order.out,
        )


def _write(loaded: Loaded, picture: Tensor) -> dict[str, float]:
    target, features, image = loaded
    write_image(picture, target)
    return measure(picture.cpu(), features, image)


def _finished(
    summary: Summary, order: _Order, animation: AnimationKind | None, rate: float
) -> RenderSummary:
    """Add the sheet and the animation once the pictures of all shards are there."""
    places = [place for _, place in order.places((0, 1)) if isinstance(place, Path)]
    made = [place for place in places if is_there(place)]
    whole = RenderSummary(**vars(summary))
    if not made or len(made) + summary.empty < len(places):
        return whole
    sheet = order.out / SHEET
    write_image(_sheet(made), sheet)
    if animation is None:
        return replace(whole, sheet=sheet)
    target = order.out / f"{ANIMATION}.{animation}"
    write_animation(made, target, rate=rate)
    return replace(whole, sheet=sheet, animation=target)


def _sheet(pictures: Sequence[Path]) -> Tensor:
    """Return small pictures in rows, evenly spaced where there are many."""
    step = max(1, -(-len(pictures) // _SHOWN))
    small = [shrink_image(read_image(path), _THUMB) for path in pictures[::step]]
    rows = [small[start : start + _COLUMNS] for start in range(0, len(small), _COLUMNS)]
    return contact_sheet([("", row) for row in rows])
