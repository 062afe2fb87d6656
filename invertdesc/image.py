"""Image files, array conventions and gray conversion: the only place that knows them.

Inside the library an image is a float32 RGB tensor of shape (3, H, W) in [0, 1].
"""

import math
import os
import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, get_args

import numpy as np
import torch
from PIL import Image, ImageFile, ImageOps
from torch import Tensor
from torch.nn import functional as F

from invertdesc._files import atomic_write, existing_file
from invertdesc.errors import FileError, InputError
from invertdesc.limits import check_limit

GrayMode: TypeAlias = Literal["gamma", "luma"]
GAMMA = 2.2
# The formats that are read. Pillow knows more, and for PostScript it starts another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in OpenCV


def to_image(source: object) -> Tensor:
    """Turn whatever people hold an image in into a tensor of shape (3, H, W), RGB in [0, 1].

    Args:
        source: A path to a file of one of `FORMATS`; a PIL image; a NumPy array of shape (H, W),
            (H, W, 3) or, with an opacity that is laid on white, (H, W, 4), uint8, uint16 or float
            in [0, 1]; or a torch tensor of shape (3, H, W) or (1, H, W), likewise.

    Raises:
        FileError: The file is missing or not an image.
        InputError: The shape, dtype or range is none of the above.

    >>> to_image(np.full((4, 6), 255, np.uint8)).shape
    torch.Size([3, 4, 6])
    """
    if isinstance(source, str | os.PathLike):
        return read_image(source)
    if isinstance(source, Image.Image):
        return _from_pil(source)
    if isinstance(source, np.ndarray):
        if source.ndim == 2:
            source = source[..., None]
        if source.ndim != 3 or source.shape[2] not in (1, 3, 4):
            turned = source.ndim == 3 and source.shape[0] in (1, 3, 4)
            turn = " Try array.transpose(1, 2, 0)." if turned else ""
            raise InputError(
                f"Expected an array of shape (H, W), (H, W, 3) or (H, W, 4), got {source.shape}."
                f"{turn}"
            )
        if source.dtype.kind == "f":
            source = source.astype(np.float32)
        elif source.dtype.kind == "u" and source.itemsize == 2:
            source = source.astype(np.float32) / 65535
        elif source.dtype != np.uint8:
            raise InputError(
                f"Expected an image of dtype uint8, uint16 or float, got {source.dtype}."
            )
        if source.shape[2] == 4 and source.dtype == np.uint8 and source.size:
            return _from_pil(Image.fromarray(source))  # which rounds as in files
        image = torch.from_numpy(np.array(source)).permute(2, 0, 1)
        return _on_white(image) if len(image) == 4 else _from_tensor(image)
    if isinstance(source, Tensor):
        return _from_tensor(source)
    raise InputError(
        "Expected an image as a path, PIL image, NumPy array or torch tensor, "
        f"got {type(source).__name__}."
    )


