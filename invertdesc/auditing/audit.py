"""The public function `audit`: attack images or a store under threat models and defences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from invertdesc._progress import progress_lines
from invertdesc.auditing.attacks.public import MOST
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.inputs import Pictures, read_inputs, read_pictures
from invertdesc.auditing.kinds import choose
from invertdesc.auditing.result import Audit
from invertdesc.auditing.run import Plan, Tools, run_plan
from invertdesc.auditing.sweeps import default_sweeps
from invertdesc.auditing.threats import THREATS
from invertdesc.evaluation._dlib import has_dlib
from invertdesc.evaluation.dlib_faces import DlibRecogniser
from invertdesc.evaluation.identity import load_identity
from invertdesc.evaluation.recognition import Bounded, bounds_of
from invertdesc.evaluation.scores import Distance, Ruler
from invertdesc.evaluation.text import has_reader, load_reader
from invertdesc.features.local import Box
from invertdesc.methods import create_method

if TYPE_CHECKING:
    from invertdesc.auditing.inputs import Inputs, Source
    from invertdesc.descriptors import Descriptor
    from invertdesc.evaluation.recognition import Recogniser
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
    thorough: bool = False,
    faces: bool = True,
    text: bool = True,
    distances: Mapping[str, Distance] | None = None,
    identity: Recogniser | str | os.PathLike[str] | None = None,
    gallery: Pictures | None = None,
    public: Pictures | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Audit:
    """Attack stored features under threat models and defences, and measure what they reveal.

    Args:
        source: An image, features, or a path to either; a sequence or a folder of those; a store.
        method: Name or method of the attack; None for `"unfold"`, or `"auto"` if thorough.
        method_options: Options of a method that is given by its name.
        descriptor: Name or adapter; None for what the features name, and SIFT for images.
        threats: Names, or pairs with a strength, such as `("strongest", 0.1)`. None for all.
        defences: Names or pairs in the same form, such as `("ldp-noise", 30)`. None for all.
        images: Maximum number of images to audit, evenly spaced.
        side: Maximum length in pixels of the longer side of attacked pictures.
        originals: Folder of the images that a store was made from, with the same names.
        thorough: Whether to try slow attacks and further strengths, and to draw curves.
        faces: Whether to look for faces, and to tell people apart.
        text: Whether to read text, if a program that reads is installed.
        distances: `"vgg"` and `"lpips"`, as `evaluate` takes them.
        identity: A recogniser, or a file for `load_identity`; None for dlib's if it is installed.
        gallery: Pictures of different people, to measure from which distance on two are different.
        public: Other pictures, from which attackers learn what a defence does.
        seed: Random seed; the same one gives the same numbers.
        device: Where the method computes, such as `"cuda"`.
        progress: Show progress and how long the rest will take: a bar, or lines without a terminal.

    Raises:
        FileError: The folder or store cannot be read.
        InputError: No image has keypoints, a name is unknown, or a strength is out of range.
        InvertDescError: The method cannot be used even with everything that is stored.

    >>> from skimage.data import camera
    >>> audit(camera()[::4, ::4], threats=["random"], defences=[], text=False).rows[1].name
    'random'
    """
    tools = _tools(identity, gallery, public, faces=faces, text=text)
    inputs = read_inputs(source, descriptor, images=images, side=side, originals=originals)
    ruler = Ruler(inputs.adapter, distances or {}, faces)
    plan = _plan(threats, defences, thorough, seed, device)
    method = method or ("auto" if thorough else "unfold")
    return _attack(inputs, method, method_options or {}, ruler, plan, tools, progress)


def _attack(
    inputs: Inputs,
    method: str | MethodLike,
    options: Mapping[str, Any],
    ruler: Ruler,
    plan: Plan,
    tools: Tools,
    progress: bool,
) -> Audit:
    if isinstance(method, str):
        method = create_method(method, descriptor=inputs.adapter, **options)
    count = len(plan.table) + len(plan.drawn)
    with progress_lines("audit", count, unit="scenario", shown=progress) as steps:
        return run_plan(inputs, method=method, ruler=ruler, plan=plan, tools=tools, steps=steps)


def _tools(
    identity: Recogniser | str | os.PathLike[str] | None,
    gallery: Pictures | None,
    public: Pictures | None,
    *,
    faces: bool,
    text: bool,
) -> Tools:
    return Tools(
        recogniser=_recogniser(identity, gallery) if faces or identity is not None else None,
        reader=load_reader() if text and has_reader() else None,
        public=() if public is None else read_pictures(public, MOST),
    )


def _recogniser(
    given: Recogniser | str | os.PathLike[str] | None, gallery: Pictures | None
) -> Recogniser | None:
    """Return the recogniser of an audit, with bounds of the gallery if there is one."""
    if isinstance(given, str | os.PathLike):
        given = load_identity(given)
    if given is None:
        given = DlibRecogniser() if has_dlib() else None
    if given is None or gallery is None:
        return given
    pictures = read_pictures(gallery)
    bounds = bounds_of(given, pictures, f"a gallery of {len(pictures)} pictures that was given")
    return Bounded(given, bounds)


def _plan(
    threats: Iterable[Choice] | None,
    defences: Iterable[Choice] | None,
    thorough: bool,
    seed: int,
    device: str | torch.device | None,
) -> Plan:
    return Plan(
        threats=choose(THREATS, _pairs(threats), "threat"),
        defences=choose(DEFENCES, _pairs(defences), "defence"),
        sweeps=default_sweeps() if thorough else (),
        seed=seed,
        thorough=thorough,
        device=device,
    )


def _pairs(choices: Iterable[Choice] | None) -> Sequence[tuple[str, object]] | None:
    if choices is None:
        return None
    return [(one, None) if isinstance(one, str) else one for one in choices]
