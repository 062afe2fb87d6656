"""Small pieces of HTML: text that is safe, numbers, pictures inside the page."""

from __future__ import annotations

import base64
import html
import io

from PIL import Image
from torch import Tensor

from invertdesc._text import printable
from invertdesc.image import to_uint8

QUALITY = 85  # of JPEG


def text(value: object) -> str:
    r"""Return a value as HTML text: markup escaped, what cannot be printed shown as a code.

    >>> text("<b>\u202e")
    '&lt;b&gt;\\u202e'
    """
    return html.escape(printable(value))


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as it stands in tables, in report and tests alike.

    >>> number(0.12345), number(None)
    ('0.123', '-')
    """
    return "-" if value is None else f"{value + 0.0:.{digits}f}"


def picture(image: Tensor, alt: str, *, side: int) -> str:
    """Return an <img> that holds a picture (3, H, W), made smaller where it is larger than `side`.

    Args:
        image: RGB in [0, 1].
        alt: What is to be seen, in words.
        side: Pixels of the longer side at most.
    """
    shown = Image.fromarray(to_uint8(image))
    shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    shown.save(buffer, format="JPEG", quality=QUALITY, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = shown.size
    return (
        f'<img width="{width}" height="{height}" alt="{text(alt)}" '
        f'src="data:image/jpeg;base64,{data}">'
    )


def bullets(sentences: list[str]) -> str:
    """Return a list."""
    return "<ul>" + "".join(f"<li>{text(one)}</li>" for one in sentences) + "</ul>"
