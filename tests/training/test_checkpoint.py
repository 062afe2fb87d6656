from pathlib import Path

import pytest
import torch

from invertdesc.errors import FileError
from invertdesc.training.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint


def test_the_newest_is_loaded_and_only_two_are_kept(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "nowhere") is None
    for step in (5, 10, 15):
        save_checkpoint(tmp_path, step, {"step": step, "tensor": torch.arange(step)})
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step-00000010.ckpt",
        "step-00000015.ckpt",
    ]
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 15


def test_a_corrupt_one_is_told_with_the_last_good_one(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 5, {"step": 5})
    bad = save_checkpoint(tmp_path, 10, {"step": 10})
    bad.write_bytes(bad.read_bytes()[:100])
    with pytest.raises(FileError, match=r"step-00000010\.ckpt.*go on from step-00000005\.ckpt"):
        load_checkpoint(tmp_path)


def test_a_full_disk_leaves_older_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 5, {"step": 5})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(FileError, match="No space left"):
        save_checkpoint(tmp_path, 10, {"step": 10})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005.ckpt"]
