"""Load the templates of a report, with filters for safe text, numbers and pictures."""

from __future__ import annotations

import base64
import html
import io
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image
from torch import Tensor

from invertdesc._text import printable
from invertdesc.auditing.report import findings, wording
from invertdesc.image import to_uint8

QUALITY = 85  # JPEG quality


class Jpeg(NamedTuple):
    """A picture in a page: its size in pixels, and its bytes in base 64."""

    width: int
    height: int
    data: str


@cache
def environment() -> Environment:
    """Return the template environment: values are escaped, unknown names are errors."""
    made = Environment(
        loader=FunctionLoader(read),
        autoescape=True,
        finalize=text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "jpeg": jpeg, "percent": percent, "share": share}
    made.globals |= {"findings": findings, "wording": wording}
    return made


def read(name: str) -> str:
    """Return a file of this folder."""
    return files("invertdesc.auditing.report").joinpath(name).read_text("utf-8")


def text(value: object) -> Markup:
    r"""Return a value as HTML text: markup is escaped, unprintable characters become codes.

    >>> text("<b>\u202e")
    Markup('&lt;b&gt;\\u202e')
    """
    return value if isinstance(value, Markup) else Markup(html.escape(printable(value)))


def number(value: float | None, digits: int = 3) -> str:
    """Return a number in the format of the report's tables.

    >>> number(0.12345), number(None)
    ('0.123', '-')
    """
    return "-" if value is None else f"{value + 0.0:.{digits}f}"


def share(value: float | None) -> str:
    """Return a share as text for readers.

    >>> share(0.925), share(0.004), share(None)
    ('92 %', '0.4 %', 'not measured')
    """
    if value is None:
        return "not measured"
    return f"{100 * value:.1f} %" if 0 < value < 0.01 else f"{100 * value:.0f} %"


def percent(share: float) -> str:
    """Return a share as a CSS percentage, from 0% to 100%.

    >>> percent(0.5), percent(-1)
    ('50.0%', '0.0%')
    """
    return f"{100 * min(max(share, 0.0), 1.0):.1f}%"


def jpeg(image: Tensor, side: int) -> Jpeg:
    """Return a picture for the page, shrunk if it is larger than `side`.

    Args:
        image: (3, H, W) RGB in [0, 1].
        side: Maximum length of the longer side in pixels.
    """
    shown = Image.fromarray(to_uint8(image))
    shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    shown.save(buffer, format="JPEG", quality=QUALITY, optimize=True)
    return Jpeg(*shown.size, base64.b64encode(buffer.getvalue()).decode("ascii"))
