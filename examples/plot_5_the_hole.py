"""
A face left out
===============

All keypoints of a face are removed before publication (figure 7 of Wu et al. 2019). The keypoints
around it still reveal something: large ones reach inside, and a network guesses the rest.
"""

from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle
from skimage import data

from invertdesc import extract, reconstruct
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image, to_uint8

photo = to_image(data.astronaut()[:256, 100:356])
box = (84, 62, 170, 168)  # x0, y0, x1, y1
features = extract(photo, descriptor="sift")
around = features.outside(box)
print(len(features), "keypoints,", len(around), "around the face")

# %%
# NCC is measured only inside the box.

x0, y0, x1, y1 = box
panels = {"photograph": photo}
for name in ("poisson", "unfold"):
    panels |= {
        f"{name}, all": reconstruct(features, method=name),
        f"{name}, around": reconstruct(around, method=name),
    }
figure, axes = plt.subplots(1, 5, figsize=(13, 3.1))
for axis, (title, image) in zip(axes, panels.items(), strict=True):
    inside = (to_gray(one)[y0:y1, x0:x1] for one in (image, photo))
    axis.imshow(to_uint8(image))
    axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, color="red"))
    axis.set_title(f"{title}\nNCC inside {ncc(*inside):.2f}", fontsize=10)
    axis.axis("off")
figure.tight_layout()
