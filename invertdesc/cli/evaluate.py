"""`invertdesc evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invertdesc._progress import watch
from invertdesc.cli.messages import complain
from invertdesc.cli.options import (
    AsJson,
    DescriptorOptions,
    Device,
    Gray,
    Images,
    MethodOptions,
    UnfoldingFile,
    make_descriptor,
    make_method,
)
from invertdesc.cli.sources import parse_box, title_of
from invertdesc.errors import InputError, InvertDescError
from invertdesc.sources import find_sources, spread

if TYPE_CHECKING:
    from torch import Tensor

    from invertdesc.descriptors import Descriptor
    from invertdesc.methods import Method

SHEET = 8  # pictures in a row of a contact sheet


def evaluate(
    data: Annotated[list[Path], typer.Option("--data", help="Folder of images. Repeatable.")],
    descriptor: Annotated[
        list[str] | None,
        typer.Option(
            "--descriptor", "-d", help="Name or wildcard. Repeatable.", show_default="sift"
        ),
    ] = None,
    descriptor_option: DescriptorOptions = None,
    gray: Gray = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Name or wildcard. Repeatable.", show_default="unfold"),
    ] = None,
    method_option: MethodOptions = None,
    unfolding: UnfoldingFile = None,
    images: Images = None,
    floors: Annotated[bool, typer.Option(help="Add what the measures give for nothing.")] = True,
    hole: Annotated[
        str | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="Measure inside this box, also with only the keypoints around it.",
            show_default=False,
        ),
    ] = None,
    vgg16: Annotated[
        Path | None,
        typer.Option(help="Weights of VGG16: measure distances in its features too."),
    ] = None,
    lpips: Annotated[
        bool, typer.Option("--lpips", help="Measure LPIPS too; needs the package.")
    ] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Table as .csv or .json. Repeatable."),
    ] = None,
    as_json: AsJson = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Contact sheet of the first eight images, as an image file.")
    ] = None,
    device: Device = None,
) -> None:
    """Measure methods on folders of images, beside the floors, and print the table.

    **Examples**

        invertdesc evaluate --data photos/

        invertdesc evaluate --data faces/ --data photos/ --images 100 -d '*' --sheet sheet.png

        invertdesc evaluate --data photos/ -m poisson --json

        invertdesc evaluate --data faces/ -m '*' --vgg16 vgg16.safetensors --hole 80,80,176,176
    """
    from invertdesc.descriptors import list_descriptors
    from invertdesc.drawing import contact_sheet
    from invertdesc.evaluation.baselines import MeanPicture
    from invertdesc.evaluation.evaluate import evaluate as measure
    from invertdesc.evaluation.evaluate import format_table, save_table
    from invertdesc.image import read_image, write_image
    from invertdesc.methods import list_methods

    box = None if hole is None else parse_box(hole)
    distances = _distances(vgg16, lpips)
    given = descriptor or ["sift"]
    names = [name for one in given for name in list_descriptors(one) or [one]]
    asked = method or ["unfold"]
    ways = list(dict.fromkeys(name for one in asked for name in list_methods(one) or [one]))
    rows, strips = [], []
    for folder in data:
        paths = spread(find_sources([str(folder)]), images)
        title = title_of(folder)
        strips.append((f"{title}: original", [read_image(path) for path in paths[:SHEET]]))
        mean = MeanPicture.of(paths) if floors else None
        for name in names:
            adapter = make_descriptor(name, descriptor_option, gray)
            shown: dict[tuple[str, str], list[Tensor]] = {}
            try:
                methods = _methods(ways, asked, adapter, method_option, unfolding)
                found = measure(
                    watch(paths, f"{title}, {name}"),
                    descriptor=adapter,
                    method=methods,
                    data=title,
                    floors=floors,
                    hole=box,
                    mean=mean,
                    distances=distances,
                    device=device,
                    keep=_kept(shown),
                )
            except InvertDescError as error:
                if name in given:
                    raise
                complain(f"left out {name}", error)
                continue
            rows += found
            wanted = ("everything", "around the hole")
            strips += [
                (f"{row.descriptor}, {row.method}, {row.knows}: NCC {row.ncc:.3f}", pictures)
                for row in found
                if row.knows in wanted and (pictures := shown[row.method, row.knows])
            ]
    records = [asdict(row) for row in rows]
    typer.echo(json.dumps(records, indent=2) if as_json else format_table(rows))
    for path in output or []:
        save_table(rows, path)
    if sheet is not None:
        write_image(contact_sheet(strips), sheet)


def _methods(
    names: list[str],
    asked: list[str],
    adapter: Descriptor,
    options: list[str] | None,
    unfolding: Path | None,
) -> list[Method]:
    """Make methods; one that a wildcard brought and that does not serve the descriptor is left out.

    Raises:
        InvertDescError: One that was asked for by name cannot be made, or none is left.
    """
    made = []
    for name in names:
        try:
            made.append(make_method(name, options, unfolding, adapter))
        except InvertDescError as error:
            if name in asked:
                raise
            complain(f"left out {name}", error)
    if not made:
        raise InputError(f"Expected a method that serves {adapter.name!r}, found none.")
    return made


def _distances(vgg16: Path | None, lpips: bool) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    from invertdesc.evaluation.metrics import lpips_distance, vgg_distance
    from invertdesc.evaluation.vgg16 import load_vgg16

    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
    if vgg16 is not None:
        measures["vgg"] = vgg_distance(load_vgg16(vgg16))
    if lpips:
        measures["lpips"] = lpips_distance()
    return measures


def _kept(
    shown: dict[tuple[str, str], list[Tensor]],
) -> Callable[[str, str, Tensor], None]:
    def keep(method: str, knows: str, picture: Tensor) -> None:
        pictures = shown.setdefault((method, knows), [])
        if len(pictures) < SHEET:
            pictures.append(picture)

    return keep
