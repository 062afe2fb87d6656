"""Limits for files, since a few bytes can claim any number of pixels, values or bytes.

A process has one value of `Limits`, for all its threads. With the defaults, `poisson` and `unfold`
take about 1.5 GB of memory at most for any small file of features. Raise the limits only for files
that you trust.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields

from invertdesc.errors import InputError

UNITS = {
    "pixels": "pixels",
    "keypoints": "keypoints",
    "width": "values each",
    "values": "values",
    "unpacked": "bytes once unpacked",
    "file": "bytes",
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest sizes that are accepted from a file.

    Attributes:
        pixels: Pixels of an image that is read, and of the image size in a file of features.
        keypoints: Keypoints of an image.
        width: Values or bytes of a descriptor.
        values: Values of one array.
        unpacked: Bytes of the packed or compressed data of an image, after unpacking.
        file: Bytes of a file that is read as a whole.

    Raises:
        InputError: A limit is below 1.

    >>> Limits(pixels=50_000_000).keypoints
    1048576
    """

    pixels: int = 25_000_000  # photographs of 24 megapixels have up to 24.6 million
    keypoints: int = 2**20  # extractors find some thousands
    width: int = 2**14
    values: int = 2**28
    unpacked: int = 2**25  # OpenCV's text takes up to 37 times as much memory
    file: int = 2**30

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"Expected a limit {field.name} of at least 1, got {value!r}.")

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Limits:
        """Return limits from a mapping; those that it does not name stay as they are by default.

        Raises:
            InputError: No such limit, or no whole number above 0.

        >>> Limits.of({"pixels": 1e8}).pixels
        100000000
        """
        names = [field.name for field in fields(cls)]
        given: dict[str, int] = {}
        for name, value in values.items():
            if name not in names:
                raise InputError(f"Expected a limit, one of {', '.join(names)}; got {name!r}.")
            if not isinstance(value, int | float) or value != value // 1:
                raise InputError(f"Expected a limit {name}=NUMBER, got {value!r}.")
            given[name] = int(value)
        return cls(**given)


_current = Limits()


def get_limits() -> Limits:
    """Return the limits of this process.

    >>> get_limits().pixels
    25000000
    """
    return _current


def set_limits(limits: Limits) -> None:
    """Set the limits of this process, for all its threads.

    >>> before = get_limits()
    >>> set_limits(Limits(pixels=100))
    >>> get_limits().pixels
    100
    >>> set_limits(before)
    """
    global _current  # not a context variable, since threads that read ahead must see it
    _current = limits


@contextmanager
def use_limits(limits: Limits) -> Iterator[None]:
    """Set the limits of this process for a block, for all its threads.

    >>> with use_limits(Limits(pixels=200_000_000)):
    ...     get_limits().pixels
    200000000
    """
    before = get_limits()
    set_limits(limits)
    try:
        yield
    finally:
        set_limits(before)


def check_limit(name: str, wanted: int, what: str) -> None:
    """Check a number that a file claims, before anything is allocated for it.

    Args:
        name: Field of `Limits`.
        wanted: Number that the file claims.
        what: What has this number, for the message, such as `"an image"`.

    Raises:
        InputError: The number is above the limit.
    """
    most = getattr(get_limits(), name)
    if wanted > most:
        raise InputError(
            f"Expected {what} of at most {most} {UNITS[name]}, got {wanted}. If you trust it, "
            f"raise the limit {name}: use_limits(Limits({name}={wanted}))."
        ).with_hint(limits=f"{name}={wanted}")
