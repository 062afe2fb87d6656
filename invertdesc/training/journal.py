"""Write losses, pictures and checkpoints of a training run to its folder."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from torch import Tensor

from invertdesc._files import atomic_write
from invertdesc._optional import require
from invertdesc.drawing import contact_sheet
from invertdesc.errors import FileError
from invertdesc.features.batch import FeatureBatch
from invertdesc.image import write_image
from invertdesc.training.checkpoint import save_checkpoint

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from invertdesc.training.data import FeatureData
    from invertdesc.training.run import Run

SAVE_EVERY = 250  # steps


class Journal:
    """Write the losses of each step, and from time to time a checkpoint and pictures.

    Only the first of several processes writes.
    """

    def __init__(self, out: Path, run: Run, shown: FeatureData, *, tensorboard: bool) -> None:
        """Create the journal.

        Args:
            out: Folder of the run.
            run: The run.
            shown: Pictures for the sheet, which are not used for training.
            tensorboard: Whether to write for TensorBoard too.
        """
        self.out, self.run, self.shown = out, run, shown
        self.log = out / "log.jsonl"
        self.leads = run.team.rank == 0
        self._tensorboard = tensorboard
        self._board: SummaryWriter | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Open the files.

        Raises:
            FileError: The log cannot be read or written.
            MissingDependencyError: TensorBoard is wanted, but not installed.
        """
        if self.leads:
            self._trim()
            if self._tensorboard:
                self._board = self._stack.enter_context(_board(self.out))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self._stack.close()

    def write(self, losses: dict[str, float], ended: bool) -> None:
        """Write the losses of a step; at the end of the run, also a checkpoint and pictures.

        Raises:
            FileError: A file cannot be written.
        """
        step = self.run.step
        if not self.leads:
            return
        try:
            with self.log.open("a") as log:
                log.write(json.dumps({"step": step, **losses}) + "\n")
        except OSError as error:
            raise FileError(
                f"Cannot write {self.log}: {error.strerror}. Make room for it."
            ) from error
        if self._board is not None:
            for name, value in losses.items():
                self._board.add_scalar(name, value, step)
        if step % SAVE_EVERY == 0 or ended:
            self._save()

    def _save(self) -> None:
        step = self.run.step
        save_checkpoint(self.out, step, self.run.state())
        with self.run.averaged():
            sheet = self._sheet()
        write_image(sheet, self.out / "sheet.png")
        if self._board is not None:
            self._board.add_image("held out", sheet, step)

    def _sheet(self) -> Tensor:
        """Draw the held-out pictures and their reconstructions from each descriptor."""
        method, shown = self.run.method, self.shown
        count, names = len(shown.paths), self.run.config.descriptors
        rows = [("original", [shown.item(n)[0] for n in range(count)])]
        method.eval()
        for name in dict.fromkeys(names):
            features = [shown.item(n, names.index(name))[1] for n in range(count)]
            rows.append((name, list(method(FeatureBatch.collate(features)))))
        return contact_sheet(rows)

    def _trim(self) -> None:
        """Remove steps from the log that will be repeated."""
        try:
            lines = self.log.read_bytes().splitlines(keepends=True) if self.log.exists() else []
        except OSError as error:
            raise FileError(f"Cannot read {self.log}: {error.strerror}.") from error
        with atomic_write(self.log) as log:
            log.writelines(lines[: self.run.step])


def _board(out: Path) -> SummaryWriter:
    require("tensorboard", "train", needed_by="a log for TensorBoard")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out))
