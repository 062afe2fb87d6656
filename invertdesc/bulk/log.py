"""Log the outcome of each image of a bulk run as JSON lines, which survive a killed run."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

from invertdesc.bulk.jobs import Outcome, Status
from invertdesc.errors import FileError


def log_path(out: Path, shard: tuple[int, int]) -> Path:
    """Return the path of a run's log; each shard has its own file, since shards run in parallel.

    >>> log_path(Path("out"), (0, 1)).name, log_path(Path("out"), (2, 4)).name
    ('metrics.jsonl', 'metrics-2-of-4.jsonl')
    """
    number, count = shard
    return out / ("metrics.jsonl" if count == 1 else f"metrics-{number}-of-{count}.jsonl")


class Log:
    """A file to which runs append one line per image; the last line of an image is valid.

    An incomplete line of a killed run is removed. The file is created with its first line.
    """

    def __init__(self, path: Path) -> None:
        """Read the lines of earlier runs.

        Raises:
            FileError: The file cannot be read, or is a link, which could point outside the folder.
        """
        self.path = path
        self._file: BinaryIO | None = None
        if path.is_symlink():
            raise FileError(f"Expected to write metrics to a file, got the link {path}.")
        try:
            self._known, self._end = _read(path)
        except OSError as error:
            raise FileError(f"Cannot read {path}: {error.strerror or error}.") from error

    def note(self, outcome: Outcome) -> None:
        """Add a line, except for an existing picture that has a line already.

        Raises:
            FileError: The file cannot be written.
        """
        if outcome.status is Status.THERE and outcome.image in self._known:
            return
        whole = asdict(replace(outcome, hint=None))
        fields = {name: value for name, value in whole.items() if value not in (None, {})}
        line = json.dumps(fields, ensure_ascii=False).encode(errors="replace")
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(line + b"\n")
        except OSError as error:
            raise FileError(f"Cannot write {self.path}: {error.strerror or error}.") from error

    def noting(self, outcomes: Generator[Outcome]) -> Generator[Outcome]:
        """Yield outcomes, each once its line is written."""
        with closing(outcomes):
            for outcome in outcomes:
                self.note(outcome)
                yield outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            with self.path.open("r+b") as file:
                file.truncate(self._end)
        return self.path.open("ab", buffering=0)  # one call per line keeps lines complete


def _read(path: Path) -> tuple[set[str], int]:
    """Return the images that have a line, and the end of the last complete line."""
    known: set[str] = set()
    end = 0
    if not path.exists():
        return known, end
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            name = _image_of(line)
            if name is not None:
                known.add(name)
    return known, end


def _image_of(line: bytes) -> str | None:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    name = found.get("image") if isinstance(found, dict) else None
    return name if isinstance(name, str) else None
