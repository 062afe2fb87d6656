"""Tables of what was measured, as text and as files."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, fields

from invertdesc._files import atomic_write
from invertdesc.errors import InputError
from invertdesc.evaluation.evaluate import Row

OF_FEATURES = ("images", "keypoints", "collisions_2", "collisions_4", "extract_ms")


def format_table(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table, and above it a line on the features of each folder."""
    names = [field.name for field in fields(Row) if field.name not in OF_FEATURES]
    names = [name for name in names if any(getattr(row, name) is not None for row in rows)]
    digits = {"psnr": 2, "reconstruct_ms": 1, "peak_mib": 1}
    heads = {
        f"{row.data}, {row.descriptor}: images {row.images}, keypoints an image "
        f"{row.keypoints:.0f}, extracted in {row.extract_ms:.0f} ms": None
        for row in rows
    }
    lines = [names]
    for row in rows:
        values = [(name, getattr(row, name)) for name in names]
        lines.append(
            [v if isinstance(v, str) else f"{v or 0:.{digits.get(n, 3)}f}" for n, v in values]
        )
    return "\n".join([*heads, "", layout_table(lines)])


def layout_table(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells, starting with the head, as a Markdown table."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def save_table(rows: Sequence[Row], path: str | os.PathLike[str]) -> None:
    """Write rows atomically as .csv or .json, chosen by the suffix.

    Raises:
        InputError: The suffix is another one.
        FileError: The file cannot be written.
    """
    records = [asdict(row) for row in rows]
    if table_format(path) == ".json":
        text = json.dumps(records, indent=2) + "\n"
    else:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        text = buffer.getvalue()
    with atomic_write(path) as file:
        file.write(text.encode())


def table_format(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a table's file, `".csv"` or `".json"`.

    Raises:
        InputError: The suffix is another one.
    """
    kind = os.path.splitext(path)[1]  # noqa: PTH122
    if kind not in (".csv", ".json"):
        raise InputError(f"Expected a table's suffix .csv or .json, got {os.fspath(path)!r}.")
    return kind
