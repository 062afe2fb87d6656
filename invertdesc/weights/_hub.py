"""Download weights from huggingface.co."""

from __future__ import annotations

from pathlib import Path

from invertdesc._optional import require
from invertdesc.errors import FileError


def download(repository: str, file: str, revision: str | None) -> Path:
    """Return a file of a repository, from the cache if it was downloaded before.

    Raises:
        MissingDependencyError: huggingface_hub is not installed.
        FileError: There is no such file, or no network connection.
    """
    hub = require("huggingface_hub", "hub", needed_by="from_pretrained")
    try:
        return Path(hub.hf_hub_download(repository, file, revision=revision))
    except Exception as error:  # its errors have no common base class
        raise FileError(
            f"Expected {file} of {repository!r} on huggingface.co, got none: {error}"
        ) from error
