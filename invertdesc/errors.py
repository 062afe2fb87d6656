"""The errors of invertdesc: one family; each is also a builtin error of its kind."""


class InvertDescError(Exception):
    """Base class of all errors of invertdesc.

    >>> from invertdesc import create_method
    >>> try:
    ...     create_method("unfolt")
    ... except InvertDescError as error:
    ...     print(error)
    Unknown method 'unfolt'. Did you mean 'unfold'?
    """


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
        f"Expected more free memory: {reason}. Use smaller pictures, fewer at a time "
        "(--batch-size 1), or a method that needs less, such as poisson."
    )


class NoKeypointsWarning(UserWarning):
    """Features have no keypoints or no descriptors, so their picture shows nothing."""


class BadImageWarning(UserWarning):
    """An image of a store cannot be read and was left out."""
