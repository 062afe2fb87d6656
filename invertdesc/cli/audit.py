"""`invertdesc audit`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
)
from invertdesc.cli.sources import BAD_INPUT, IMAGES, find_sources
from invertdesc.cli.stores import check_readable, find_store, open_named, tell
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.evaluation.identity import Identity
    from invertdesc.evaluation.scores import Distance


def audit(
    context: typer.Context,
    sources: SourcesOrStore = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="An .html file; a .json is put beside it.")
    ] = Path("report.html"),
    descriptor: DescriptorOrTold = None,
    descriptor_option: DescriptorOptions = None,
    gray: Gray = None,
    method: MethodName = "unfold",
    method_option: MethodOptions = None,
    unfolding: UnfoldingFile = None,
    images: Annotated[int, typer.Option(min=1, help="Audit so many, evenly spaced.")] = 4,
    originals: Annotated[
        Path | None,
        typer.Option(help="Folder of the images that a store was made from, by their names."),
    ] = None,
    threat: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=VALUE]",
            help="What the attacker has, such as strongest=0.1 or outside=80,80,176,176. "
            "Repeatable.",
            show_default="all",
        ),
    ] = None,
    defence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=VALUE]",
            help="What is done before storing, such as ldp-noise=30 or lift=8. Repeatable.",
            show_default="all",
        ),
    ] = None,
    curves: Annotated[bool, typer.Option(help="Draw how leakage goes with strength.")] = True,
    faces: Annotated[bool, typer.Option(help="Look for faces.")] = True,
    side: Annotated[
        int, typer.Option(min=64, help="Attack at so many pixels of the longer side at most.")
    ] = 512,
    image_size: StoreSize = None,
    mend: Mend = True,
    seed: Annotated[int, typer.Option(help="Of everything drawn.")] = 0,
    vgg16: Annotated[
        Path | None,
        typer.Option(help="Weights of VGG16: measure distances in its features too."),
    ] = None,
    identity: Annotated[
        Path | None,
        typer.Option(
            help="Face model, .pt2 or TorchScript: (1, 3, 112, 112) in [0, 1] to (1, E). "
            "Such a file is a program, which runs: trust its maker."
        ),
    ] = None,
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
    from invertdesc.auditing.audit import audit as run
    from invertdesc.auditing.report.report import check_target

    check_target(output)
    place = find_store(sources or [], False)
    with (
        nullcontext()
        if place is None
        else open_named(place, descriptor, image_size, mend=mend) as store
    ):
        if store is None:
            adapter = make_descriptor(descriptor or "sift", descriptor_option, gray)
        elif descriptor_option or gray is not None:
            raise InputError(f"Expected -D and --gray for images only, got them for {place}.")
        else:
            check_readable(store)
            adapter = make_descriptor(store.description.descriptor, None, None)
        found = run(
            _files(sources or []) if store is None else store,
            method=make_method(method, method_option, unfolding, adapter),
            descriptor=adapter,
            threats=None if threat is None else parse_choices(threat),
            defences=None if defence is None else parse_choices(defence),
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
    if found.total is not None and found.total > images:
        tell([f"{images} of {found.total:,} images are audited, evenly spaced (--images)."])
    tell(found.notes)
    title = ", ".join(Path(source).name or source for source in (sources or [])[:3])
    numbers = found.save(output, source=title, command=typed(context))
    typer.echo(f"Wrote {printable(output)} and {printable(numbers.name)}.")
    if found.left_out:
        raise typer.Exit(BAD_INPUT)


def parse_choices(texts: Sequence[str]) -> list[tuple[str, Any]]:
    """Turn `name` and `name=value` into names and values; None for no value, a box for four.

    >>> parse_choices(["strongest=0.1", "outside=1,2,3,4", "permuted"])
    [('strongest', 0.1), ('outside', (1.0, 2.0, 3.0, 4.0)), ('permuted', None)]
    """
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


def _files(sources: list[str]) -> list[Path]:
    paths = find_sources(sources, (*IMAGES, ".npz"))
    if not paths:
        raise InputError("Expected a SOURCE, got none. See --help.")
    return paths


def _distances(weights: Path | None) -> dict[str, Distance]:
    from invertdesc.evaluation.metrics import vgg_distance
    from invertdesc.evaluation.vgg16 import load_vgg16

    return {} if weights is None else {"vgg": vgg_distance(load_vgg16(weights))}


def _identity(model: Path | None) -> Identity | None:
    from invertdesc.evaluation.identity import load_identity

    return None if model is None else load_identity(model)
