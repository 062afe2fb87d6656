"""What a map reveals of pictures that its owner never shared, by how much of it is known."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from invertdesc._files import atomic_write
from invertdesc._options import check_range
from invertdesc._text import RESPONSIBLE
from invertdesc.api import reconstruct
from invertdesc.bulk.places import check_inside
from invertdesc.drawing import comparison_sheet
from invertdesc.errors import FramesRecoveredWarning, InputError
from invertdesc.features.local import LocalFeatures
from invertdesc.image import read_image, write_image
from invertdesc.maps._lines import recover_points, thrown_lines
from invertdesc.maps._measure import measure, resized_image
from invertdesc.maps._view import ViewOptions
from invertdesc.maps.map import Map
from invertdesc.maps.open import open_map
from invertdesc.maps.viewpoints import Viewpoint, own_viewpoints, shrunk
from invertdesc.methods import MethodLike

_FAR = 24.0  # pixels that the colour of a point fills, at most
_NOWHERE = 0.5  # gray where no point is near
_POINTS = ViewOptions(neighbours=0)
_THUMB = 320  # pixels of a picture of the sheet
_TRUTH = "image"


class Scene:
    """A map, and what is computed of it once.

    Attributes:
        source: The map.
    """

    def __init__(self, source: Map) -> None:
        self.source = source

    @cached_property
    def of_lines(self) -> Map:
        """The map with points found again from random lines through them."""
        model = self.source.model
        found = recover_points(thrown_lines(model.xyz))
        return Map(self.source.path, replace(model, xyz=found), self.source.store)


@dataclass(frozen=True)
class MapThreat:
    """How much of a map is known.

    Attributes:
        name: In one word.
        words: What is known, in words.
        attack: Returns a picture (3, H, W) of a map from a viewpoint, by a method.
    """

    name: str
    words: str
    attack: Callable[[Scene, Viewpoint, str | MethodLike], Tensor]


@dataclass(frozen=True)
class MapAuditRow:
    """One picture of a map.

    Attributes:
        threat: How much of the map was known.
        image: Whose camera was used; its own features were left out.
        measures: See `render_map`; only the coverage where there is no image to compare with.
    """

    threat: str
    image: str
    measures: dict[str, float]


@dataclass(frozen=True, eq=False)
class MapAudit:
    """What a map revealed.

    Attributes:
        threats: In the order in which they were tried.
        rows: One for each image and threat. What is near a keypoint is the same for all threats:
            what is near a visible point.
        sheet: (3, h, w) RGB in [0, 1]: a block for each image, a column for each threat.
    """

    threats: tuple[MapThreat, ...]
    rows: tuple[MapAuditRow, ...]
    sheet: Tensor

    def __str__(self) -> str:
        """Lay out the means with their standard errors, a threat a line, and what threats mean."""
        names = list(self.rows[0].measures) if self.rows else []
        width = max(len(threat.name) for threat in self.threats)
        lines = [" ".join([" " * width, *(f"{name:>15}" for name in names)])]
        for threat in self.threats:
            some = [row.measures for row in self.rows if row.threat == threat.name]
            cells = [_mean([one[name] for one in some]) for name in names]
            lines.append(" ".join([f"{threat.name:{width}}", *(f"{cell:>15}" for cell in cells)]))
        lines += [f"{threat.name}: {threat.words}" for threat in self.threats]
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """Return the words and numbers as JSON takes them."""
        threats = {threat.name: threat.words for threat in self.threats}
        return {"threats": threats, "rows": [asdict(row) for row in self.rows]}

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `sheet.png`, `audit.txt` and `audit.json` into a folder.

        Raises:
            FileError: They cannot be written.
        """
        place = Path(folder)
        write_image(self.sheet, place / "sheet.png")
        for name, text in (
            ("audit.txt", f"{self}\n\n{RESPONSIBLE}"),
            ("audit.json", json.dumps(self.as_json() | {"use": RESPONSIBLE}, indent=2)),
        ):
            with atomic_write(place / name) as file:
                file.write(f"{text}\n".encode())


def audit_map(
    source: Map | str | os.PathLike[str],
    *,
    images: int = 3,
    names: str | None = None,
    threats: Iterable[str] | None = None,
    method: str | MethodLike = "auto",
    truth: str | os.PathLike[str] | None = None,
    max_side: int | None = 640,
) -> MapAudit:
    """Look at a map from its own cameras, with ever more of it, each image's own features left out.

    Two things still depend on an image that is left out: the cameras and points, which were
    computed with it, and the colours of points. Which points are visible, and which observation of
    a point serves, is chosen by the cameras of the others; who has points alone has to guess that.

    Args:
        source: An open map, or the path of one as `open_map` takes it.
        images: How many of its images, evenly spaced, at most.
        names: Wildcards that their names have to match; None for all.
        threats: Names of what is known: `"points"`, `"lines"`, `"descriptors"`, `"frames"`,
            `"keypoints"`; None for all.
        method: Name, or a method from `create_method`.
        truth: Folder with the map's images, to measure pictures against.
        max_side: Pixels of the longer side that pictures are made in, at most; None for any.

    Raises:
        FileError: The map or an image cannot be read.
        InputError: An invalid argument, or a map without features.
        MissingFieldError: The descriptor's frames are not known and cannot be recovered.

    >>> audit_map("colmap", threats=["point"])
    Traceback (most recent call last):
    invertdesc.errors.InputError: Expected threats among points, lines, descriptors, frames, \
keypoints; got 'point'. Did you mean 'points'?
    """
    check_range("images", images, 1)
    check_range("max_side", 1 if max_side is None else max_side, 1)
    chosen = _chosen(threats)
    if not isinstance(source, Map):
        with open_map(source) as found:
            return _audit(found, images, names, chosen, method, truth, max_side)
    return _audit(source, images, names, chosen, method, truth, max_side)


