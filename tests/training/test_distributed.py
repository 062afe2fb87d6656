import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("one_step.py")


def _run(launcher: list[str], *arguments: object) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "FutureWarning" not in done.stderr


@pytest.mark.parametrize("method", ["unfold", "coarse+cgan"])
def test_two_processes_have_the_gradients_of_one(
    method: str, pictures: list[Path], tmp_path: Path
) -> None:
    given = method, pictures[0].parent, tmp_path / "cache"
    _run([], *given, tmp_path / "one.pt")
    two = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    _run(two, *given, tmp_path / "two.pt")
    alone, together = (torch.load(tmp_path / name) for name in ("one.pt", "two.pt"))
    assert together["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert len(alone["gradients"]) == len(together["gradients"]) > 10
    for one, other in zip(alone["gradients"], together["gradients"], strict=True):
        scale = float(one.abs().max())
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4 * scale + 1e-9)
    for one, other in zip(alone["buffers"], together["buffers"], strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6)
