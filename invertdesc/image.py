"""Read and write image files, convert arrays, and convert colour to gray.

Inside the library an image is a float32 RGB tensor of shape (3, H, W) in [0, 1].
"""

import math
import os
import struct
import warnings
from collections.abc import Callable
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
BAND = 1 << 22  # pixels that are converted at once
# The formats that can be read. Pillow has more, and for PostScript it starts another program.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in OpenCV


def to_image(source: object) -> Tensor:
    """Convert an image of any supported kind to a tensor of shape (3, H, W), RGB in [0, 1].

    Args:
        source: A path to a file of one of `FORMATS`; a PIL image; a NumPy array of shape (H, W),
            (H, W, 3) or (H, W, 4), with opacity, which is composed on white; uint8, uint16 or float
            in [0, 1]; or a torch tensor of shape (3, H, W) or (1, H, W), uint8 or float in [0, 1].

    Raises:
        FileError: The file is missing or not an image.
        InputError: The shape, dtype or range is another one.

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
            return _from_pil(Image.fromarray(source))  # rounds in the same way as for files
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

    Orientation tags are applied, transparency is composed on white, and 16-bit gray keeps its
    depth.

    Raises:
        FileError: The file is missing, truncated, or of an unsupported format.
        InputError: The image has more pixels than `Limits` allows, or its values are neither
            integers of 8 or 16 bits nor in [0, 1].

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
        file: The open file.
        name: Name of the file, for messages.

    Raises:
        FileError: The format is not supported.
        InputError: The image has more pixels than `Limits` allows.
    """
    image = _open(file)
    if image is None:
        raise FileError(
            f"Expected an image file of the format {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got "
            f"{name}, which has another format."
        )
    check_limit("pixels", image.width * image.height, "an image")
    return image


