"""Print the tables of the docs from what `steps.py` measured.

    python benchmarks/steps_tables.py benchmarks/results/steps.json

The first two are for `docs/performance.md`, accuracy and by descriptor, the last for
`docs/methods.md`. A test compares them with these pages.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

Results: TypeAlias = Mapping[tuple[str, str, str, str], Mapping[str, Any]]

METHODS = ("unfold+gradient", "backprojection", "auto", "unfold", "poisson")
DATA = ("faces", "photos")
COMPARED = ("poisson", "unfold", "backprojection")


def read_results(path: Path) -> Results:
    """Return lines by data, descriptor, gray and method."""
    lines = json.loads(path.read_text())
    return {(one["data"], one["descriptor"], one["gray"], one["method"]): one for one in lines}


def accuracy(results: Results, gray: str) -> str:
    """Return the table of SIFT in one gray, one method a row."""
    head = "method | faces | NCC | SSIM | PSNR | photographs | NCC | SSIM | PSNR"
    rows = [
        " | ".join(
            [f"`{method}`"] + [_figures(results[data, "sift", gray, method]) for data in DATA]
        )
        for method in METHODS
        if all((data, "sift", gray, method) in results for data in DATA)
    ]
    return _table(head, rows)


def by_descriptor(results: Results, data: str) -> str:
    """Return the table of all descriptors with gamma gray on one kind of pictures."""
    ways = " | ".join(f"`{name}`" for name in COMPARED)
    head = f"descriptor | N | NCC: {ways} | SSIM: {ways}"
    rows = []
    for name in _descriptors(results):
        found = [results[data, name, "gamma", method] for method in COMPARED]
        least = min(one["images"] for one in found)
        cells = [f"`{name}`", f"{least:,}", *map(_ncc, found)]
        rows.append(" | ".join(cells + [f"{one['ssim']:.2f}" for one in found]))
    return _table(head, rows)


def gains(results: Results) -> str:
    """Return the table of what back-projection adds to `unfold`, with gamma gray."""
    parts = (
        f"{data}: `unfold` | `backprojection` | gain in NCC | in SSIM"
        for data in ("faces", "photographs")
    )
    head = " | ".join(["descriptor", *parts])
    rows = []
    for name in _descriptors(results):
        cells = [f"`{name}`"]
        for data in DATA:
            start, end = (results[data, name, "gamma", one] for one in COMPARED[1:])
            cells += [_means(start), _means(end), f"{end['gain']:+.3f} ± {end['error']:.3f}"]
            cells.append(f"{end['ssim'] - start['ssim']:+.3f}")
        rows.append(" | ".join(cells))
    return _table(head, rows)


def _descriptors(results: Results) -> list[str]:
    """Return the descriptors with all compared methods, the closest on faces first."""
    names = {key[1] for key in results}
    whole = [
        name
        for name in names
        if all((data, name, "gamma", one) in results for data in DATA for one in COMPARED)
    ]
    ncc = {name: results["faces", name, "gamma", "backprojection"]["ncc"] for name in whole}
    return sorted(whole, key=lambda name: (-round(ncc[name], 3), name))


def _figures(line: Mapping[str, Any]) -> str:
    return f"{line['images']:,} | {_ncc(line)} | {line['ssim']:.3f} | {line['psnr']:.1f}"


def _ncc(line: Mapping[str, Any]) -> str:
    return f"{line['ncc']:.3f} ± {line['ncc_error']:.3f}"


def _means(line: Mapping[str, Any]) -> str:
    return f"{line['ncc']:.3f}, {line['ssim']:.3f}, {line['psnr']:.1f}"


def _table(head: str, rows: Sequence[str]) -> str:
    line = " | ".join("---" for _ in head.split(" | "))
    return "\n".join(f"| {row} |" for row in (head, line, *rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    results = read_results(parser.parse_args().results)
    tables = [accuracy(results, gray) for gray in ("gamma", "luma")]
    tables += [by_descriptor(results, data) for data in DATA] + [gains(results)]
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
