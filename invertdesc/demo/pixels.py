"""What a picture's header says, looked at before anything of it is decoded."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

from PIL import Image

from invertdesc.errors import FileError, InputError

MOST_PIXELS = 2**26
KINDS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # Pillow runs a program on some others


def check_header(picture: Path | bytes) -> None:
    """Refuse a picture by its kind and size: small files may stand for gigabytes.

    Args:
        picture: A file, or what is in one.

    Raises:
        FileError: No picture, or of a kind that is not read.
        InputError: It has more than `MOST_PIXELS`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            source = BytesIO(picture) if isinstance(picture, bytes) else picture
            with Image.open(source, formats=KINDS) as image:
                width, height = image.size
        except Image.DecompressionBombError as error:
            raise InputError(f"Expected a picture of fewer pixels. {error}") from error
        except (OSError, SyntaxError, ValueError) as error:
            raise FileError(
                "Expected an image file such as PNG or JPEG, got none or one of another kind."
            ) from error
    if width * height > MOST_PIXELS:
        raise InputError(
            f"Expected a picture of at most {MOST_PIXELS:,} pixels, got {width} x {height}. "
            "Shrink it first."
        )
