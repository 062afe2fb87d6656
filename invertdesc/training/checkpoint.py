"""Save and load the states of a run, from which it can be resumed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from invertdesc._files import atomic_write
from invertdesc.errors import FileError

KEEP = 2


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a state and remove all but the newest two.

    Raises:
        FileError: The file cannot be written, or the disk is full; older states are kept.
    """
    path = folder / f"step-{step:08d}.ckpt"
    with atomic_write(path) as file:
        torch.save(state, file)
    for old in list_checkpoints(folder)[:-KEEP]:
        old.unlink()
    return path


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the states in a folder, oldest first."""
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in found if re.fullmatch(r"step-\d{8}\.ckpt", path.name))


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read the newest state; None if there is none.

    Raises:
        FileError: The file is corrupt; the message names the last good one.
    """
    states = list_checkpoints(folder)
    if not states:
        return None
    state = _read(states[-1])
    if state is None:
        good = next((path for path in reversed(states[:-1]) if _read(path)), None)
        advice = f"Delete it to go on from {good.name}." if good else "Delete it and start anew."
        raise FileError(
            f"Expected a whole checkpoint, got {states[-1]}, which is corrupt. {advice}"
        )
    return state


def _read(path: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except Exception:  # broken files can raise anything in torch.load
        return None
    return state