def read_image(path: str | os.PathLike[str]) -> Tensor:
    """Read an image file upright, as (3, H, W) float32 RGB in [0, 1].

    Orientation tags are obeyed, transparency is laid on white, 16-bit gray keeps its depth.

    Raises:
        FileError: Missing, truncated, or in none of the formats that are read.
        InputError: An image of more pixels than `Limits` allow, or of numbers that are neither
            whole of 8 or 16 bits nor within [0, 1].

    >>> read_image("no.png")
    Traceback (most recent call last):
    invertdesc.errors.FileError: Expected an image file, found none at no.png.
    """
    name = existing_file(path, "an image file")
    try:
        with name.open("rb") as file:
            image = open_checked(file, str(name))
            image.load()
            return _from_pil(image)
    except FileError:
        raise
    except InputError as error:
        raise InputError(f"Cannot use {name}: {error}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileError(f"Expected a whole image file, got {name}: {error}.") from error


def open_checked(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    """Read the header of an image of one of `FORMATS`, and check its size; decode nothing.

    Args:
        file: Where it is.
        name: Of it, for messages.

    Raises:
        FileError: It is in none of the formats that are read.
        InputError: It has more pixels than `Limits` allow.
    """
    image = _open(file)
    if image is None:
        raise FileError(
            f"Expected an image file of the format {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got "
            f"{name}, which is of none of them."
        )
    check_limit("pixels", image.width * image.height, "an image")
    return image


def _open(file: BinaryIO) -> ImageFile.ImageFile | None:
    """Return an image of which the header was read, or None where its format is none of ours.

    `Image.open` would do, were it not for its own limit of pixels: that is one for the process,
    and warns.
    """
    Image.init()
    head = file.read(16)
    for kind in FORMATS:
        make, accepts = Image.OPEN[kind]
        accepted = accepts is None or accepts(head)
        if not accepted or isinstance(accepted, str):  # which says what Pillow was built without
            continue
        file.seek(0)
        try:
            return make(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # what Pillow catches too
            continue
    return None


def write_image(image: Tensor, path: str | os.PathLike[str]) -> None:
    """Write an image of shape (3, H, W) in [0, 1], whole or not at all; the suffix says the format.

    Raises:
        InputError: The suffix is none of an image format, or the tensor is no image.
        FileError: The place cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_image(torch.zeros(3, 4, 6), f"{folder}/black.png")
    ...     read_image(f"{folder}/black.png").shape
    torch.Size([3, 4, 6])
    """
    # In memory, since Pillow's encoders do not look whether a disk took what they wrote.
    packed = encode_image(image, image_format(path))
    with atomic_write(path) as file:
        file.write(packed)


def encode_image(image: Tensor, kind: str) -> bytes:
    """Return an image of shape (3, H, W) in [0, 1] as a file of a format such as `"PNG"`.

    Raises:
        InputError: The tensor is no image.
    """
    packed = BytesIO()
    picture = Image.fromarray(to_uint8(_from_tensor(image)))
    picture.save(packed, format=kind, quality=95)  # of formats that lose some
    return packed.getvalue()


def image_format(path: str | os.PathLike[str]) -> str:
    """Return the name of the format that a file's suffix stands for, such as `"PNG"`.

    Raises:
        InputError: None that can be written.
    """
    name = Path(path)
    kind = Image.registered_extensions().get(name.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise InputError(f"Expected an image suffix such as .png or .jpg, got {name.name!r}.")
    return kind


def to_uint8(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Turn (3, H, W) or (H, W) in [0, 1] into a uint8 array (H, W, 3) or (H, W), rounding."""
    planes = [  # one at a time: photographs are large
        plane.clamp(0, 1).mul_(255).round_().to("cpu", torch.uint8)
        for plane in (image.detach() if image.ndim == 3 else image.detach()[None])
    ]
    return torch.stack(planes, 2).numpy() if image.ndim == 3 else planes[0].contiguous().numpy()


def fit_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the (H, W) to which an image of (H, W) is shrunk so that no side is above `side`.

    >>> fit_size((3000, 4000), 1024), fit_size((30, 40), 1024)
    ((768, 1024), (30, 40))
    """
    if max(size) <= side:
        return size
    height, width = (max(1, round(length * side / max(size))) for length in size)
    return height, width


def shrink_image(image: Tensor, side: int) -> Tensor:
    """Return an image (3, H, W) in [0, 1] of at most `side` pixels along the longer side."""
    height, width = image.shape[1:]
    size = fit_size((height, width), side)
    if size == (height, width):
        return image
    small = F.interpolate(image[None], size, mode="bicubic", antialias=True, align_corners=False)
    return small[0].clamp(0, 1)


def to_gray(image: Tensor, mode: GrayMode = "gamma") -> Tensor:
    """Turn RGB into gray: (..., 3, H, W) to (..., H, W), both in [0, 1].

    Args:
        image: RGB in [0, 1].
        mode: `"gamma"` is the mean of the three channels after t^(1/2.2); `"luma"` is the usual
            0.299 R + 0.587 G + 0.114 B.

    Raises:
        InputError: No such mode, or not three channels.

    Source: Wu, Zhou, Li 2019, section III-A, for `"gamma"`.
    """
    if image.ndim < 3 or image.shape[-3] != 3:
        raise InputError(f"Expected RGB of shape (..., 3, H, W), got {tuple(image.shape)}.")
    if mode == "gamma":
        return image.clamp(min=0).pow(1 / GAMMA).mean(-3)
    if mode == "luma":
        weights = image.new_tensor(LUMA)
        return torch.einsum("...chw,c->...hw", image, weights)
    raise InputError(f"Expected a gray mode among {', '.join(get_args(GrayMode))}; got {mode!r}.")


def as_seen(picture: Tensor, mode: GrayMode) -> Tensor:
    """Return (H, W), the gray that an extractor would see of a reconstruction (3, H, W).

    A gray one stands for what the extractor saw; only colour is to be converted.
    """
    return to_gray(picture, mode) if picture.std(0).any() else picture[0]


def with_gray(image: Tensor, gray: Tensor, mode: GrayMode = "gamma") -> Tensor:
    """Give an image (..., 3, H, W) another gray (..., H, W) and leave it its colours.

    What would leave [0, 1] is cut. Otherwise `to_gray` of the result is `gray`.
    """
    change = (gray - to_gray(image, mode)).unsqueeze(-3)
    if mode == "luma":
        return (image + change).clamp(0, 1)
    return (image.clamp(min=0).pow(1 / GAMMA) + change).clamp(0, 1).pow(GAMMA)


def _from_pil(image: Image.Image) -> Tensor:
    if 0 in image.size:
        raise InputError(f"Expected an image of at least 1 pixel, got {image.size}.")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return to_image(np.asarray(image).astype(np.uint16))
    if image.mode in ("I", "F"):
        values = np.asarray(image)
        deep = image.mode == "I" and 0 <= values.min() <= values.max() <= 65535
        return to_image(values.astype(np.uint16) if deep else values)
    if image.has_transparency_data:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Pillow warns of palettes that are about to be converted
            image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return to_image(np.asarray(image if image.mode == "RGB" else image.convert("RGB")))


def _on_white(image: Tensor) -> Tensor:
    colour, opacity = _from_tensor(image[:3]), _from_tensor(image[3:])
    return colour * opacity + (1 - opacity)


def _from_tensor(image: Tensor) -> Tensor:
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise InputError(f"Expected a tensor of shape (3, H, W), got {tuple(image.shape)}.")
    if image.dtype == torch.uint8:
        return image.float().div_(255).expand(3, -1, -1)  # in place: photographs are large
    if image.is_floating_point():
        image = image.float()
    else:
        raise InputError(f"Expected an image of dtype uint8 or float, got {image.dtype}.")
    if image.is_meta:
        raise InputError("Expected a tensor with values, got one on 'meta', without any.")
    low, high = (float(v) for v in image.detach().aminmax())
    if math.isnan(low):
        raise InputError("Expected a float image in [0, 1], got NaN. Fill those pixels first.")
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise InputError(
            f"Expected a float image in [0, 1], got values from {low:g} to {high:g}. Divide by 255?"
        )
    return image.clamp(0, 1).expand(3, -1, -1)
