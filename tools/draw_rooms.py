"""Draw the rooms of the package and their imports: docs/images/rooms.png.

Arrows that follow from others are left out, and those to the foundation. Red arrows point upwards.

python tools/draw_rooms.py
"""

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch

import invertdesc

PACKAGE = Path(invertdesc.__file__).parent
TARGET = PACKAGE.parent / "docs" / "images" / "rooms.png"
FOUNDATION = "foundation"  # the other modules of the top level
VERBS = ("api", "_inputs", "display", "recovery")  # verbs of the top level, and what they take


def room_of(module: str) -> str:
    """Return the room of a module, given without `invertdesc.`."""
    first = module.partition(".")[0]
    if first in VERBS:
        return VERBS[0]
    return first if (PACKAGE / first).is_dir() else FOUNDATION


def read() -> tuple[dict[str, int], dict[str, set[str]]]:
    """Return the lines of each room, and the rooms that it imports, also in functions."""
    lines: dict[str, int] = defaultdict(int)
    arrows: dict[str, set[str]] = defaultdict(set)
    for file in sorted(PACKAGE.rglob("*.py")):
        inside = file.relative_to(PACKAGE)
        if inside.name.startswith("__") and len(inside.parts) == 1:
            continue
        room = room_of(inside.parts[0].removesuffix(".py"))
        text = file.read_text(encoding="utf-8")
        lines[room] += len(text.splitlines())
        for module in _imported(ast.parse(text)):
            if room_of(module) != room:
                arrows[room].add(room_of(module))
    return lines, arrows


def _imported(node: ast.AST) -> set[str]:
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and child.module and child.module != "invertdesc":
            if child.module.startswith("invertdesc."):
                found.add(child.module.removeprefix("invertdesc."))
        elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            found |= _imported(child)
    return found


def floors(imports: dict[str, set[str]]) -> dict[str, int]:
    """Return the level of each room: above all that it imports, if there is no circle."""
    arrows = {room: sorted(others) for room, others in sorted(imports.items())}
    while True:
        try:
            order = list(TopologicalSorter(arrows).static_order())
            break
        except CycleError as error:
            later, earlier = error.args[1][:2]
            arrows[earlier].remove(later)
    height: dict[str, int] = {}
    for room in order:
        height[room] = 1 + max((height[other] for other in arrows.get(room, ())), default=-1)
    return height


def needed(arrows: dict[str, set[str]], height: dict[str, int]) -> list[tuple[str, str]]:
    """Return the arrows that do not follow from others, and all that point upwards."""

    def reaches(room: str, target: str) -> bool:
        below = [other for other in arrows.get(room, ()) if height[other] < height[room]]
        return target in below or any(reaches(other, target) for other in below)

    found = []
    for room, others in arrows.items():
        for target in others - {FOUNDATION}:
            falls = height[target] < height[room]
            between = (other for other in others - {target} if height[other] < height[room])
            if not (falls and any(reaches(other, target) for other in between)):
                found.append((room, target))
    return sorted(found)


def _spread(count: int) -> list[float]:
    return [(number + 1) / (count + 1) * 10 for number in range(count)]


def main() -> None:
    lines, arrows = read()
    height = floors(arrows)
    rows: dict[int, list[str]] = defaultdict(list)
    for room in sorted(lines):
        rows[height.get(room, 0)].append(room)
    place = {
        # Single rooms of a level are moved to alternating sides, to keep arrows visible.
        room: (5 + (floor % 3 - 1) * 1.6 if len(row) == 1 else spread, floor * 1.3)
        for floor, row in rows.items()
        for room, spread in zip(row, _spread(len(row)), strict=True)
    }
    figure, axes = plt.subplots(figsize=(9, 0.95 * len(rows) + 0.6))
    boxes = {}
    for room, (x, y) in place.items():
        boxes[room] = axes.text(
            x,
            y,
            f"{room}\n{lines[room]:,} lines",
            ha="center",
            va="center",
            fontsize=10,
            zorder=2,
            bbox={"boxstyle": "round,pad=0.45", "facecolor": "#eef3f8", "edgecolor": "#44607c"},
        )
    axes.set(xlim=(0, 10), ylim=(-0.8, max(y for _, y in place.values()) + 0.8))
    axes.axis("off")
    figure.tight_layout()
    figure.canvas.draw()  # computes the sizes of boxes
    for room, other in needed(arrows, height):
        axes.add_patch(
            FancyArrowPatch(
                place[room],
                place[other],
                arrowstyle="-|>",
                mutation_scale=12,
                patchA=boxes[room].get_bbox_patch(),
                patchB=boxes[other].get_bbox_patch(),
                shrinkA=0,
                shrinkB=0,
                linewidth=1.0,
                color="tab:red" if height[other] >= height[room] else "#7d8b99",
                connectionstyle="arc3,rad=0.08",
                zorder=1,
            )
        )
    figure.savefig(TARGET, dpi=110)
    print(f"Wrote {TARGET}.")


if __name__ == "__main__":
    main()
