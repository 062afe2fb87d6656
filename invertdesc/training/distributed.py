"""Train one network in several processes, which `torchrun` starts.

This uses plain torch with its DistributedDataParallel, on one machine or several.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn


@dataclass(frozen=True)
class Team:
    """The processes of a run, as seen by one of them.

    Attributes:
        device: Device of this process.
        rank: Number of this process; process 0 writes all files.
        size: Number of processes.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return a module that averages gradients over all processes."""
        if self.size == 1:
            return network
        parallel: Any = nn.parallel.DistributedDataParallel
        new, old = "forward_sync_buffers", "broadcast_buffers"  # renamed in torch 2.13
        named = new if new in inspect.signature(parallel).parameters else old
        wrapped: nn.Module = parallel(network, **{named: False})
        return wrapped

    def agree(self, here: bool) -> bool:
        """Return the value of process 0 in all processes."""
        if self.size == 1:
            return here
        flag = torch.tensor([float(here)], device=self.device)
        _finish(distributed.broadcast(flag, 0, async_op=True))
        return bool(flag.item())

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Return the mean of a value over all processes."""
        if self.size > 1:
            value = value.clone()
            _finish(distributed.all_reduce(value, async_op=True))
            value = value / self.size
        return value

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


_last: list[Any] = []


def _finish(work: Any) -> None:
    """Wait for a collective, and keep its handle until the next one is done.

    Otherwise a thread of gloo may be the last to release the tensor, which needs Python. If Python
    ends meanwhile, the process aborts (github.com/pytorch/pytorch/pull/179291).
    """
    work.wait()
    _last[:] = [work]


@contextmanager
def team(device: str | torch.device) -> Iterator[Team]:
    """Join the processes of `torchrun`; without it, this process is the only one.

    Args:
        device: Device; `"cuda"` gives each process its own device.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    place = torch.device(device)
    if size == 1:
        yield Team(place)
        return
    options: dict[str, Any] = {}
    if place.type == "cuda":
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
        options["device_id"] = place
    backend = "nccl" if place.type == "cuda" else "gloo"
    # Process 0 may extract features for hours while the others wait.
    distributed.init_process_group(backend, timeout=timedelta(hours=24), **options)
    try:
        yield Team(place, distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
