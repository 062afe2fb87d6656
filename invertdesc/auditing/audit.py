"""The public function `audit`: attack images or a store under threat models and defences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from tqdm import tqdm

from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.inputs import read_inputs
from invertdesc.auditing.kinds import choose
from invertdesc.auditing.result import Audit
from invertdesc.auditing.run import Plan, run_plan
from invertdesc.auditing.sweeps import default_sweeps
from invertdesc.auditing.threats import THREATS
from invertdesc.evaluation.identity import Identity, load_identity
from invertdesc.evaluation.scores import Distance, Ruler
from invertdesc.features.local import Box
from invertdesc.methods import create_method

if TYPE_CHECKING:
    from invertdesc.auditing.inputs import Inputs, Source
    from invertdesc.descriptors import Descriptor
    from invertdesc.methods import MethodLike

# The name of a threat model or defence, alone or with its strength or region.
Choice: TypeAlias = str | tuple[str, float | Box | None]


def audit(
    source: Source,
    *,
    method: str | MethodLike | None = None,
    method_options: Mapping[str, Any] | None = None,
    descriptor: str | Descriptor | None = None,
    threats: Iterable[Choice] | None = None,
    defences: Iterable[Choice] | None = None,
    images: int = 4,
    side: int = 512,
    originals: str | os.PathLike[str] | None = None,
    curves: bool = True,
    faces: bool = True,
    distances: Mapping[str, Distance] | None = None,
    identity: Identity | str | os.PathLike[str] | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Audit:
    """Attack stored features under threat models and defences, and measure what they reveal.

    Args:
        source: An image, features, or a path to either; a sequence of those; a folder of images; or
            a store, or a path to one. A file that ends in `.npz` is read as features.
        method: Name or method of the attack; None for `"auto"`.
        method_options: Options of a method that is given by its name.
        descriptor: What to extract from images, or what a store's vectors are: a name or an
            adapter. None for the descriptor that the features name, and SIFT for images.
        threats: Threat models to try: names, or pairs of a name and its strength, such as
            `("strongest", 0.1)` or `("outside", (80, 80, 176, 176))`. None for all.
        defences: Defences to try, in the same form, such as `("ldp-noise", 30)`. None for all.
        images: Maximum number of images to audit, evenly spaced.
        side: Maximum length in pixels of the longer side of attacked pictures.
        originals: Folder of the images that the store was made from, with the same names.
        curves: Whether to measure how the results change with the strength of threats and defences.
        faces: Whether to look for faces.
        distances: `"vgg"` and `"lpips"`, as `evaluate` takes them.
        identity: A distance of faces, or the file of a model as `load_identity` takes it.
        seed: Random seed; the same one gives the same numbers.
        device: Where the method computes, such as `"cuda"`.
        progress: Show a progress bar.

    Returns:
        All numbers and pictures; `save("report.html")` writes the report.

    Raises:
        FileError: The folder or store cannot be read.
        InputError: No image has keypoints, a name is unknown, or a strength is out of range.
        InvertDescError: The method cannot be used even with everything that is stored.

    >>> from skimage.data import camera
    >>> found = audit(camera()[::4, ::4], threats=["random"], defences=[], curves=False)
    >>> [row.name for row in found.rows]
    ['everything', 'random', 'shuffled', 'flat']
    """
    plan = _plan(threats, defences, curves, seed, device)
    inputs = read_inputs(source, descriptor, images=images, side=side, originals=originals)
    face = load_identity(identity) if isinstance(identity, str | os.PathLike) else identity
    ruler = Ruler(inputs.adapter, distances or {}, face, faces)
    return _attack(inputs, method or "auto", method_options or {}, ruler, plan, progress)


def _attack(
    inputs: Inputs,
    method: str | MethodLike,
    options: Mapping[str, Any],
    ruler: Ruler,
    plan: Plan,
    progress: bool,
) -> Audit:
    if isinstance(method, str):
        method = create_method(method, descriptor=inputs.adapter, **options)
    count = len(plan.table) + len(plan.drawn)
    hidden = None if progress else True  # None: show it on a terminal
    with tqdm(total=count, desc="audit", unit="scenario", disable=hidden) as bar:
        return run_plan(inputs, method=method, ruler=ruler, plan=plan, tick=bar.update)


def _plan(
    threats: Iterable[Choice] | None,
    defences: Iterable[Choice] | None,
    curves: bool,
    seed: int,
    device: str | torch.device | None,
) -> Plan:
    return Plan(
        threats=choose(THREATS, _pairs(threats), "threat"),
        defences=choose(DEFENCES, _pairs(defences), "defence"),
        sweeps=default_sweeps() if curves else (),
        seed=seed,
        device=device,
    )


def _pairs(choices: Iterable[Choice] | None) -> Sequence[tuple[str, object]] | None:
    if choices is None:
        return None
    return [(one, None) if isinstance(one, str) else one for one in choices]
