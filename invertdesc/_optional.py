"""Import optional packages when they are needed."""

from importlib import import_module
from typing import Any

from invertdesc.errors import MissingDependencyError


def require(module: str, extra: str | None, *, needed_by: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: Name of the module, such as `"h5py"`.
        extra: The extra of invertdesc that installs it; None if pip knows it by its own name.
        needed_by: What needs the package, for the message.

    Raises:
        MissingDependencyError: The package is not installed.

    >>> require("json", None, needed_by="reading a file").__name__
    'json'
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        source = package if extra is None else f"'invertdesc[{extra}]'"
        raise MissingDependencyError(
            f"Expected {package}, which {needed_by} needs: pip install {source}."
        ) from error