def _chosen(names: Iterable[str] | None) -> tuple[MapThreat, ...]:
    known = {threat.name: threat for threat in MAP_THREATS}
    wanted = list(known) if names is None else list(names)
    for name in wanted:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            advice = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"Expected threats among {', '.join(known)}; got {name!r}.{advice}")
    if not wanted:
        raise InputError(f"Expected threats among {', '.join(known)}; got none.")
    return tuple(known[name] for name in dict.fromkeys(wanted))


def _audit(
    source: Map,
    images: int,
    names: str | None,
    threats: tuple[MapThreat, ...],
    method: str | MethodLike,
    truth: str | os.PathLike[str] | None,
    max_side: int | None,
) -> MapAudit:
    own = own_viewpoints(source, names=names, hold_out=True)
    rows, blocks, scene = [], [], Scene(source)
    count = min(images, len(own))
    some = [own[(2 * number + 1) * len(own) // (2 * count)] for number in range(count)]
    for viewpoint in (shrunk(one, max_side) for one in some):
        image = None if truth is None else _image(Path(truth), viewpoint)
        seen = _view(source, viewpoint, _POINTS)
        pictures: dict[str, Sequence[Tensor]] = {} if image is None else {_TRUTH: [image]}
        for threat in threats:
            picture = threat.attack(scene, viewpoint, method).cpu()
            pictures[threat.name] = [picture]
            rows.append(MapAuditRow(threat.name, viewpoint.name, measure(picture, seen, image)))
        blocks.append((viewpoint.name, pictures))
    return MapAudit(threats, tuple(rows), comparison_sheet(blocks, side=_THUMB))


def _image(folder: Path, viewpoint: Viewpoint) -> Tensor:
    file = folder / viewpoint.name
    check_inside(file, folder)
    return resized_image(read_image(file), viewpoint.camera.image_size)


def _view(source: Map, at: Viewpoint, options: ViewOptions) -> LocalFeatures:
    return source.view(at.camera, at.pose, leave_out=at.leave_out, options=options)


def _splats(scene: Scene, at: Viewpoint, _: str | MethodLike) -> Tensor:
    """Give each pixel the colour of the nearest visible point; gray where none is near."""
    from scipy.ndimage import distance_transform_edt

    seen = _view(scene.source, at, _POINTS)
    height, width = seen.image_size
    picture = torch.full((3, height, width), _NOWHERE)
    if not len(seen) or seen.colors is None:
        return picture
    x, y = seen.keypoints.round().long().unbind(1)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    picture[:, y, x] = seen.colors.T
    empty = np.ones((height, width), bool)
    empty[y.numpy(), x.numpy()] = False
    far, (rows, columns) = distance_transform_edt(empty, return_indices=True)
    filled = picture[:, torch.from_numpy(rows), torch.from_numpy(columns)]
    return torch.where(torch.from_numpy(far) <= _FAR, filled, torch.tensor(_NOWHERE))


def _without_frames(scene: Scene, at: Viewpoint, method: str | MethodLike) -> Tensor:
    return _made(_view(scene.source, at, _POINTS).without("scales", "orientations"), method)


def _of_lines(scene: Scene, at: Viewpoint, method: str | MethodLike) -> Tensor:
    return _without_frames(Scene(scene.of_lines), at, method)


def _frames(scene: Scene, at: Viewpoint, method: str | MethodLike) -> Tensor:
    return _made(_view(scene.source, at, _POINTS), method)


def _keypoints(scene: Scene, at: Viewpoint, method: str | MethodLike) -> Tensor:
    return _made(_view(scene.source, at, ViewOptions()), method)


def _made(features: LocalFeatures, method: str | MethodLike) -> Tensor:
    if not len(features):
        return torch.full((3, *features.image_size), _NOWHERE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FramesRecoveredWarning)  # it is what the threat means
        return reconstruct(features, method=method)


def _mean(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


MAP_THREATS = (
    MapThreat("points", "points with their colours, no descriptors", _splats),
    MapThreat(
        "lines",
        "a random line through each point in place of the point, colours, and a descriptor of each "
        "point; points are found again from lines that pass near each other",
        _of_lines,
    ),
    MapThreat(
        "descriptors",
        "points, colours, and a descriptor of each point; scales and orientations are recovered",
        _without_frames,
    ),
    MapThreat("frames", "also the scale and orientation of each descriptor", _frames),
    MapThreat("keypoints", "also the keypoints of images that show no point", _keypoints),
)
