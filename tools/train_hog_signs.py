"""Train the network that finds the signs of HOG's gradients, and save it in the package.

python tools/train_hog_signs.py MINUTES FOLDER [FOLDER ...]

Each step uses the same number of pictures of each folder, read by `hog` with blocks of 2 x 2 or 3 x
3 cells or by `hog-opencv`. The loss is 1 - NCC of the Poisson picture at a quarter of the size,
plus half of 1 - correlation of its gradients. Pictures are squares of 256 x 256 pixels. A folder
that is named twice has twice the share.
"""

import sys
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from invertdesc import FeatureBatch, create_descriptor
from invertdesc.descriptors._hog_signs import SignNet, read_cells
from invertdesc.evaluation.metrics import gradient_correlation, ncc
from invertdesc.image import read_image, to_gray
from invertdesc.ops import solve_poisson
from invertdesc.weights import FOLDER

READERS = (
    create_descriptor("hog", cells_per_block=2),
    create_descriptor("hog"),
    create_descriptor("hog-opencv"),
)
SHARES = (0, 1, 1, 2)  # shares of the steps
BATCH, RATE, DECAY, STRIDE, MOST = 24, 3e-3, 3e-2, 4, 3500


def read_folder(folder: Path, seed: int = 0) -> tuple[list[Tensor], Tensor]:
    """Return the cells (K, 32, 32, 9) of each reader and the small pictures (K, 64, 64)."""
    files = sorted(folder.iterdir())
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed))[:MOST]
    cells: list[list[Tensor]] = [[] for _ in READERS]
    small = []
    for number in tqdm(order.tolist(), desc=folder.name):
        image = read_image(files[number])
        small.append(F.avg_pool2d(to_gray(image)[None], STRIDE)[0].half())
        for kept, reader in zip(cells, READERS, strict=True):
            batch = FeatureBatch.collate([reader.extract(image)])
            blocks, known = reader._grid(batch)
            kept.append(read_cells(blocks, known, lean=reader.lean, drift=reader.drift)[0].half())
    return [torch.stack(kept) for kept in cells], torch.stack(small)


def draw(sets: list[tuple[list[Tensor], Tensor]], step: int) -> tuple[Tensor, Tensor]:
    """Return cells and small pictures, half of them mirrored and most of them cut."""
    reader, share = SHARES[step % len(SHARES)], BATCH // len(sets)
    rows = [torch.randint(len(small), (share,)) for _, small in sets]
    cells = torch.cat([s[0][reader][r] for s, r in zip(sets, rows, strict=True)]).float()
    truth = torch.cat([s[1][r] for s, r in zip(sets, rows, strict=True)]).float()
    if torch.rand(()) < 0.5:
        cells, truth = cells.flip(2).flip(-1), truth.flip(-1)
    if torch.rand(()) < 0.6:
        side = int(torch.randint(16, 32, ()))
        y, x = torch.randint(0, 33 - side, (2,)).tolist()
        cells = cells[:, y : y + side, x : x + side]
        truth = truth[:, 2 * y : 2 * (y + side), 2 * x : 2 * (x + side)]
    return cells, truth


def train(minutes: float, sets: list[tuple[list[Tensor], Tensor]]) -> dict[str, Tensor]:
    """Return the weights of a network after some minutes of training."""
    network = SignNet()
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    start, step, passed = time.monotonic(), 0, 0.0
    while (passed := (time.monotonic() - start) / 60 / minutes) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, step / 100) * max(0.02, 1 - passed)
        cells, truth = draw(sets, step)
        picture = solve_poisson(network(cells) * STRIDE, 1e-4 * STRIDE**2)
        loss = 1.5 - ncc(picture, truth).mean() - gradient_correlation(picture, truth).mean() / 2
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(f"{passed:4.0%} {step} steps, loss {loss.item():.3f}", flush=True)
    return {name: value.half().contiguous() for name, value in network.state_dict().items()}


def main(minutes: float, folders: list[Path]) -> None:
    torch.manual_seed(0)
    read = {folder: read_folder(folder) for folder in dict.fromkeys(folders)}
    save_file(
        train(minutes, [read[folder] for folder in folders]), FOLDER / "signs-hog.safetensors"
    )


if __name__ == "__main__":
    main(float(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
