"""Batch normalisation over all processes of a training run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose training statistics are those of the whole batch.

    If several processes train together, each sees a part of the batch. Their sums are added, so any
    number of processes gives the same gradients as one. `nn.SyncBatchNorm` does the same, but only
    on CUDA.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) over B, H and W."""
        if not self.training or not _shared():
            return super().forward(x)
        values = x.float()
        here = torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
        count = here.new_full((1, here.shape[1]), x.numel() // x.shape[1])
        total, squares, number = _Sum.apply(torch.cat([here, count]))  # type: ignore[no-untyped-call]
        mean = total / number
        variance = squares / number - mean.square()
        with torch.no_grad():
            rate = self.momentum or 0.0
            unbiased = variance * number / (number - 1)
            if self.running_mean is not None and self.running_var is not None:
                self.running_mean.lerp_(mean, rate)
                self.running_var.lerp_(unbiased, rate)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        slope = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * slope
        normed: Tensor = values * slope[:, None, None] + shift[:, None, None]
        return normed.to(x)


def _shared() -> bool:
    return distributed.is_initialized() and distributed.get_world_size() > 1


class _Sum(torch.autograd.Function):
    """Add a tensor over all processes; its gradient is also added over all processes."""

    @staticmethod
    def forward(ctx: Any, here: Tensor) -> Tensor:
        whole = here.clone()
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous().clone()
        distributed.all_reduce(whole)
        return whole
