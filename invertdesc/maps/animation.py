"""Pictures as one animation, and how much it flickers."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import torch
from PIL import Image
from torch import Tensor

from invertdesc._files import atomic_write
from invertdesc._options import check_range
from invertdesc.errors import FileError, InputError, MissingDependencyError
from invertdesc.image import LUMA, read_image, to_uint8

AnimationKind: TypeAlias = Literal["webp", "gif", "mp4"]
_SECONDS = 600  # that packing may take


def check_animation(kind: str | None) -> None:
    """Check that an animation of a kind can be made here; None is none.

    Raises:
        InputError: No such kind.
        MissingDependencyError: It is mp4, and there is no ffmpeg.
    """
    if kind is not None and kind not in get_args(AnimationKind):
        raise InputError(f"Expected an animation as webp, gif or mp4, got {kind!r}.")
    if kind == "mp4" and shutil.which("ffmpeg") is None:
        raise MissingDependencyError(
            "Expected the program ffmpeg for mp4, found none. Install it, or choose webp or gif."
        )


def write_animation(pictures: Sequence[Path], path: Path, *, rate: float = 12.0) -> None:
    """Write pictures of one size as an animation; the suffix says the kind.

    Args:
        pictures: Files of images, in order.
        path: A file .webp, .gif or .mp4, the last of which the program ffmpeg packs.
        rate: Pictures a second.

    Raises:
        FileError: A picture cannot be read, or the animation not be written.
        InputError: No picture, another kind, or a rate out of range.
        MissingDependencyError: There is no ffmpeg.
    """
    check_range("rate", rate, 0.1, 120)
    kind = path.suffix.lower().removeprefix(".")
    check_animation(kind)
    if not pictures:
        raise InputError(f"Expected pictures for {path}, got none.")
    packed = _by_ffmpeg(pictures, rate) if kind == "mp4" else _by_pillow(pictures, kind, rate)
    with atomic_write(path) as file:
        file.write(packed)


def _by_pillow(pictures: Sequence[Path], kind: str, rate: float) -> bytes:
    frames = (Image.fromarray(to_uint8(read_image(path))) for path in pictures)
    packed, lasts = BytesIO(), round(1000 / rate)
    first = next(frames)
    options = {"quality": 85, "method": 4} if kind == "webp" else {}
    first.save(packed, kind, save_all=True, append_images=frames, duration=lasts, loop=0, **options)
    return packed.getvalue()


def _by_ffmpeg(pictures: Sequence[Path], rate: float) -> bytes:
    """Return an MP4 of pictures; sides are cut to even numbers, which the codec wants."""
    first = read_image(pictures[0])
    height, width = first.shape[1] // 2 * 2, first.shape[2] // 2 * 2
    frames = chain([first], (read_image(path) for path in pictures[1:]))
    with tempfile.TemporaryDirectory(prefix="invertdesc-") as folder:
        target, raw = Path(folder, "out.mp4"), Path(folder, "frames")
        with raw.open("wb") as file:
            for frame in frames:
                file.write(to_uint8(frame[:, :height, :width]).tobytes())
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        coding = ["-r", f"{rate:g}", "-i", str(raw), "-pix_fmt", "yuv420p", str(target)]
        command = ["ffmpeg", "-nostdin", "-y", *source, *coding]
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        if done.returncode or not target.is_file():
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise FileError(f"ffmpeg could not pack the pictures: {(lines or ['no reason'])[-1]}")
        return target.read_bytes()


def measure_flicker(pictures: Iterable[Tensor]) -> float:
    """Return how much brightness jumps from picture to picture, beside moving evenly.

    It is the mean of ``|before - 2 here + after| / 2`` over pixels and pictures, in luma: 0 for
    still pictures and where each pixel changes at an even pace, 1 for white and black by turns.

    Args:
        pictures: (3, H, W) in [0, 1], of one size, at least three.

    Raises:
        InputError: Fewer than three.

    >>> still = torch.full((3, 4, 4), 0.5)
    >>> measure_flicker([still, still, still])
    0.0
    """
    weights = torch.tensor(LUMA)
    last: list[Tensor] = []
    total, count = 0.0, 0
    for picture in pictures:
        last = [*last[-2:], torch.einsum("chw,c->hw", picture.cpu().float(), weights)]
        if len(last) == 3:
            total += float((last[0] - 2 * last[1] + last[2]).abs().mean()) / 2
            count += 1
    if not count:
        raise InputError("Expected at least three pictures to measure flicker.")
    return total / count
