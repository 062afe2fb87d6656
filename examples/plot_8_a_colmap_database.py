"""
A COLMAP database
=================

A map of a place, as COLMAP and hloc keep it: ``database.db``, with keypoints and descriptors and no
picture. Here a small one, written by hand; ``open_store`` reads yours in the same way.
"""

import sqlite3
import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from skimage import data

from invertdesc import extract, open_store, reconstruct
from invertdesc.image import to_uint8

photos = {
    "north/0001.jpg": data.astronaut()[:256, 100:356],
    "north/0002.jpg": data.coffee()[60:316, 160:416],
    "south/0001.jpg": data.chelsea()[20:276, 90:346],
}

# %%
# What COLMAP writes of an image: its camera's size; x, y and an affine shape of each keypoint, from
# the corner of the first pixel; 128 bytes of RootSIFT.

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


folder = tempfile.TemporaryDirectory()
place = Path(folder.name, "database.db")
write_database(place)

# %%
# What is in it, and what was decided about it: nowhere does it say RootSIFT. This is what
# ``invertdesc inspect database.db`` prints.

store = open_store(place)
told = store.description
for line in (told.kind, told.descriptor, told.normalisation, told.positions):
    print(line)

# %%
# Image by image, the pictures. ``invertdesc reconstruct database.db -o out/`` writes them to files.

figure, axes = plt.subplots(2, len(photos), figsize=(9, 6.4))
with store:
    for (above, below), (name, features) in zip(axes.T, store, strict=True):
        above.imshow(photos[name])
        above.set_title(f"{name}, never stored", fontsize=10)
        below.imshow(to_uint8(reconstruct(features)))
        below.set_title(f"from {len(features)} rows of the database", fontsize=10)
for axis in axes.flat:
    axis.axis("off")
figure.tight_layout()
folder.cleanup()
