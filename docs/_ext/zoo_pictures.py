"""Draw the pictures of the pages of all descriptors and methods."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from skimage import data
from torch import Tensor
from zoo import unfolds

from invertdesc import (
    FramesRecoveredWarning,
    LocalFeatures,
    collect_database,
    create_descriptor,
    create_method,
    draw_keypoints,
    extract,
    list_descriptors,
    list_methods,
    reconstruct,
    write_image,
)
from invertdesc.drawing import in_a_row
from invertdesc.errors import InvertDescError
from invertdesc.image import to_image
from invertdesc.methods import methods
from invertdesc.methods.base import Method
from invertdesc.weights import FOLDER

# Slow methods, with fewer steps: these are thumbnails.
QUICK = {
    "gradient": {"steps": 40},
    "unfold+gradient": {"steps": 40},
    "maxent": {"steps": 20, "samples": 5},
}
# Photograph, descriptor and missing fields of each picture of the page "Is my data at risk?".
RISKS = {
    "colmap": (data.astronaut, "rootsift", ()),
    "hloc": (lambda: data.coffee()[:, 60:540], "sift", ("scores",)),
    "opensfm": (lambda: data.astronaut()[:360, 60:420], "akaze", ("scores",)),
    "orb": (lambda: data.astronaut()[:256, 100:356], "orb", ()),
    "noframes": (lambda: data.astronaut()[:256, 100:356], "sift", ("scales", "orientations")),
}
SMALL = {
    "bovw": {"words": 48},
    "paired-dictionary": {"most": 300, "atoms": 64},
    "patch-database": {"most": 500},
    "ridge": {"most": 500},
}


def draw_all(folder: Path) -> dict[str, str]:
    """Draw what is missing or older than the weights.

    Returns:
        Paths relative to the pages, by the name of the descriptor, "method NAME" or "risk NAME".
    """
    photo = to_image(data.astronaut()[:256, 100:356])
    folder.mkdir(parents=True, exist_ok=True)
    todo = {name: partial(_descriptor, name, photo) for name in list_descriptors()}
    todo |= {f"method {name}": partial(_method, name, photo) for name in list_methods()}
    todo |= {f"risk {name}": partial(_risk, name) for name in RISKS}
    found = {}
    for name, draw in todo.items():
        path = folder / f"{name.replace(' ', '-') if ' ' in name else f'descriptor-{name}'}.png"
        if _is_new(path) or _drawn(path, draw):
            found[name] = f"pictures/{path.name}"
    return found


def _is_new(path: Path) -> bool:
    newest = max(file.stat().st_mtime for file in FOLDER.iterdir())
    return path.exists() and path.stat().st_mtime > newest


def _drawn(path: Path, draw: Callable[[], Tensor | None]) -> bool:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FramesRecoveredWarning)
        picture = draw()
    if picture is not None:
        write_image(picture, path)
    return picture is not None


def _descriptor(name: str, photo: Tensor) -> Tensor | None:
    """Return keypoints and reconstruction, where nothing must be downloaded for it."""
    if not unfolds(name) or hasattr(create_descriptor(name), "weights"):
        return None
    return _pair(extract(photo, descriptor=name), "unfold")


def _risk(name: str) -> Tensor:
    photo, descriptor, missing = RISKS[name]
    return _pair(extract(photo(), descriptor=descriptor).without(*missing), "auto")


def _pair(features: LocalFeatures, method: str) -> Tensor:
    return in_a_row([draw_keypoints(features), reconstruct(features, method=method)])


def _method(name: str, photo: Tensor) -> Tensor | None:
    cls = methods.get(name)
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        return None
    descriptor = "sift-dense" if "grid" in cls.needs.abilities else "sift"
    if "pattern" in cls.needs.abilities:
        descriptor = "brief"
    features = extract(photo, descriptor=descriptor)
    with tempfile.TemporaryDirectory() as folder:
        options = dict(QUICK.get(name, {}))
        if cls.needs.database:
            options["database"] = str(_database(name, descriptor, Path(folder)))
        try:
            made = create_method(name, descriptor=descriptor, **options)
        except InvertDescError:
            return None
        return reconstruct(features, method=made)


def _database(name: str, descriptor: str, folder: Path) -> Path:
    """Collect a database from photographs of scikit-image, none of which is the astronaut."""
    pictures = []
    for number, one in enumerate(("camera", "cat", "coffee", "rocket", "chelsea")):
        path = folder / f"{number}.png"
        write_image(to_image(getattr(data, one)()[:480:2, :480:2]), path)
        pictures.append(path)
    path = folder / "database.safetensors"
    collect_database(name, pictures, path, descriptor=descriptor, **SMALL[name])
    return path
