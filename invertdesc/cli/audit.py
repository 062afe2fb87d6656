"""`invertdesc audit`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
)
from invertdesc.cli.sources import BAD_INPUT, find_sources, spread
from invertdesc.cli.stores import check_readable, find_store, open_named, tell
from invertdesc.errors import InputError

if TYPE_CHECKING:
    from invertdesc.auditing.gather import Gathered
    from invertdesc.auditing.measures import Ruler
    from invertdesc.auditing.run import Plan
    from invertdesc.stores.base import Store


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
    from tqdm import tqdm

    from invertdesc.auditing.report.report import check_target, save_report
    from invertdesc.auditing.run import audit as run

    check_target(output)
    plan = _plan(threat, defence, curves, seed, device)
    place = find_store(sources or [], False)
    if place is None:
        adapter = make_descriptor(descriptor or "sift", descriptor_option, gray)
        gathered = _from_files(sources or [], adapter, side, originals, images)
    else:
        if descriptor_option or gray is not None:
            raise InputError(f"Expected -D and --gray for images only, got them for {place}.")
        with open_named(place, descriptor, image_size, mend=mend) as store:
            gathered = _from_store(store, side, originals, images)
    if gathered.total > images:
        tell([f"{images} of {gathered.total:,} images are audited, evenly spaced (--images)."])
    tell(gathered.notes)
    chosen = make_method(method, method_option, unfolding, gathered.adapter)
    total = len(plan.table) + len(plan.drawn)
    with tqdm(total=total, desc="audit", unit="scenario", disable=None) as bar:
        found = run(
            gathered.subjects,
            method=chosen,
            ruler=_ruler(gathered, vgg16, identity, faces),
            plan=plan,
            notes=gathered.notes,
            total=gathered.total,
            tick=bar.update,
        )
    title = ", ".join(Path(source).name or source for source in (sources or [])[:3])
    numbers = save_report(found, output, source=title, command=typed(context))
    typer.echo(f"Wrote {printable(output)} and {printable(numbers.name)}.")
    if gathered.failed:
        raise typer.Exit(BAD_INPUT)


def parse_choices(texts: Sequence[str]) -> list[tuple[str, object]]:
    """Turn `name` and `name=value` into names and values; None for no value.

    >>> parse_choices(["strongest=0.1", "outside=1,2,3,4", "permuted"])
    [('strongest', 0.1), ('outside', '1,2,3,4'), ('permuted', None)]
    """
    found: list[tuple[str, object]] = []
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            found.append((name.strip(), json.loads(value) if equals else None))
        except json.JSONDecodeError:
            found.append((name.strip(), value))
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


def _plan(
    threat: list[str] | None,
    defence: list[str] | None,
    curves: bool,
    seed: int,
    device: str | None,
) -> Plan:
    from invertdesc.auditing.defences.defences import DEFENCES
    from invertdesc.auditing.kinds import choose
    from invertdesc.auditing.run import Plan
    from invertdesc.auditing.sweeps import default_sweeps
    from invertdesc.auditing.threats import THREATS

    return Plan(
        threats=choose(THREATS, None if threat is None else parse_choices(threat), "threat"),
        defences=choose(DEFENCES, None if defence is None else parse_choices(defence), "defence"),
        sweeps=default_sweeps() if curves else (),
        seed=seed,
        device=device,
    )


def _from_files(
    sources: list[str], adapter: Any, side: int, originals: Path | None, most: int
) -> Gathered:
    from invertdesc.auditing.gather import Gathered

    paths = find_sources(sources, (*IMAGE_SUFFIXES, ".npz"))
    if not paths:
        raise InputError("Expected a SOURCE, got none. See --help.")
    gathered = Gathered(adapter, side, originals, total=len(paths))
    gathered.add_files(spread(paths, most))
    return gathered


def _from_store(store: Store, side: int, originals: Path | None, most: int) -> Gathered:
    from invertdesc.auditing.gather import Gathered
    from invertdesc.descriptors import create_descriptor

    check_readable(store)
    told = store.description
    names = list(store.names())
    gathered = Gathered(create_descriptor(told.descriptor), side, originals, total=len(names))
    gathered.notes += [f"Store: {told.kind}. Vectors: {told.normalisation}.", *told.notes]
    gathered.notes += told.left_out
    gathered.add_store(store, spread(names, most))
    return gathered


def _ruler(gathered: Gathered, vgg16: Path | None, identity: Path | None, faces: bool) -> Ruler:
    from invertdesc.auditing.measures import Ruler
    from invertdesc.evaluation.identity import load_identity
    from invertdesc.evaluation.metrics import vgg_distance
    from invertdesc.evaluation.vgg16 import load_vgg16

    return Ruler(
        gathered.adapter,
        None if vgg16 is None else vgg_distance(load_vgg16(vgg16)),
        None if identity is None else load_identity(identity),
        faces,
    )
