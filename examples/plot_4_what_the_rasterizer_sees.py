"""
What the rasterizers see
========================

Keypoints are converted to maps in two ways: whole vectors are written into cells, as in Wu et al.
2019, or vectors are unfolded into the gradient field of the picture.
"""

from matplotlib import pyplot as plt
from skimage import data

from invertdesc import CellRasterizer, FeatureBatch, FieldRasterizer, extract
from invertdesc.image import to_image

photo = to_image(data.astronaut()[:256, 100:356])
batch = FeatureBatch.collate([extract(photo, descriptor="sift")])

# %%
# Cells of 4 x 4 pixels: most are empty, and they contain neither scale nor orientation of
# keypoints.

maps = CellRasterizer(4)(batch)
print(maps.values.shape, "moved:", int(maps.moved), "dropped:", int(maps.dropped))

# %%
# The field: coverage (how fine the finest keypoint is), gradients to the right and downwards, and
# the picture with these gradients.

field = FieldRasterizer(stride=1)(batch)
picture, coverage = field.picture[0, 0], field.coverage[0, 0]
gx, gy = field.gradients[0]

figure, axes = plt.subplots(1, 5, figsize=(13, 3))
panels = {
    "vectors in cells (length)": (maps.values[0].norm(dim=0), "magma"),
    "coverage": (coverage.sqrt(), "magma"),
    "gradient, right": (gx, "gray"),
    "gradient, down": (gy, "gray"),
    "Poisson picture": (picture, "gray"),
}
for axis, (title, (values, colours)) in zip(axes, panels.items(), strict=True):
    low, high = (float(values.quantile(share)) for share in (0.02, 0.98))
    axis.imshow(values.numpy(), cmap=colours, vmin=low, vmax=high)
    axis.set_title(title, fontsize=10)
    axis.axis("off")
figure.tight_layout()
