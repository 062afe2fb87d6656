"""The notebooks that the gallery offers for download run, cell by cell, on a CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx_gallery", reason="sphinx-gallery is not installed: the extra docs")
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))
pytestmark = pytest.mark.slow
# Makes a notebook of an example, and runs its cells as a kernel would, without Jupyter.
RUN = """
import json, sys
from pathlib import Path
import matplotlib
matplotlib.use("Agg")
from sphinx_gallery.notebook import python_to_jupyter_cli
example = Path(sys.argv[1])
python_to_jupyter_cli([str(example)])
cells = json.loads(example.with_suffix(".ipynb").read_text())["cells"]
names = {"__name__": "__main__"}
count = 0
for cell in cells:
    if cell["cell_type"] == "code":
        lines = "".join(cell["source"]).splitlines()
        exec("\\n".join(line for line in lines if not line.startswith("%")), names)
        count += 1
assert count > 0
"""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_notebook_runs(example: Path, tmp_path: Path) -> None:
    copy = tmp_path / example.name
    copy.write_text(example.read_text())
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(copy)],
        cwd=tmp_path,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert copy.with_suffix(".ipynb").stat().st_size > 1000
