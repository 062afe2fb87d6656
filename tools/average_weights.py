"""Average the weights of runs with the same start, and recompute the statistics of batch norms.

python tools/average_weights.py OUT WEIGHTS [WEIGHTS ...] --data FOLDER ... -d DESCRIPTOR ...

Runs on different pictures with different seeds need no communication. The statistics are computed
from whole pictures, half in gamma and half in luma gray.

Source: Wortsman et al., "Model soups", ICML 2022.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from invertdesc.methods.network import preset
from invertdesc.methods.recipe import Augmentation
from invertdesc.sources import find_sources, spread
from invertdesc.training.data import FeatureData
from invertdesc.training.distributed import team
from invertdesc.training.loop import make_method
from invertdesc.training.run import Run
from invertdesc.weights._files import read_network, save_network

BATCHES, IMAGES = 24, 120  # for the statistics: batches, and pictures of each folder
GRAYS = Augmentation(**dict.fromkeys(vars(Augmentation()), 0.0) | {"luma": 0.5})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("-d", dest="descriptors", action="append", required=True)
    given = parser.parse_args()
    cards, states = zip(*(read_network(path, "unfold") for path in given.weights), strict=True)
    known = tuple(given.descriptors)
    config = replace(preset("unfold"), descriptors=known, augmentation=GRAYS, drop=0.1)
    method, config = make_method(config, given.weights[0])
    mean = {name: torch.stack([one[name] for one in states]).mean(0) for name in states[0]}
    method.network.load_state_dict(mean, strict=False)  # batches are not counted in files
    paths = [path for one in given.data for path in spread(find_sources([one]), IMAGES)]
    with tempfile.TemporaryDirectory() as cache, team("cpu") as alone:
        data = FeatureData(
            paths, config.descriptors, crop=256, cache=Path(cache), augmentation=GRAYS
        )
        Run(config, data, method, None, alone).settle(BATCHES)
    card = {"mean of": [one.card for one in cards]}
    save_network(given.out, "unfold", method.network, card)


if __name__ == "__main__":
    main()
