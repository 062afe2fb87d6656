"""`invertdesc evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invertdesc.cli.options import (
    DescriptorOptions,
    Device,
    Gray,
    Images,
    MethodName,
    MethodOptions,
    UnfoldingFile,
    make_descriptor,
    make_method,
)
from invertdesc.cli.sources import find_sources, spread
from invertdesc.errors import InvertDescError

if TYPE_CHECKING:
    from torch import Tensor

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
    method: MethodName = "unfold",
    method_option: MethodOptions = None,
    unfolding: UnfoldingFile = None,
    images: Images = None,
    floors: Annotated[bool, typer.Option(help="Add what the measures give for nothing.")] = True,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Table as .csv or .json. Repeatable."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Contact sheet of the first eight images, as an image file.")
    ] = None,
    device: Device = None,
) -> None:
    """Measure a method on folders of images, beside its floors, and print the table.

    **Examples**

        invertdesc evaluate --data photos/

        invertdesc evaluate --data faces/ --data photos/ --images 100 -d '*' --sheet sheet.png
    """
    from tqdm import tqdm

    from invertdesc.descriptors import list_descriptors
    from invertdesc.drawing import contact_sheet
    from invertdesc.evaluation.evaluate import evaluate as measure
    from invertdesc.evaluation.evaluate import format_table, save_table
    from invertdesc.image import read_image, write_image

    given = descriptor or ["sift"]
    names = [name for one in given for name in list_descriptors(one) or [one]]
    rows, strips = [], []
    for folder in data:
        paths = spread(find_sources([str(folder)]), images)
        title = "/".join(folder.resolve().parts[-2:])
        strips.append((f"{title}: original", [read_image(path) for path in paths[:SHEET]]))
        for name in names:
            shown: list[Tensor] = []
            try:
                found = measure(
                    tqdm(paths, desc=f"{title}, {name}", unit="image", disable=None),
                    descriptor=make_descriptor(name, descriptor_option, gray),
                    method=make_method(method, method_option, unfolding),
                    data=title,
                    floors=floors,
                    device=device,
                    keep=_kept(shown),
                )
            except InvertDescError as error:
                if name in given:
                    raise
                typer.echo(f"left out {name}: {error}", err=True)
                continue
            rows += found
            strips.append((f"{name}, {found[0].method}: NCC {found[0].ncc:.3f}", shown))
    typer.echo(format_table(rows))
    for path in output or []:
        save_table(rows, path)
    if sheet is not None:
        write_image(contact_sheet(strips), sheet)


def _kept(shown: list[Tensor]) -> Callable[[str, Tensor], None]:
    def keep(knows: str, picture: Tensor) -> None:
        if knows == "everything" and len(shown) < SHEET:
            shown.append(picture)

    return keep
