"""The first picture of a process loads only what it runs."""

import json
import subprocess
import sys

HEAVY = ("kornia", "ray", "sympy", "torch._dynamo", "torch.distributed.fsdp", "triton")
PROGRAM = f"""
import json, sys
import numpy as np
from invertdesc import reconstruct
reconstruct((np.random.default_rng(0).random((64, 64)) * 255).astype(np.uint8))
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""


def test_neither_compilers_nor_clusters_are_loaded() -> None:
    command = [sys.executable, "-c", PROGRAM]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(made.stdout) == []
