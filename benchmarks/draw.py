"""Draw result files of pytest-benchmark: time, and bytes per second if known.

python benchmarks/draw.py benchmarks/results/placement-cpu.json -o placement.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

Measured = dict[str, Any]
CEILING = "write_ceiling"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    found = json.loads(options.results.read_text())["benchmarks"]
    groups: dict[str, list[Measured]] = {}
    for one in found:
        groups.setdefault(one["group"], []).append(one)
    curves = [curve for curve in _curves(found) if len({x for x, _ in curve[1]}) > 1]
    heights = [8.0] * len(curves) + [len(group) + 2.0 for group in groups.values()]
    figure = plt.figure(figsize=(10, 0.42 * sum(heights) + 0.6), layout="constrained")
    rows = iter(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    for title, points in curves:
        _draw_curves(next(rows), title, points)
    for title, group in groups.items():
        _draw_bars(next(rows).subplots(), title, group)
    machine = found[0]["extra_info"]
    figure.suptitle(
        ", ".join(str(machine[key]) for key in ("cpu", "gpu", "torch") if machine.get(key)),
        fontsize=9,
    )
    figure.savefig(options.output, dpi=110)


def _curves(found: list[Measured]) -> list[tuple[str, list[tuple[int, Measured]]]]:
    """Return titles, and the points to draw over batch size or over keypoints per image."""
    kinds = (("images", "keypoints", 300), ("keypoints", "images", 8))
    curves = []
    for device in ("cpu", "cuda"):
        for over, fixed, value in kinds:
            points = [
                (values[over], one)
                for one in found
                for values in [one["extra_info"]]
                if "contender" in values and values["device"] == device and values["size"] == 256
                if values.get("radius", 1) == 1 and values[fixed] == value
            ]
            curves.append((f"over {over} ({fixed}: {value}), 256 x 256, {device}", points))
    return curves


def _draw_curves(figure: Any, title: str, points: list[tuple[int, Measured]]) -> None:
    """Draw milliseconds per image and, if known, bytes per second."""
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(1, 2)
    contenders = dict.fromkeys(one["extra_info"]["contender"] for _, one in points)
    for number, name in enumerate(contenders):
        own = [(x, one) for x, one in points if one["extra_info"]["contender"] == name]
        own.sort(key=lambda point: point[0])
        xs = [x for x, _ in own]
        seconds = [one["stats"]["median"] for _, one in own]
        values = [one["extra_info"] for _, one in own]
        style = {"color": f"C{number}", "marker": "o"}
        if name == CEILING:
            style = {"color": "black", "linestyle": "--"}
        each = [1000 * s / t["images"] for s, t in zip(seconds, values, strict=True)]
        axes[0].plot(xs, each, label=name, **style)
        if "bytes" in values[0] and name != "placing_alone":  # writes no maps
            speed = [t["bytes"] / s / 1e9 for s, t in zip(seconds, values, strict=True)]
            axes[1].plot(xs, speed, label=name, **style)
    for axis, label in zip(axes, ("ms per image", "GB/s of maps"), strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xticks(sorted({x for x, _ in points}), minor=False)
        axis.xaxis.set_major_formatter("{x:.0f}")
        axis.minorticks_off()
        axis.set_ylabel(label, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.set_visible(bool(axis.lines))
    axes[0].legend(fontsize=7)


def _draw_bars(axis: Any, title: str, group: list[Measured]) -> None:
    """Draw all of one group, the fastest on top, with the write ceiling as a line."""
    group.sort(key=lambda one: one["stats"]["median"])
    names = [
        one["extra_info"].get("contender")
        or one["name"].removeprefix("test_").split("[")[-1].split("-")[0].rstrip("]")
        for one in group
    ]
    medians = [1000 * one["stats"]["median"] for one in group]
    spreads = [500 * one["stats"]["iqr"] for one in group]
    bars = axis.barh(names, medians, xerr=spreads, color="#4878a8", ecolor="#333333")
    labels = []
    for one, median in zip(group, medians, strict=True):
        size, images = (one["extra_info"].get(key) for key in ("bytes", "images"))
        label = f"{median:.3g} ms"
        if images:
            label += f", {1000 * images / median:,.0f} images/s"
        if size and one["extra_info"].get("contender") != "placing_alone":
            label += f", {size / median / 1e6:.2f} GB/s"
        labels.append(label)
        if one["extra_info"].get("contender") == CEILING:
            axis.axvline(median, color="black", linestyle="--", linewidth=1)
    axis.bar_label(bars, labels, padding=4, fontsize=8)
    axis.set_xscale("log")
    axis.set_xlim(min(medians) / 2, max(medians) * 30)
    axis.invert_yaxis()
    axis.set_title(title, fontsize=10, loc="left")
    axis.tick_params(labelsize=8)


if __name__ == "__main__":
    main()
