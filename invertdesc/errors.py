"""The errors that invertdesc raises on purpose: one family, each also a builtin of its kind."""


class InvertDescError(Exception):
    """Root of all errors that invertdesc raises on purpose."""


class InputError(InvertDescError, ValueError):
    """A value that a function cannot work with: wrong shape, dtype, range or content."""


class UnknownNameError(InputError):
    """A name that no registry knows."""


class MissingFieldError(InputError):
    """Features lack a field (scales, orientations, ...) that a method cannot do without."""


class FileError(InvertDescError, OSError):
    """A file that cannot be read or written."""


class MissingDependencyError(InvertDescError, ImportError):
    """An optional package is not installed."""


class NoKeypointsWarning(UserWarning):
    """Features hold no keypoint or no descriptor: the picture made from them shows nothing."""


class BadImageWarning(UserWarning):
    """An image of a store cannot be read and was left out."""
