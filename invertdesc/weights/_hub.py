"""Weights from huggingface.co."""

from __future__ import annotations

from pathlib import Path

from invertdesc.errors import FileError, MissingDependencyError


def download(repository: str, file: str, revision: str | None) -> Path:
    """Return a file of a repository, from the cache where it has been downloaded before.

    Raises:
        MissingDependencyError: huggingface_hub is not installed.
        FileError: There is no such file, or no network.
    """
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise MissingDependencyError(
            "Expected huggingface_hub, which from_pretrained needs: pip install invertdesc[hub]."
        ) from error
    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except Exception as error:  # its errors have no common root of their own
        raise FileError(
            f"Expected {file} of {repository!r} on huggingface.co, got none: {error}"
        ) from error
