"""Draw result files of pytest-benchmark: time, and bytes a second where these are known.

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    found = json.loads(options.results.read_text())["benchmarks"]
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        groups.setdefault(one["group"], []).append(one)
    figure, axes = plt.subplots(
        len(groups),
        1,
        figsize=(9, 0.6 + 0.42 * len(found) + 0.9 * len(groups)),
        squeeze=False,
        height_ratios=[len(group) + 1 for group in groups.values()],
    )
    for axis, (title, group) in zip(axes[:, 0], groups.items(), strict=True):
        group.sort(key=lambda one: one["stats"]["median"])
        names = [
            one["name"].removeprefix("test_").split("[")[-1].split("-")[0].rstrip("]")
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
            if size:
                label += f", {size / median / 1e6:.2f} GB/s"
            labels.append(label)
        axis.bar_label(bars, labels, padding=4, fontsize=8)
        axis.set_xscale("log")
        axis.set_xlim(min(medians) / 2, max(medians) * 30)
        axis.invert_yaxis()
        axis.set_title(title, fontsize=10, loc="left")
        ceiling = [one for one in group if "write_ceiling" in one["name"]]
        for one in ceiling:
            axis.axvline(1000 * one["stats"]["median"], color="#b03030", linewidth=1)
        axis.tick_params(labelsize=8)
    machine = found[0]["extra_info"]
    figure.suptitle(
        ", ".join(str(machine[key]) for key in ("cpu", "gpu", "torch") if machine.get(key)),
        fontsize=9,
    )
    figure.tight_layout()
    figure.savefig(options.output, dpi=110)


if __name__ == "__main__":
    main()
