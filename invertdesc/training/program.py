"""Fit the unfolding of a descriptor that only somebody's program extracts.

The program is given a folder of pictures and writes features in any format that `open_store` reads.
It is needed for the fit alone: what is saved reads such features without it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from invertdesc._progress import show_progress, watch
from invertdesc.descriptors.stored import Stored
from invertdesc.errors import FileError, InputError, InvertDescError
from invertdesc.evaluation.metrics import ncc
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import read_image, to_gray, to_image, write_image
from invertdesc.rasterizers.field import FieldRasterizer
from invertdesc.stores.base import Store
from invertdesc.stores.open import open_store
from invertdesc.training.supports import ReadLater, fit_supports
from invertdesc.unfolding.fit import fit_described
from invertdesc.unfolding.frame import Frame

if TYPE_CHECKING:
    from torch import Tensor

    from invertdesc.features.local import LocalFeatures
    from invertdesc.training.decoders import DecoderConfig
    from invertdesc.unfolding.unfolding import Unfolding

SQUARES = (8.0, 12.0, 16.0, 24.0, 32.0, 40.0, 48.0)  # pixels: tried without scales
TIMES_SCALE = (6.0, 12.0, 20.0)  # and with
TRIED, TESTED = 40, 8  # pictures that a square is fitted to, and those that it is judged by
TIE = 0.01  # of NCC: of squares that are as good, the smallest blurs least
BITS = 64  # bytes up to which uint8 is taken for bits
LABEL = "a program's vectors"
DIGITS = 6  # of the pictures' names
SHOWN = 600  # characters of what a program said


@dataclass(frozen=True, eq=False)
class ProgramFit:
    """What `fit_program` found.

    Attributes:
        descriptor: An adapter for such features; `unfolding` is in it.
        command: What was run, its words as they were given.
        photographs: Number of photographs in the fit.
        keypoints: Number of keypoints of all photographs.
        ncc: Mean NCC of pictures with the Poisson pictures of their features, in luma, for those
            pictures that were kept out of the choice's fit; None where the square was given.

    >>> adapter = Stored(name="mine", width=64, frame=Frame(16.0, scaled=False, rotated=False))
    >>> ProgramFit(adapter, ("program", "{images}", "{out}"), 100, 50_000, None).descriptor.dim
    64
    """

    descriptor: Stored
    command: tuple[str, ...]
    photographs: int
    keypoints: int
    ncc: float | None

    def __str__(self) -> str:
        """Say what was fitted to what, and the square that a vector describes."""
        frame = self.unfolding.frame
        side = f"{frame.support:g} {'times the scale' if frame.scaled else 'pixels'}"
        turned = ", turned with the keypoint" if frame.rotated else ""
        score = "" if self.ncc is None else f"; NCC of unseen pictures {self.ncc:.2f}"
        return (
            f"Fitted to {self.keypoints:,} vectors of {self.photographs} photographs; a vector "
            f"describes a square of {side}{turned}{score}."
        )

    @property
    def unfolding(self) -> Unfolding:
        """The fitted map."""
        return self.descriptor.unfolding

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .safetensors file, whose path is then a descriptor's name.

        Raises:
            FileError: The place cannot be written, or its name does not end so.
        """
        if not os.fspath(path).endswith(".safetensors"):
            raise FileError(f"Expected a name that ends with .safetensors, got {path}.")
        card = {
            "vectors": self.descriptor.card(),
            "command": list(self.command),
            "photographs": self.photographs,
            "keypoints": self.keypoints,
            "ncc": self.ncc,
        }
        self.unfolding.save(path, card=card)


@dataclass(frozen=True)
class _Described:
    """A picture's file and its features."""

    file: Path
    features: LocalFeatures

    def read(self) -> tuple[Tensor, LocalFeatures]:
        return read_image(self.file), self.features


