"""Draw the picture that README begins with: what three kinds of stored features give away.

    python tools/draw_front.py docs/images/front.jpg

All photographs are scikit-image's. The room and its map are those of the gallery's example 9.
"""

import runpy
import sys
from pathlib import Path

import matplotlib as mpl
import torch
from skimage import data

from invertdesc import draw_keypoints, extract, reconstruct, write_image
from invertdesc.drawing import contact_sheet
from invertdesc.image import shrink_image, to_image

EXAMPLES = Path(__file__).parents[1] / "examples"
SIDE = 300  # pixels of a panel's longer side


def main(target: str) -> None:
    """Make the features, reconstruct them, and write the sheet."""
    mpl.use("Agg")
    room = runpy.run_path(str(EXAMPLES / "plot_9_a_view_of_a_map.py"))
    truth = torch.from_numpy(room["photograph"](room["new"])).permute(2, 0, 1).float()
    rows = [
        ("A person: SIFT features", data.astronaut(), extract(data.astronaut())),
        (
            "An image in a COLMAP database: RootSIFT features",
            data.coffee()[:, 40:560],
            extract(data.coffee()[:, 40:560], descriptor="rootsift"),
        ),
        ("A map, seen from where nobody took a picture", truth.clamp(0, 1), room["seen"]),
    ]
    sheet = []
    for title, photo, found in rows:
        panels = [to_image(photo), draw_keypoints(found), reconstruct(found)]
        sheet.append((title, [shrink_image(panel, SIDE) for panel in panels]))
    write_image(contact_sheet(sheet), target)


if __name__ == "__main__":
    main(*sys.argv[1:])
