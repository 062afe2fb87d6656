"""
All methods side by side
========================

Every method reconstructs the same two pictures from the same features. The number is the NCC of the
gray pictures: 1 means equal except for brightness and contrast.
"""

from matplotlib import pyplot as plt
from skimage import data

from invertdesc import create_method, extract, list_methods, reconstruct
from invertdesc.errors import InvertDescError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image, to_uint8

photos = [to_image(data.astronaut()[:256, 100:356]), to_image(data.coffee()[60:316, 160:416])]
features = extract(photos, descriptor="sift")


def fits(method):
    """Return whether a method can be used: some need another descriptor, some a database."""
    try:
        create_method(method, descriptor="sift")
    except InvertDescError:
        return False
    return True


QUICK = {  # slow methods, with fewer steps
    "gradient": {"steps": 40},
    "unfold+gradient": {"steps": 40},
    "maxent": {"steps": 20, "samples": 5},
}
names = list(filter(fits, list_methods()))
figure, axes = plt.subplots(2, len(names) + 1, figsize=(2.1 * (len(names) + 1), 4.8))
for row, photo in zip(axes, photos, strict=True):
    row[0].imshow(to_uint8(photo))
axes[0, 0].set_title("photograph", fontsize=10)
for number, name in enumerate(names, 1):
    pictures = reconstruct(features, method=create_method(name, **QUICK.get(name, {})))
    axes[0, number].set_title(name, fontsize=10)
    for axis, picture, photo in zip(axes[:, number], pictures, photos, strict=True):
        axis.imshow(to_uint8(picture))
        axis.text(6, 250, f"{ncc(to_gray(picture), to_gray(photo)):.2f}", color="w")
for axis in axes.flat:
    axis.axis("off")
figure.tight_layout()

# %%
# ``coarse``, ``coarse+cgan`` and ``upconv`` were trained only on faces, so the cup of coffee fails.
