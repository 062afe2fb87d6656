"""
A view from where nobody stood
==============================

A map has cameras, points and descriptors, and no pictures. This example takes pictures of the
corner of a room, keeps only the map, and looks at the room from above and between the cameras.
"""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from scipy.ndimage import map_coordinates
from skimage import data

from invertdesc import Camera, Pose, ViewOptions, extract, open_map, reconstruct

# %%
# The room has a floor, two walls and a screen. Each is a rectangle with a corner, two sides and a
# picture. x points to the right, y down and z ahead. Rays are cast to make pictures of it.

floor = np.stack([data.brick()] * 3, 2)
surfaces = [
    ((-2, -1.4, 1.5), (4, 0, 0), (0, 2.4, 0), data.coffee()),
    ((-2, -1.4, -1.5), (0, 0, 3), (0, 2.4, 0), data.chelsea()),
    ((-2, 1, 1.5), (4, 0, 0), (0, 0, -3), floor),
    ((0.1, -0.4, 0.3), (1.4, 0, 0), (0, 1.4, 0), data.astronaut()),
]
camera = Camera.pinhole((360, 480), focal=400.0)
FAR = 50.0  # what rays that hit nothing end at


def cast(pose, pixels):
    """Return where rays through pixels (n, 2) end (n, 3), and the colours there (n, 3)."""
    rays = np.c_[camera.unproject(pixels), np.ones(len(pixels))] @ pose.rotation
    depth, colors = np.full(len(rays), FAR), np.full((len(rays), 3), 0.7)
    for corner, right, down, picture in surfaces:
        # corner + u right + v down = centre + far ray
        across = np.cross(right, down)
        far = (corner - pose.centre) @ across / (rays @ across)
        inside = pose.centre + far[:, None] * rays - corner
        u, v = inside @ right / np.dot(right, right), inside @ down / np.dot(down, down)
        hit = (far > 0) & (far < depth) & (np.abs(u - 0.5) < 0.5) & (np.abs(v - 0.5) < 0.5)
        depth[hit] = far[hit]
        where = np.stack([v[hit], u[hit]]) * (np.array([picture.shape[:2]]).T - 1)
        for channel in range(3):
            plane = picture[..., channel] / 255
            colors[hit, channel] = map_coordinates(plane, where, order=1)
    return pose.centre + depth[:, None] * rays, colors


def photograph(pose):
    rows, columns = np.mgrid[:360, :480]
    _, colors = cast(pose, np.stack([columns.ravel(), rows.ravel()], 1).astype(float))
    return colors.reshape(360, 480, 3)


turns = np.radians([-25, -13, -1, 11, 23, 35])
poses = [
    Pose.look_at((3.4 * np.sin(t), -0.5, 0.2 - 3.4 * np.cos(t)), (0, -0.1, 0.6)) for t in turns
]
photos = [photograph(pose) for pose in poses]
features = [extract(photo, descriptor="sift") for photo in photos]

# %%
# Structure from motion finds out which keypoints show the same point. Here the room is known:
# keypoints of one place and of about one size are one point.

found_at = {}  # place and size, rounded: {image: keypoint}
for image, (pose, found) in enumerate(zip(poses, features, strict=True)):
    place, _ = cast(pose, found.keypoints.double().numpy())
    size = found.scales.numpy() * pose.apply(place)[:, 2]
    fine = np.flatnonzero(np.abs(place).max(1) < 3)
    keys = np.c_[place[fine] / 0.025, np.log(size[fine]) / 0.7].round().astype(int)
    for keypoint, key in zip(fine, map(tuple, keys), strict=True):
        found_at.setdefault(key, {}).setdefault(image, int(keypoint))
tracks = [track for track in found_at.values() if len(track) > 1]
print(len(tracks), "points of", sum(map(len, features)), "keypoints")

# %%
# The map is written as COLMAP writes its text files. The features lie beside it; a COLMAP
# ``database.db`` would do as well. No picture is stored.

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
model = folder / "sparse" / "0"
model.mkdir(parents=True)
shown = [np.full(len(found), -1) for found in features]
lines = []
for number, track in enumerate(tracks):
    image, keypoint = min(track.items())
    pixel = features[image].keypoints[keypoint : keypoint + 1].double().numpy()
    (place,), (color,) = cast(poses[image], pixel)
    seen = [f"{image + 1} {keypoint}" for image, keypoint in track.items()]
    words = [number, *place, *(255 * color).round().astype(int), 0.5, *seen]
    lines.append(" ".join(map(str, words)) + "\n")
    for image, keypoint in track.items():
        shown[image][keypoint] = number
(model / "points3D.txt").write_text("".join(lines))
(model / "cameras.txt").write_text("1 SIMPLE_PINHOLE 480 360 400 240 180\n")
lines = []
for image, (pose, found) in enumerate(zip(poses, features, strict=True)):
    name = f"{image}.jpg"
    found.save(folder / "features" / f"{name}.npz")
    words = [image + 1, *pose.quaternion, *pose.translation, 1, name]
    lines.append(" ".join(map(str, words)) + "\n")
    rows = np.c_[found.keypoints.numpy() + 0.5, shown[image]]
    lines.append(" ".join(f"{x} {y} {point:.0f}" for x, y, point in rows) + "\n")
(model / "images.txt").write_text("".join(lines))

# %%
# Open the map and look at it from a new place. ``view`` returns the features that a camera there
# would find; ``reconstruct`` makes a picture of them as of any others. The true picture is there
# for comparison only.

new = Pose.look_at((0.9, -1.3, -2.7), (0, 0.1, 0.6))
with open_map(folder, features=folder / "features") as found:
    seen = found.view(camera, new, options=ViewOptions(neighbours=3))
print(len(seen), "features")
made = reconstruct(seen)
uncolored = reconstruct(seen.without("colors"))

figure, axes = plt.subplots(2, 2, figsize=(9, 7))
pictures = {
    "the nearest picture that was taken": photos[4],
    "from the map, with the points' colours": made.permute(1, 2, 0),
    "from the map, descriptors alone": uncolored.permute(1, 2, 0),
    "truth: what nobody photographed": photograph(new),
}
for axis, (title, picture) in zip(axes.flat, pictures.items(), strict=True):
    axis.imshow(picture)
    axis.set_title(title, fontsize=10)
    axis.axis("off")
figure.tight_layout()
temporary.cleanup()
