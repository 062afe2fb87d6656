"""Collect the statistics by which the audit finds a secret order of a vector's values.

python tools/collect_habits.py FOLDER [FOLDER ...] [--only NAME ...]

Of each folder, the same number of pictures is taken, evenly spaced.
"""

import argparse
from pathlib import Path

import torch

from invertdesc import create_descriptor
from invertdesc.auditing.attacks.habits import PATH, Habits, load_habits, save_habits
from invertdesc.features.bits import to_values
from invertdesc.image import read_image
from invertdesc.sources import spread

NAMES = [
    "akaze",
    "beblid",
    "boostdesc",
    "brief",
    "brisk",
    "daisy",
    "freak",
    "kaze",
    "latch",
    "mkd",
    "orb",
    "sift",
    "sift-kornia",
    "teblid",
    "vgg",
]
IMAGES = 100  # of each folder
VECTORS = 200  # of each picture, at most


def vectors_of(name: str, files: list[Path]) -> torch.Tensor:
    """Return (N, D) values of a descriptor in pictures."""
    adapter, found = create_descriptor(name), []
    generator = torch.Generator().manual_seed(0)
    for file in files:
        values = to_values(adapter.extract(read_image(file)).descriptors)
        found.append(values[torch.randperm(len(values), generator=generator)[:VECTORS]])
    return torch.cat(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--only", nargs="+", default=NAMES)
    given = parser.parse_args()
    habits = load_habits(PATH) if PATH.exists() else {}
    files = [one for folder in given.folders for one in spread(sorted(folder.iterdir()), IMAGES)]
    for name in given.only:
        values = vectors_of(name, files)
        habits[name] = Habits.of(values)
        print(name, tuple(values.shape), flush=True)
        save_habits(PATH, habits, "photographs and faces, half each; see README.md")


if __name__ == "__main__":
    main()
