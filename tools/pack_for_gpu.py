"""Pack what training on a lent GPU needs into one file, and unpack it there.

    python tools/pack_for_gpu.py --train FACES --train PHOTOS --test FACES --test PHOTOS \
        --vgg16 FILE --most 40 -o pack.zip
    python tools/pack_for_gpu.py --unpack pack.zip -o FOLDER

Pictures become WebP of 256 x 256 pixels, in the highest quality at which all fit; below the least
quality, fewer are taken, evenly spaced. VGG16 is kept in half precision. `--features NAME` adds
features of descriptors that the other machine cannot extract, and `--start FILE` weights to go on
from. Unpacked, features are where `train` looks for them (`--cache FOLDER/cache`).
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save

from invertdesc import create_descriptor
from invertdesc._files import atomic_write
from invertdesc.image import to_image
from invertdesc.sources import spread
from invertdesc.training.data import FeatureData, cut_square

SIDE = 256
QUALITIES = (90, 85, 80, 75, 70, 65, 60, 55, 50, 45, 40, 35, 30)
SAMPLE = 48  # pictures by which the size is guessed
MIB = 2**20
REST = 0.985  # of the room, since the guess may be a little low


@dataclass(frozen=True)
class Picture:
    """A picture to pack, with its name in the pack."""

    path: Path
    name: str


def named(folders: Sequence[Path], part: str, most: int | None) -> list[Picture]:
    """Return the pictures of folders, such as `train/faces/NAME.webp`."""
    found = []
    for folder in folders:
        title = folder.parent.name if folder.name in ("train", "test") else folder.name
        for path in spread(sorted(folder.iterdir()), most):
            found.append(Picture(path, f"{part}/{title}/{path.stem}.webp"))
    return found


def squeezed(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """Return a picture (H, W, 3) uint8 as WebP."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


def fitting(
    pictures: Sequence[Picture], kept: Sequence[Picture], room: int, least: int
) -> tuple[list[Picture], int]:
    """Return the pictures to take and their quality, so that they take at most `room` bytes.

    Args:
        pictures: Pictures, of which fewer are taken if all do not fit in the least quality.
        kept: Pictures that are all taken.
        room: Bytes.
        least: Least quality of WebP.
    """
    every = [*pictures, *kept]
    sample = [cut_square(one.path, SIDE) for one in spread(every, SAMPLE)]
    allowed = [quality for quality in QUALITIES if quality >= least] or [QUALITIES[0]]
    for quality in allowed:
        # A file's entry in the archive takes some 100 bytes, and its name twice.
        mean = sum(len(squeezed(pixels, quality)) + 150 for pixels in sample) / len(sample)
        if mean * len(every) <= room * REST:
            return every, quality
    fewer = max(1, int(room * REST / mean) - len(kept))
    return [*spread(pictures, fewer), *kept], allowed[-1]


def packed_vgg16(path: Path) -> bytes:
    """Return the weights in half precision."""
    return save({name: value.astype(np.float16) for name, value in load_file(path).items()})


def described(
    pictures: Sequence[Picture], descriptor: str, count: int
) -> Iterator[tuple[str, bytes]]:
    """Return the features of some pictures of the training part as files."""
    adapter = create_descriptor(descriptor)
    for one in spread([one for one in pictures if one.name.startswith("train/")], count):
        with TemporaryDirectory() as folder:
            file = Path(folder) / "features.npz"
            adapter.extract(to_image(cut_square(one.path, SIDE))).save(file)
            yield f"features/{descriptor}/{one.name.removesuffix('.webp')}.npz", file.read_bytes()


def pack(options: argparse.Namespace) -> None:
    """Write the pack."""
    test = named(options.test, "test", options.test_images)
    train = named(options.train, "train", options.train_images)
    wanted = train + test
    others: dict[str, bytes] = {}
    if options.vgg16 is not None:
        others["vgg16.safetensors"] = packed_vgg16(options.vgg16)
    for file in options.start:
        others[f"start/{file.name}"] = file.read_bytes()
    for name in options.features:
        others |= dict(described(wanted, name, options.feature_images))
    deflated = {name: _deflated(value) for name, value in others.items()}
    room = int(options.most * MIB) - sum(deflated.values())
    taken, quality = fitting(train, test, room, options.least_quality)
    with ThreadPoolExecutor() as pool, atomic_write(options.output) as target:
        squares = pool.map(lambda one: squeezed(cut_square(one.path, SIDE), quality), taken)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for one, data in zip(taken, squares, strict=True):
                archive.writestr(one.name, data)
            for name, data in others.items():
                archive.writestr(name, data, zipfile.ZIP_DEFLATED)
            card = {"pictures": len(taken), "of": len(wanted), "quality": quality, "side": SIDE}
            archive.writestr("pack.json", json.dumps(card))
    size = options.output.stat().st_size
    print(f"{len(taken)} of {len(wanted)} pictures, quality {quality}, {size / MIB:.1f} MiB")
    if size > options.most * MIB:
        raise SystemExit(f"Expected at most {options.most} MiB, got {size / MIB:.2f}.")


def _deflated(data: bytes) -> int:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", data)
    return file.tell() + 200


def unpack(source: Path, folder: Path) -> None:
    """Write the files of a pack; features go where `train` looks for them."""
    with zipfile.ZipFile(source) as archive:
        names = archive.namelist()
        for name in names:
            if not name.startswith("features/"):
                archive.extract(name, folder)
        for name in names:
            if name.startswith("features/"):
                _, descriptor, *place = name.split("/")
                picture = folder.joinpath(*place).with_suffix(".webp")
                if picture.is_file():
                    target = FeatureData.file_of(picture, descriptor, SIDE, folder / "cache")
                    with atomic_write(target) as file:
                        file.write(archive.read(name))
    print((folder / "pack.json").read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folders = partial(parser.add_argument, type=Path, action="append", default=[])
    folders("--train", help="Folder of pictures to train on. Repeatable.")
    folders("--test", help="Folder of pictures to measure on. Repeatable.")
    folders("--start", help="Weights to go on from. Repeatable.")
    parser.add_argument("--vgg16", type=Path)
    parser.add_argument("--features", action="append", default=[], help="Descriptor. Repeatable.")
    parser.add_argument("--feature-images", type=int, default=300)
    parser.add_argument("--train-images", type=int, help="Pictures of each folder.")
    parser.add_argument("--test-images", type=int, default=200, help="Pictures of each folder.")
    parser.add_argument("--most", type=float, default=40, help="MiB.")
    parser.add_argument("--least-quality", type=int, default=QUALITIES[-1], help="Least quality.")
    parser.add_argument("--unpack", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    options = parser.parse_args()
    if options.unpack is not None:
        unpack(options.unpack, options.output)
    else:
        pack(options)


if __name__ == "__main__":
    main()
