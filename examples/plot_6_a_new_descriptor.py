"""
Your own descriptor in 30 lines
===============================

Define how the descriptor is computed and fit its unfolding on a few pictures. Then every method
that uses the field can invert it. This descriptor has only 8 x 8 signs: is a pixel of the blurred
patch brighter than the mean of the patch?
"""

import torch
from matplotlib import pyplot as plt
from skimage import data
from skimage.filters import gaussian

from invertdesc import (
    Frame,
    LocalFeatures,
    extract,
    fit_unfolding,
    reconstruct,
    register_descriptor,
)
from invertdesc.image import to_gray, to_image, to_uint8


@register_descriptor("signs")
class Signs:
    name = "signs"
    dim = 64
    frame = Frame(support=24.0, scaled=False, rotated=False)
    unfolding = None

    def extract(self, image):
        found = extract(image, descriptor="orb").without("orientations", "scales")
        gray = torch.from_numpy(gaussian(to_gray(image).numpy(), 1.5, mode="nearest"))
        steps = (torch.arange(8) - 3.5) * 3
        x, y = (found.keypoints[:, n, None, None] for n in (0, 1))
        rows = (y + steps[:, None]).round().long().clamp(0, gray.shape[0] - 1)
        columns = (x + steps).round().long().clamp(0, gray.shape[1] - 1)
        patches = gray[rows, columns].flatten(1)
        signs = (patches > patches.mean(1, keepdim=True)).float()
        return LocalFeatures(
            keypoints=found.keypoints,
            descriptors=signs,
            image_size=found.image_size,
            descriptor=self.name,
        )

    def encode(self, raw):
        return raw * 2 - 1


# %%
# Fit on other pictures than the attacked one.

signs = Signs()
signs.unfolding = fit_unfolding(signs, [data.coffee(), data.chelsea(), data.rocket()])

photo = to_image(data.astronaut()[:256, 100:356])
features = extract(photo, descriptor=signs)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.3))
panels = {"photograph": photo}
for name in ("poisson", "unfold"):
    panels[name] = reconstruct(features, descriptor=signs, method=name)
for axis, (title, image) in zip(axes, panels.items(), strict=True):
    axis.imshow(to_uint8(image))
    axis.set_title(title)
    axis.axis("off")
figure.tight_layout()
