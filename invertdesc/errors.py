"""The errors that invertdesc raises on purpose: one family, each also a builtin of its kind."""


class InvertDescError(Exception):
    """Root of all errors that invertdesc raises on purpose.

    >>> from invertdesc import create_method
    >>> try:
    ...     create_method("unfolt")
    ... except InvertDescError as error:
    ...     print(error)
    Unknown method 'unfolt'. Did you mean 'unfold'?
    """


class InputError(InvertDescError, ValueError):
    """A value that a function cannot work with: wrong shape, dtype, range or content."""


class UnknownNameError(InputError):
    """A name that no registry knows."""


class MissingFieldError(InputError):
    """Features lack a field (scales, orientations, ...) that a method cannot do without."""


class NotApplicableError(InputError):
    """A change of features that does nothing here, or that no method can attack."""


class FileError(InvertDescError, OSError):
    """A file that cannot be read or written."""


class MissingDependencyError(InvertDescError, ImportError):
    """An optional package is not installed."""


class OutOfMemoryError(InvertDescError, MemoryError):
    """Something needs more memory than there is."""


_NO_MEMORY = (  # in what libraries raise that have no type for it, or one of their own
    "DefaultCPUAllocator",  # PyTorch
    "not enough memory",  # PyTorch on Windows
    "out of memory",  # CUDA
    "Insufficient memory",  # OpenCV
)


def find_lack_of_memory(error: Exception) -> OutOfMemoryError | None:
    """Return what to say where an error means that memory is short, or None where it does not."""
    lines = [line.strip() for line in str(error).splitlines()]
    if not isinstance(error, MemoryError) and not any(word in str(error) for word in _NO_MEMORY):
        return None
    reason = next((line for line in lines if line), type(error).__name__).rstrip(".")
    return OutOfMemoryError(
        f"Expected more memory than there is: {reason}. Take smaller pictures, fewer at a time "
        "(--batch-size 1), or a method that needs less, such as poisson."
    )


class NoKeypointsWarning(UserWarning):
    """Features hold no keypoint or no descriptor: the picture made from them shows nothing."""


class BadImageWarning(UserWarning):
    """An image of a store cannot be read and was left out."""
