"""What commands on many images say of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from invertdesc._text import one_line, printable
from invertdesc.cli.messages import complain
from invertdesc.cli.sources import BAD_INPUT

if TYPE_CHECKING:
    from invertdesc.bulk import Outcome, Summary


def complain_of(outcome: Outcome) -> None:
    """Print the error of an image that failed, above the bar where there is one."""
    from tqdm import tqdm

    if outcome.error is not None:
        tqdm.write(f"error: {one_line(outcome.error)}", file=sys.stderr)


def report_files(summary: Summary, plan: Mapping[Path, Path]) -> None:
    """Say what was written, and end with a status for bad input where some failed."""
    _complain_of_gone(summary)
    if summary.made:
        targets = list(plan.values())
        folder = os.path.commonpath([target.parent for target in targets]) or "."
        what = targets[0] if len(plan) == 1 else f"{summary.made} files to {folder}"
        typer.echo(f"Wrote {printable(what)}.")
    _end(summary)


def report_store(summary: Summary, out: Path) -> None:
    """Say what became of a store's images, and end with a status as `report_files` does."""
    _complain_of_gone(summary)
    counts = {
        "were there already": summary.there,
        "have no keypoints": summary.empty,
        "failed": summary.failed,
        "are gone": summary.gone,
    }
    rest = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    typer.echo(
        f"Wrote {summary.made} of {summary.total} pictures to {printable(out)}."
        + (f" {rest}." if rest else "")
    )
    if summary.made:
        speed = f"{summary.made / summary.seconds:.1f} images/s in {summary.seconds:.1f} s"
        typer.echo(f"{speed}, {_where_time_went(summary)}.")
    _end(summary)


def _where_time_went(summary: Summary) -> str:
    if summary.workers:
        return f"by {summary.workers} actors"
    total = max(summary.reading + summary.making + summary.writing, 1e-9)
    return (
        f"{summary.reading / total:.0%} waiting for reading, {summary.making / total:.0%} making, "
        f"{summary.writing / total:.0%} waiting for writing"
    )


def _complain_of_gone(summary: Summary) -> None:
    if summary.gone:
        complain(
            "error",
            f"Expected {summary.made + summary.gone} files to stay where they were written, "
            f"{summary.gone} are gone, the first {summary.first_gone}. Was the folder deleted or "
            "moved meanwhile? Run it again.",
        )


def _end(summary: Summary) -> None:
    if not summary.complete:
        raise typer.Exit(BAD_INPUT)
