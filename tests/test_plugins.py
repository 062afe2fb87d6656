"""A package that is not ours is installed, found, fitted and inverted; the guides' code runs."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
GUIDES = HERE.parent / "docs" / "guides"

USE = """
import sys
from pathlib import Path
import torch
from skimage import data
from invertdesc import (
    create_descriptor,
    create_method,
    fit_unfolding,
    list_descriptors,
    list_methods,
)
from invertdesc import LocalFeatures, extract, reconstruct
from invertdesc.errors import FileError
from invertdesc.evaluation.metrics import ncc
from invertdesc.image import to_gray, to_image

torch.set_num_threads(1)
assert "patch-gradients" in list_descriptors("patch-*"), list_descriptors()
assert "dots" in list_methods()
adapter = create_descriptor("patch-gradients")
cat = to_image(data.chelsea()[:200, :200])
try:
    reconstruct(cat, descriptor="patch-gradients")
except FileError:
    pass
else:
    raise AssertionError("there is no unfolding yet")
fitted = fit_unfolding(adapter, [data.astronaut(), data.coffee()])
fitted.save(Path(sys.argv[1]) / "unfolding.safetensors")

extract(cat, descriptor="patch-gradients").save("cat.npz")
picture = reconstruct(LocalFeatures.load("cat.npz"), method="poisson")
alike = ncc(to_gray(picture), to_gray(cat))
assert alike > 0.8, alike
dots = reconstruct(cat, descriptor="patch-gradients", method="dots")
assert dots[0].sum() == len(extract(cat, descriptor="patch-gradients"))
"""


def install(plugin: Path, site: Path) -> None:
    """Do what pip would, without a network: the module, and beside it what it announces."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    shutil.copy(plugin / "invertdesc_example.py", site)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))


def run(code: str, folder: Path, *arguments: str, path: Path | None = None) -> str:
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    paths = [str(path) if path else "", environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plugin_package(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install(HERE / "plugin", site)
    run(USE, tmp_path, str(site), path=site)


@pytest.mark.parametrize(
    ("guide", "printed"),
    [
        ("add-a-descriptor.md", "torch.Size([3, 256, 256])\n"),
        (
            "add-a-method.md",
            "torch.Size([3, 128, 128])\ntorch.Size([1, 2, 128, 128])\ntorch.Size([3, 128, 128])\n",
        ),
    ],
)
def test_guide(guide: str, printed: str, tmp_path: Path) -> None:
    if not GUIDES.is_dir():
        pytest.skip("the docs are not part of this distribution")
    blocks = re.findall(r"```python\n(.*?)```", (GUIDES / guide).read_text(), re.DOTALL)
    assert run("\n".join(blocks), tmp_path) == printed
