"""
A COLMAP database
=================

COLMAP and hloc store a map as ``database.db``, with keypoints and descriptors and no pictures. This
example writes a small one, reconstructs its pictures, and audits it: what does it give away, and
what would a defence buy? You can read your own database with the same lines.
"""

import sqlite3
import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from skimage import data

from invertdesc import audit, extract, inspect_store, reconstruct_store

photos = {
    "north/0001.jpg": data.astronaut()[:256, 100:356],
    "north/0002.jpg": data.coffee()[60:316, 160:416],
    "south/0001.jpg": data.chelsea()[20:276, 90:346],
}

# %%
# COLMAP writes for each image: the size of its camera; x, y and an affine shape of each keypoint,
# relative to the corner of the first pixel; 128 bytes of RootSIFT.

TABLES = """
CREATE TABLE cameras (camera_id INTEGER PRIMARY KEY, model INTEGER, width INTEGER, height INTEGER,
    params BLOB, prior_focal_length INTEGER);
CREATE TABLE images (image_id INTEGER PRIMARY KEY, name TEXT, camera_id INTEGER);
CREATE TABLE keypoints (image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);
CREATE TABLE descriptors (image_id INTEGER PRIMARY KEY, rows INTEGER, cols INTEGER, data BLOB);
"""


def write_database(path):
    database = sqlite3.connect(path)
    database.executescript(TABLES)
    for number, (name, photo) in enumerate(photos.items(), 1):
        found = extract(photo, descriptor="rootsift")
        height, width = found.image_size
        x, y = (found.keypoints + 0.5).T.numpy()
        scale, angle = found.scales.numpy(), found.orientations.numpy()
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        points = np.stack([x, y, c, -s, s, c], 1).astype("<f4")
        vectors = (512 * found.descriptors.numpy()).round().clip(0, 255).astype(np.uint8)
        camera = (number, 0, width, height, b"", 0)
        database.execute("INSERT INTO cameras VALUES (?, ?, ?, ?, ?, ?)", camera)
        database.execute("INSERT INTO images VALUES (?, ?, ?)", (number, name, number))
        for table, rows in (("keypoints", points), ("descriptors", vectors)):
            row = (number, *rows.shape, rows.tobytes())
            database.execute(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", row)
    database.commit()
    database.close()


temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
place = folder / "database.db"
write_database(place)

# %%
# Inspect the content of the database, and what was decided about it: the database does not contain
# the name RootSIFT. ``invertdesc inspect database.db`` prints the same.

found = inspect_store(place)
print(found.images, "images,", found.keypoints, "keypoints,", found.description.descriptor)
print(found.description.normalisation)

# %%
# Reconstruct all its pictures to a folder. An interrupted run can be resumed. On the command line:
# ``invertdesc reconstruct database.db -o pictures/``.

summary = reconstruct_store(place, folder / "pictures")
print(summary.made, "pictures in", round(summary.seconds, 1), "s")

figure, axes = plt.subplots(2, len(photos), figsize=(9, 6.4))
for (above, below), (name, photo) in zip(axes.T, photos.items(), strict=True):
    above.imshow(photo)
    above.set_title(f"{name}, never stored", fontsize=10)
    below.imshow(plt.imread((folder / "pictures" / name).with_suffix(".png")))
    below.set_title("from rows of the database", fontsize=10)
for axis in axes.flat:
    axis.axis("off")
figure.tight_layout()

# %%
# Audit it before it is published. The owner has the photographs, so the reconstructions are
# compared with them. On the command line:
# ``invertdesc audit database.db --originals photos/ -o report.html``.

for name, photo in photos.items():
    (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
    plt.imsave(folder / "photos" / name, photo)
found = audit(place, originals=folder / "photos")
for row in found.rows:
    print(f"{row.title:40} {row.scores.ncc or 0:5.2f}  {row.attack or ''}")

# %%
# The report is one HTML file. A notebook shows it, too, as this page does.

found.save(folder / "report.html", source="database.db")
temporary.cleanup()
found  # noqa: B018
