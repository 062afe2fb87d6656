"""
Train a small model
===================

This example trains a tiny network on a few pictures for 60 steps, only to show how it works. For
real training see the guide "Train on your own pictures".
"""

import tempfile
from pathlib import Path

from matplotlib import pyplot as plt
from PIL import Image
from skimage import data

from invertdesc import create_method, reconstruct, train
from invertdesc.image import to_image, to_uint8
from invertdesc.methods.networks.unet import UNetConfig
from invertdesc.methods.recipe import TrainConfig

folder = Path(tempfile.mkdtemp())
for name in ("coffee", "chelsea", "rocket"):
    picture = getattr(data, name)()
    for number in range(6):
        y, x = 20 * number, 40 * number
        Image.fromarray(picture[y : y + 192, x : x + 192]).save(folder / f"{name}-{number}.png")

# %%
# Features are extracted once. Batches are then chosen, mirrored and thinned out at random.

config = TrainConfig(network=UNetConfig(width=6, depth=3), crop=128, steps=60, rate=1e-2)
weights = train(sorted(folder.iterdir()), folder / "run", config, held_out=2, workers=0)
print(weights.name, weights.stat().st_size, "bytes")

# %%
# The weights are used like those of the package.

photo = to_image(data.astronaut()[:256, 100:356])
figure, axes = plt.subplots(1, 3, figsize=(9, 3.3))
panels = {
    "photograph": photo,
    "60 steps": reconstruct(photo, method=create_method("unfold", weights=weights)),
    "the shipped weights": reconstruct(photo),
}
for axis, (title, image) in zip(axes, panels.items(), strict=True):
    axis.imshow(to_uint8(image))
    axis.set_title(title)
    axis.axis("off")
figure.tight_layout()
