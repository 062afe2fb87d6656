"""`invertdesc evaluate`."""

import json
from pathlib import Path
from typing import Any

import typer

from invertdesc._text import parse_numbers
from invertdesc.cli.calling import call, descriptor_options, method_options
from invertdesc.cli.messages import complain


def evaluate(
    context: typer.Context,
    data: list[Path],
    descriptor: list[str] | None = None,
    method: list[str] | None = None,
    hole: str | None = None,
    vgg16: Path | None = None,
    lpips: bool = False,
    output: list[Path] | None = None,
    as_json: bool = False,
    sheet: Path | None = None,
    **_: Any,
) -> None:
    """Measure methods on folders of images, beside the floors, and print the table.

    Examples:
        invertdesc evaluate --data photos/
        invertdesc evaluate --data faces/ --data photos/ --images 100 -d '*' --sheet sheet.png
        invertdesc evaluate --data faces/ -m '*' --vgg16 vgg16.safetensors --hole 80,80,176,176
    """
    from invertdesc.evaluation.distances import load_distances
    from invertdesc.evaluation.folders import evaluate_folders
    from invertdesc.evaluation.tables import table_format
    from invertdesc.image import image_format

    for path in output or ():
        table_format(path)  # before the work, which would be lost
    if sheet is not None:
        image_format(sheet)
    table = call(
        context,
        evaluate_folders,
        folders=data,
        descriptors=descriptor or ["sift"],
        methods=method or ["unfold"],
        hole=parse_numbers(hole, 4, ",", "a box X0,Y0,X1,Y1 in whole pixels"),
        distances=load_distances(vgg16, lpips=lpips),
        descriptor_options=descriptor_options(context),
        method_options=method_options(context),
        on_left_out=lambda name, error: complain(f"left out {name}", error),
    )
    typer.echo(json.dumps(table.as_json(), indent=2) if as_json else table)
    for path in output or ():
        table.save(path)
    if sheet is not None:
        table.save_sheet(sheet)
