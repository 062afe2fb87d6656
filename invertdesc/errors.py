"""The errors of invertdesc: one family; each is also a builtin error of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True)
class Hint:
    """What mends an error: a parameter to give, or a public function to call first.

    Programs that have words of their own for parameters, as the shell has, translate it.

    Attributes:
        verb: Name of the function to call first, such as `"collect_database"`; None where the one
            that failed is to be called again with the parameters.
        options: Values of parameters, by name. A text in capitals, such as `"FILE"`, stands for
            what the reader chooses.
    """

    verb: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)


class InvertDescError(Exception):
    """Base class of all errors of invertdesc.

    Attributes:
        hint: What mends it, where that can be said in parameters, or None.

    >>> from invertdesc import create_method
    >>> try:
    ...     create_method("unfolt")
    ... except InvertDescError as error:
    ...     print(error)
    Unknown method 'unfolt'. Did you mean 'unfold'?
    """

    hint: Hint | None = None

    def with_hint(self, verb: str | None = None, **options: object) -> Self:
        """Return this error, with a hint.

        >>> InputError("Expected an empty folder.").with_hint(resume=True).hint
        Hint(verb=None, options={'resume': True})
        """
        self.hint = Hint(verb, options)
        return self


class InputError(InvertDescError, ValueError):
    """An invalid value: wrong shape, dtype, range or content."""


class UnknownNameError(InputError):
    """A name that is not in the registry."""


class MissingFieldError(InputError):
    """Features lack a field (scales, orientations, ...) that a method needs."""


class NotApplicableError(InputError):
    """A change of features that has no effect here, or that no method can attack."""


class FileError(InvertDescError, OSError):
    """A file that cannot be read or written."""


class MissingDependencyError(InvertDescError, ImportError):
    """An optional package is not installed."""


class OutOfMemoryError(InvertDescError, MemoryError):
    """An operation needs more memory than there is."""


_NO_MEMORY = (  # parts of messages of libraries, which have no common type for this error
    "DefaultCPUAllocator",  # PyTorch
    "not enough memory",  # PyTorch on Windows
    "out of memory",  # CUDA
    "Insufficient memory",  # OpenCV
)


def find_lack_of_memory(error: Exception) -> OutOfMemoryError | None:
    """Return a message if an error means too little memory, otherwise None."""
    lines = [line.strip() for line in str(error).splitlines()]
    if not isinstance(error, MemoryError) and not any(word in str(error) for word in _NO_MEMORY):
        return None
    reason = next((line for line in lines if line), type(error).__name__).rstrip(".")
    return OutOfMemoryError(
        f"Expected more free memory: {reason}. Use smaller pictures, fewer at a time, or "
        "a method that needs less, such as poisson."
    ).with_hint(batch_size=1)


def find_hint(error: BaseException | None) -> Hint | None:
    """Return the hint of an error, or else of the nearest of its causes that has one.

    >>> try:
    ...     try:
    ...         raise InputError("Expected a small image.").with_hint(max_side=512)
    ...     except InputError as cause:
    ...         raise FileError("Cannot use photo.png.") from cause
    ... except FileError as error:
    ...     print(find_hint(error))
    Hint(verb=None, options={'max_side': 512})
    """
    while error is not None:
        if isinstance(error, InvertDescError) and error.hint is not None:
            return error.hint
        error = error.__cause__
    return None


class NoKeypointsWarning(UserWarning):
    """Features have no keypoints or no descriptors, so their picture shows nothing."""


class FramesRecoveredWarning(UserWarning):
    """Features came without orientations or scales that a method needs; they were recovered."""


class DownloadWarning(UserWarning):
    """Weights that do not ship are about to be downloaded: what, how much, and from where."""


class BadImageWarning(UserWarning):
    """An image of a store cannot be read and was left out."""