def fit_program(
    command: str | Sequence[str],
    images: Iterable[object],
    *,
    frame: Frame | None = None,
    packed: bool | None = None,
    grid: int = 8,
    ridge: float = 0.02,
    decoder: DecoderConfig | None = None,
    progress: bool = False,
) -> ProgramFit:
    """Run a program on photographs and fit an unfolding to the features that it writes.

    Pictures are given to it as `000000.png`, `000001.png` and so on in a temporary folder; it may
    call an image `000001.png`, `000001` or `000001.whatever`. It is run once, without a shell.

    Args:
        command: Its words, or a text that is split as a shell does. `{images}` becomes the folder
            of pictures, and `{out}` an empty folder, both without a slash at the end.
        images: Paths, or whatever else `invertdesc.image.to_image` takes; some hundred photographs.
        frame: The square that a vector describes; None tries several and takes that by which
            pictures that were kept apart come out best.
        packed: Whether vectors of bytes are bits; None takes those of up to 64 bytes for such.
        grid: As of `fit_unfolding`.
        ridge: As of `fit_unfolding`.
        decoder: Size and training of a network that corrects the map, for vectors that networks
            computed; None for the map alone. It needs some hundred photographs.
        progress: Show a bar.

    Raises:
        InputError: A command without `{images}` or `{out}`, one that fails, or features that are
            not those of the pictures.
        FileError: It wrote nothing that can be read.

    >>> import sys
    >>> from skimage.data import camera
    >>> code = (
    ...     "import sys, numpy as np; n = np.arange(99.); np.savez(sys.argv[2] + '/000000.npz', "
    ...     "keypoints=np.c_[n, n], descriptors=np.sin(np.c_[n, n * n]))"
    ... )
    >>> command = [sys.executable, "-c", code, "{images}", "{out}"]
    >>> fit_program(command, [camera()], frame=Frame(9.0, scaled=False, rotated=False)).keypoints
    99
    """
    words = _words(command)
    with tempfile.TemporaryDirectory(prefix="invertdesc-") as name:
        described = _describe(words, images, Path(name))
        adapter = _adapter(described, packed)
        score = None
        if frame is None:
            frame, score = _choose(adapter, described, grid, ridge, progress)
        adapter = replace(adapter, frame=frame)
        pictures = ReadLater([one.file for one in described], [one.features for one in described])
        with show_progress(progress):
            if decoder is None:
                fitted = fit_described(adapter, watch(pictures, "fit"), grid=grid, ridge=ridge)
            else:
                fitted = fit_supports(adapter, pictures, (), ridge=ridge, decoder=decoder)
    keypoints = sum(len(one.features) for one in described)
    return ProgramFit(replace(adapter, map=fitted), tuple(words), len(described), keypoints, score)


def _describe(words: list[str], images: Iterable[object], place: Path) -> list[_Described]:
    """Write pictures into a folder, run the program, and read its features."""
    folder, out = place / "images", place / "out"
    folder.mkdir()
    out.mkdir()
    for number, image in enumerate(images):
        write_image(to_image(image), folder / f"{number:0{DIGITS}}.png")
    _run([word.replace("{images}", str(folder)).replace("{out}", str(out)) for word in words])
    return _read(folder, out)


def _words(command: str | Sequence[str]) -> list[str]:
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise InputError(f"Expected a command, got {command!r}: {error}.") from error
    for part in ("{images}", "{out}"):
        if not any(part in word for word in words):
            raise InputError(
                "Expected a command with {images} and {out} in it, such as 'program {images} "
                f"{{out}}', got {command!r} without {part}."
            )
    return words


def _run(words: list[str]) -> None:
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise InputError(
            f"Expected a program that can be run, got {words[0]!r}: {error.strerror or error}. Is "
            "it installed, and on the PATH?"
        ) from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing")[-SHOWN:]
        raise InputError(
            f"Expected {words[0]!r} to end with status 0, got {done.returncode}. It said: {said}"
        )