def _open(file: BinaryIO) -> ImageFile.ImageFile | None:
    """Return an image after reading only its header; None if the format is not supported.

    `Image.open` is not used because of its own limit of pixels, which is global and warns.
    """
    Image.init()
    head = file.read(16)
    for kind in FORMATS:
        make, accepts = Image.OPEN[kind]
        accepted = accepts is None or accepts(head)
        if not accepted or isinstance(accepted, str):  # a text says what this build of Pillow lacks
            continue
        file.seek(0)
        try:
            return make(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # Pillow also catches these
            continue
    return None


def write_image(image: Tensor, path: str | os.PathLike[str]) -> None:
    """Write an image of shape (3, H, W) in [0, 1] atomically; the suffix chooses the format.

    Raises:
        InputError: The suffix is not that of an image format, or the tensor is not an image.
        FileError: The file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_image(torch.zeros(3, 4, 6), f"{folder}/black.png")
    ...     read_image(f"{folder}/black.png").shape
    torch.Size([3, 4, 6])
    """
    # In memory, since Pillow's encoders do not check whether the disk accepted the data.
    packed = encode_image(image, image_format(path))
    with atomic_write(path) as file:
        file.write(packed)


def encode_image(image: Tensor, kind: str) -> bytes:
    """Return an image of shape (3, H, W) in [0, 1] as a file of a format such as `"PNG"`.

    Raises:
        InputError: The tensor is not an image.
    """
    packed = BytesIO()
    picture = Image.fromarray(to_uint8(_from_tensor(image)))
    # For lossy formats, and for PNG: 5 ms for 256 x 256 pixels instead of 11, and 7 % more bytes.
    picture.save(packed, format=kind, quality=95, compress_level=4)
    return packed.getvalue()


def image_format(path: str | os.PathLike[str]) -> str:
    """Return the name of the image format of a file suffix, such as `"PNG"`.

    Raises:
        InputError: The suffix is not that of a format that can be written.
    """
    name = Path(path)
    kind = Image.registered_extensions().get(name.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise InputError(f"Expected an image suffix such as .png or .jpg, got {name.name!r}.")
    return kind


def to_uint8(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Convert (3, H, W) or (H, W) in [0, 1] to a uint8 array (H, W, 3) or (H, W), rounded."""
    planes = [  # one at a time, since photographs are large
        plane.clamp(0, 1).mul_(255).round_().to("cpu", torch.uint8)
        for plane in (image.detach() if image.ndim == 3 else image.detach()[None])
    ]
    return torch.stack(planes, 2).numpy() if image.ndim == 3 else planes[0].contiguous().numpy()


def fit_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the (H, W) of an image after shrinking it to at most `side` pixels per side.

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
    """Convert RGB (..., 3, H, W) to gray (..., H, W), both in [0, 1].

    Args:
        image: RGB in [0, 1].
        mode: `"gamma"` is the mean of the three channels after t^(1/2.2); `"luma"` is the usual
            0.299 R + 0.587 G + 0.114 B.

    Raises:
        InputError: There is no such mode, or the image does not have three channels.

    Source: Wu et al. 2019, section III-A, for `"gamma"`.
    """
    if image.ndim < 3 or image.shape[-3] != 3:
        raise InputError(f"Expected RGB of shape (..., 3, H, W), got {tuple(image.shape)}.")
    if mode == "gamma":
        return _by_bands(lambda part: part.clamp(min=0).pow(1 / GAMMA).mean(-3), image)
    if mode == "luma":
        weights = image.new_tensor(LUMA)
        return torch.einsum("...chw,c->...hw", image, weights)
    raise InputError(f"Expected a gray mode among {', '.join(get_args(GrayMode))}; got {mode!r}.")


def from_gray(gray: Tensor, mode: GrayMode = "gamma") -> Tensor:
    """Return RGB (..., 3, H, W) without colour whose gray in a mode is (..., H, W) in [0, 1].

    >>> to_gray(from_gray(torch.full((1, 1), 0.25), "gamma"), "gamma")
    tensor([[0.2500]])
    """
    level = gray.clamp(0, 1)
    if mode == "gamma":
        level = level.pow(GAMMA)
    return level.unsqueeze(-3).expand(*gray.shape[:-2], 3, *gray.shape[-2:])


def with_gray(image: Tensor, gray: Tensor, mode: GrayMode = "gamma") -> Tensor:
    """Replace the gray of an image (..., 3, H, W) by (..., H, W), and keep its colours.

    Values are limited to [0, 1]. Otherwise `to_gray` of the result is `gray`.
    """

    def changed(part: Tensor, level: Tensor) -> Tensor:
        part = part.to(level.dtype)
        change = (level - to_gray(part, mode)).unsqueeze(-3)
        if mode == "luma":
            return (part + change).clamp(0, 1)
        return (part.clamp(min=0).pow(1 / GAMMA) + change).clamp(0, 1).pow(GAMMA)

    return _by_bands(changed, image, gray)


def _by_bands(change: Callable[..., Tensor], *images: Tensor) -> Tensor:
    """Return a function of images (..., H, W), computed in bands of rows to limit the memory.

    Args:
        change: Function of some rows of all images; each row of its result depends on that row.
        images: Images of one height.
    """
    height, width = images[0].shape[-2:]
    graph = torch.is_grad_enabled() and any(image.requires_grad for image in images)
    if height * width <= BAND or graph:
        return change(*images)
    result, rows = torch.empty(0), max(1, BAND // width)
    for top in range(0, height, rows):
        part = change(*(image[..., top : top + rows, :] for image in images))
        if not top:
            result = part.new_empty(*part.shape[:-2], height, width)
        result[..., top : top + rows, :] = part
    return result


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
            warnings.simplefilter("ignore")  # Pillow warns about palettes that are converted here
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
        return image.float().div_(255).expand(3, -1, -1)  # in place, since photographs are large
    if image.is_floating_point():
        image = image.float()
    else:
        raise InputError(f"Expected an image of dtype uint8 or float, got {image.dtype}.")
    if image.is_meta:
        raise InputError("Expected a tensor with values, got one on 'meta', which has none.")
    low, high = (float(v) for v in image.detach().aminmax())
    if math.isnan(low):
        raise InputError("Expected a float image in [0, 1], got NaN. Fill those pixels first.")
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise InputError(
            f"Expected a float image in [0, 1], got values from {low:g} to {high:g}. Divide by 255?"
        )
    return image.clamp(0, 1).expand(3, -1, -1)
