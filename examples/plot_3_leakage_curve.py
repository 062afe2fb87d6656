"""
How much does a keypoint reveal?
================================

The accuracy of the reconstruction depends on the share of keypoints that an attacker has: here the
strongest ones, and as many chosen at random.
"""

import torch
from matplotlib import pyplot as plt
from skimage import data

from invertdesc import extract, reconstruct
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image, to_uint8

photo = to_image(data.astronaut()[:256, 100:356])
gray = to_gray(photo)
features = extract(photo, descriptor="sift")
orders = {
    "strongest": features.scores.argsort(descending=True),
    "at random": torch.randperm(len(features), generator=torch.Generator().manual_seed(0)),
}

# %%
# Reconstruct from each share of the keypoints.

shares = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0]
figure, (curve, *panels) = plt.subplots(1, 4, figsize=(12, 3.2), width_ratios=[1.6, 1, 1, 1])
for name, order in orders.items():
    parts = [features[order[: round(share * len(features))]] for share in shares]
    pictures = reconstruct(parts)
    curve.plot(shares, [float(ncc(to_gray(one), gray)) for one in pictures], "o-", label=name)
curve.set_xscale("log")
curve.set_xlabel("share of keypoints")
curve.set_ylabel("NCC with the photograph")
curve.legend()
for axis, share in zip(panels, (0.1, 0.35, 1.0), strict=True):
    axis.imshow(to_uint8(pictures[shares.index(share)]))
    axis.set_title(f"{share:.0%} at random")
    axis.axis("off")
figure.tight_layout()
