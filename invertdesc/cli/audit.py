"""`invertdesc audit`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import invertdesc
from invertdesc._files import IMAGE_SUFFIXES
from invertdesc._text import printable
from invertdesc.cli.options import (
    DescriptorOptions,
    DescriptorOrTold,
    Device,
    Gray,
    Mend,
    MethodName,
    MethodOptions,
    SourcesOrStore,
    StoreSize,
    UnfoldingFile,
    make_descriptor,
    make_method,
    vectors_of,
)
from invertdesc.cli.sources import BAD_INPUT
from invertdesc.cli.stores import find_store, open_named, tell
from invertdesc.errors import InputError
from invertdesc.sources import find_sources

if TYPE_CHECKING:
    from invertdesc.auditing.result import Audit
    from invertdesc.descriptors import Descriptor
    from invertdesc.evaluation.identity import Identity
    from invertdesc.evaluation.scores import Distance
    from invertdesc.stores.base import Store


Output = Annotated[
    Path, typer.Option("--output", "-o", help="An .html file; a .json is put beside it.")
]
Number = Annotated[int, typer.Option("--images", min=1, help="Audit so many, evenly spaced.")]
Originals = Annotated[
    Path | None,
    typer.Option(help="Folder of the images that a store was made from, by their names."),
]
Threats = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=VALUE]",
        help="What the attacker has, such as strongest=0.1 or outside=80,80,176,176. Repeatable.",
        show_default="all",
    ),
]
Defences = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=VALUE]",
        help="What is done before storing, such as ldp-noise=30 or lift=8. Repeatable.",
        show_default="all",
    ),
]
Curves = Annotated[bool, typer.Option(help="Draw how leakage goes with strength.")]
Faces = Annotated[bool, typer.Option(help="Look for faces.")]
Side = Annotated[
    int, typer.Option(min=64, help="Attack at so many pixels of the longer side at most.")
]
Seed = Annotated[int, typer.Option(help="Random seed.")]
Weights = Annotated[
    Path | None, typer.Option(help="Weights of VGG16: measure distances in its features too.")
]
FaceModel = Annotated[
    Path | None,
    typer.Option(
        help="Face model, .pt2 or TorchScript: (1, 3, 112, 112) in [0, 1] to (1, E). "
        "Such a file is a program, which runs: trust its maker."
    ),
]


def audit(
    context: typer.Context,
    sources: SourcesOrStore = None,
    output: Output = Path("report.html"),
    descriptor: DescriptorOrTold = None,
    descriptor_option: DescriptorOptions = None,
    gray: Gray = None,
    method: MethodName = "unfold",
    method_option: MethodOptions = None,
    unfolding: UnfoldingFile = None,
    images: Number = 4,
    originals: Originals = None,
    threat: Threats = None,
    defence: Defences = None,
    curves: Curves = True,
    faces: Faces = True,
    side: Side = 512,
    image_size: StoreSize = None,
    mend: Mend = True,
    seed: Seed = 0,
    vgg16: Weights = None,
    identity: FaceModel = None,
    device: Device = None,
) -> None:
    """Attack images or a store under many threat models and defences, and write a report.

    The report is one HTML file that loads nothing: pictures first, then plain words, all numbers
    beside their floors, leakage curves, and how to repeat it.

    **Examples**

        invertdesc audit photos/ -o report.html

        invertdesc audit database.db --originals photos/ --images 8 -o report.html

        invertdesc audit photo.jpg -d orb --threat strongest=0.1 --defence ldp-noise=30

        invertdesc audit features.h5 --no-curves --vgg16 vgg16.safetensors
    """
    _check(output)
    told = vectors_of(descriptor, unfolding)
    with _open(sources, told, descriptor_option, gray, image_size, mend) as (source, adapter):
        found = invertdesc.audit(
            source,
            method=make_method(method, method_option, unfolding, adapter),
            descriptor=adapter,
            threats=parse_choices(threat),
            defences=parse_choices(defence),
            images=images,
            side=side,
            originals=originals,
            curves=curves,
            faces=faces,
            distances=_distances(vgg16),
            identity=_identity(identity),
            seed=seed,
            device=device,
            progress=True,
        )
    _finish(found, images, sources or [], output, typed(context))


def _check(output: Path) -> None:
    from invertdesc.auditing.report.report import check_target

    check_target(output)


@contextmanager
def _open(
    sources: list[str] | None,
    descriptor: str | None,
    options: list[str] | None,
    gray: str | None,
    image_size: str | None,
    mend: bool,
) -> Iterator[tuple[list[Path] | Store, Descriptor]]:
    """Give the images or the store that are named, and the adapter of their descriptors."""
    from invertdesc.stores.summary import check_readable

    place = find_store(sources or [], False)
    if place is None:
        adapter = make_descriptor(descriptor or "sift", options, gray)
        paths = find_sources(sources or [], (*IMAGE_SUFFIXES, ".npz"))
        if not paths:
            raise InputError("Expected a SOURCE, got none. See --help.")
        yield list(paths), adapter
        return
    if options or gray is not None:
        raise InputError(f"Expected -D and --gray for images only, got them for {place}.")
    with open_named(place, descriptor, image_size, mend=mend) as store:
        check_readable(store)  # before its descriptor is asked for
        yield store, make_descriptor(store.description.descriptor, None, None)


def _finish(found: Audit, most: int, sources: list[str], output: Path, command: str) -> None:
    """Write the report, and say what was left out or assumed."""
    if found.total is not None and found.total > most:
        tell([f"{most} of {found.total:,} images are audited, evenly spaced (--images)."])
    tell(found.notes)
    title = ", ".join(Path(source).name or source for source in sources[:3])
    numbers = found.save(output, source=title, command=command)
    typer.echo(f"Wrote {printable(output)} and {printable(numbers.name)}.")
    if found.left_out:
        raise typer.Exit(BAD_INPUT)


def parse_choices(texts: Sequence[str] | None) -> list[tuple[str, Any]] | None:
    """Turn `name` and `name=value` into names and values; None stays None.

    A name without a value has None; numbers with commas between them become a tuple.

    >>> parse_choices(["strongest=0.1", "outside=1,2,3,4", "permuted"])
    [('strongest', 0.1), ('outside', (1.0, 2.0, 3.0, 4.0)), ('permuted', None)]
    """
    if texts is None:
        return None
    found: list[tuple[str, Any]] = []
    for text in texts:
        name, equals, value = text.partition("=")
        known: Any = value if equals else None
        with suppress(ValueError):  # neither JSON nor numbers: the library says what it expects
            if "," in value:
                known = tuple(map(float, value.split(",")))
            elif equals:
                known = json.loads(value)
        found.append((name.strip(), known))
    return found


def typed(context: typer.Context) -> str:
    """Return the command line that leads to the same run, quoted for a shell."""
    words: list[str] = []
    last: list[str] = []
    for parameter in context.command.params:
        value: Any = context.params.get(parameter.name or "")
        source = context.get_parameter_source(parameter.name or "")
        if source is None or source.name != "COMMANDLINE":
            continue
        values = [value] if isinstance(value, str | bool) or not _is_many(value) else value
        if parameter.param_type_name == "argument":
            last += map(str, values)
        elif isinstance(value, bool):
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            words += [word for one in values for word in (parameter.opts[0], str(one))]
    return shlex.join(["invertdesc", "audit", *words, *(["--"] * any_dashes(last)), *last])


def any_dashes(words: Sequence[str]) -> bool:
    """Say whether a word would be read as an option."""
    return any(word.startswith("-") for word in words)


def _is_many(value: object) -> bool:
    return isinstance(value, list | tuple)


def _distances(weights: Path | None) -> dict[str, Distance]:
    from invertdesc.evaluation.metrics import vgg_distance
    from invertdesc.evaluation.vgg16 import load_vgg16

    return {} if weights is None else {"vgg": vgg_distance(load_vgg16(weights))}


def _identity(model: Path | None) -> Identity | None:
    from invertdesc.evaluation.identity import load_identity

    return None if model is None else load_identity(model)