def _read(folder: Path, out: Path) -> list[_Described]:
    """Return the features that were written, each with its picture."""
    try:
        store = open_store(out, descriptor=LABEL, mend=False)
    except FileError as error:
        raise FileError(
            f"Expected features in {{out}} once the program has run: {error} Does it write there?"
        ) from error
    with store:
        found = list(_match(store, sorted(folder.iterdir())))
    if not any(len(one.features) for one in found):
        raise InputError("Expected keypoints in some picture, got none in any.")
    widths = {one.features.descriptors.shape[1] for one in found if len(one.features)}
    if len(widths) > 1:
        raise InputError(f"Expected vectors of one length, got {sorted(widths)}.")
    return found


def _match(store: Store, files: list[Path]) -> Iterator[_Described]:
    names: dict[str, str] = {}
    for name in store.names():
        names.setdefault(Path(name).name[:DIGITS], name)
    for file in files:
        called = names.get(file.stem)
        if called is None:
            continue
        features = store.load(called)
        height, width = read_image(file).shape[-2:]
        try:
            yield _Described(file, replace(features, image_size=(height, width)))
        except InvertDescError as error:
            raise InputError(f"Expected features of {file.name} in {called!r}: {error}") from error
    if not names.keys() & {file.stem for file in files}:
        some = ", ".join(sorted(names.values())[:3]) or "none"
        raise InputError(f"Expected images called {files[0].stem} and so on, got {some}.")


def _adapter(described: list[_Described], packed: bool | None) -> Stored:
    """Return an adapter for the vectors, whose square is still to be chosen."""
    first = next(one.features for one in described if len(one.features))
    is_bytes = first.descriptors.dtype == torch.uint8
    width = first.descriptors.shape[1]
    if packed is None:
        packed = is_bytes and width <= BITS
    if packed and not is_bytes:
        raise InputError("Expected bytes, of which each is eight bits, got numbers.")
    return Stored(name=LABEL, width=width, packed=packed, frame=Frame(SQUARES[0]))


def _choose(
    adapter: Stored, described: list[_Described], grid: int, ridge: float, progress: bool
) -> tuple[Frame, float]:
    """Return the smallest of the squares by which unseen pictures come out best, and its NCC."""
    kept = described[:: max(2, -(-len(described) // TESTED))] if len(described) > 1 else described
    rest = [one for one in described if one not in kept] or described
    tried = rest[:: -(-len(rest) // TRIED)]
    frames = list(_frames([one.features for one in described]))
    scores: dict[Frame, float] = {}
    for frame in watch(frames, "choose a square", unit="square", shown=progress):
        one = replace(adapter, frame=frame)
        fitted = fit_described(one, (part.read() for part in tried), grid=grid, ridge=ridge)
        scores[frame] = _score(replace(one, map=fitted), kept)
    best = max(scores, key=lambda frame: scores[frame])
    kind = best.scaled, best.rotated
    near = [
        frame
        for frame, score in scores.items()
        if (frame.scaled, frame.rotated) == kind and score > scores[best] - TIE
    ]
    chosen = min(near, key=lambda frame: frame.support)
    return chosen, scores[chosen]


def _frames(features: list[LocalFeatures]) -> Iterator[Frame]:
    """Yield the squares that are tried, with the fields that all features have."""
    some = [one for one in features if len(one)]
    turned = all(one.orientations is not None for one in some)
    sized = all(one.scales is not None for one in some)
    for rotated, support in product([False, True][: 1 + turned], SQUARES):
        yield Frame(support, scaled=False, rotated=rotated)
    if sized:
        for rotated, support in product([False, True][: 1 + turned], TIMES_SCALE):
            yield Frame(support, scaled=True, rotated=rotated)


def _score(adapter: Stored, kept: list[_Described]) -> float:
    """Return the mean NCC of the Poisson pictures of features with their pictures, in luma."""
    field = FieldRasterizer(adapter)
    found = []
    for one in kept:
        image, features = one.read()
        if len(features):
            picture = field(FeatureBatch.collate([features])).picture[0, 0]
            found.append(float(ncc(picture, to_gray(image, "luma"))))
    return sum(found) / len(found) if found else 0.0
