"""Collect the statistics that `invertdesc.check` compares with.

python tools/collect_statistics.py PHOTOS [NAME ...]
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from invertdesc import create_descriptor, list_descriptors
from invertdesc.descriptors import Descriptor
from invertdesc.descriptors._unread import StoredDescriptor
from invertdesc.descriptors.checking import fingerprint
from invertdesc.image import to_image
from invertdesc.weights import FOLDER

IMAGES = 150


def collect_fingerprint(descriptor: Descriptor, images: Sequence[object]) -> torch.Tensor:
    """Return the `fingerprint` of a descriptor's vectors in images, for `check`."""
    found = (descriptor.extract(to_image(image)) for image in images)
    return fingerprint(torch.cat([descriptor.encode(one.descriptors) for one in found]))


def extracts(name: str) -> bool:
    """Return whether a descriptor has an extractor that needs no learned weights."""
    adapter = create_descriptor(name)
    return not hasattr(adapter, "weights") and not isinstance(adapter, StoredDescriptor)


def main(photos: str, *names: str) -> None:
    path = FOLDER / "statistics.safetensors"
    found = load_file(path) if path.exists() else {}
    files = sorted(Path(photos).iterdir())
    chosen = files[:: max(1, len(files) // IMAGES)]
    for name in names or [n for n in list_descriptors() if n != "rootsift" and extracts(n)]:
        found[name] = collect_fingerprint(create_descriptor(name), chosen).half()
        print(name, tuple(found[name].shape), flush=True)
    save_file(found, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
