"""
A first reconstruction
======================

A photograph, its keypoints, and the picture reconstructed from their descriptors.
"""

from matplotlib import pyplot as plt
from skimage import data

from invertdesc import extract, reconstruct
from invertdesc.drawing import draw_keypoints
from invertdesc.image import to_image, to_uint8

photo = to_image(data.astronaut()[:256, 100:356])

# %%
# An app would store this: positions, scales, orientations and 128 numbers per keypoint. No pixels.

features = extract(photo, descriptor="sift")
print(features)

# %%
# The picture is reconstructed from these features alone.

picture = reconstruct(features)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.3))
panels = {
    "photograph": photo,
    f"{len(features)} keypoints": draw_keypoints(features),
    "reconstruction": picture,
}
for axis, (title, image) in zip(axes, panels.items(), strict=True):
    axis.imshow(to_uint8(image))
    axis.set_title(title)
    axis.axis("off")
figure.tight_layout()
