import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import invertdesc


def run(code: str) -> list[str]:
    """Run code in an interpreter of its own, with warnings as errors; return its lines."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def loaded_after(code: str, names: set[str]) -> set[str]:
    found = run(f"{code}\nimport sys\nprint(*sys.modules)")
    return names & set(found)


def test_import_of_the_package_loads_nothing_heavy() -> None:
    heavy = {"torch", "cv2", "kornia", "triton", "numpy", "PIL", "skimage", "safetensors"}
    assert loaded_after("import invertdesc", heavy) == set()


def test_import_of_the_verbs_and_lists_of_names_load_no_extractor() -> None:
    code = (
        "import invertdesc\n"
        "from invertdesc import LocalFeatures, extract, reconstruct\n"
        "invertdesc.list_descriptors(), invertdesc.list_methods()"
    )
    some = {"torch", "cv2", "kornia", "triton", "skimage", "typer"}
    assert loaded_after(code, some) == {"torch"}


def test_import_has_no_side_effects() -> None:
    code = """
import logging, warnings
import torch
def state():
    return (
        logging.root.handlers[:], len(warnings.filters), torch.get_num_threads(),
        torch.get_default_dtype(), torch.is_grad_enabled(), torch.initial_seed(),
        torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(),
    )
before = state()
import invertdesc
for name in invertdesc.__all__:
    getattr(invertdesc, name)
print(before == state())
"""
    assert run(code) == ["True"]


def test_sift_runs_without_kornia_and_triton() -> None:
    code = """
import sys
sys.modules["kornia"] = sys.modules["triton"] = None
import torch
from invertdesc import extract, reconstruct
rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
image = (0.5 + 0.5 * (rows / 5).sin() * (columns / 6).cos()).expand(3, -1, -1)
features = extract(image, descriptor="sift")
print(len(features) > 0, reconstruct(features).std().item() > 0.1)
"""
    assert run(code) == ["True", "True"]


def test_public_names_are_sorted_and_listed() -> None:
    names = list(invertdesc.__all__)
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert set(names) <= set(dir(invertdesc))
    assert dir(invertdesc) == sorted(dir(invertdesc))


def test_stub_and_package_name_the_same() -> None:
    stub = Path(invertdesc.__file__).with_suffix(".pyi").read_text()
    listed = stub.partition("__all__ = [")[2].partition("]")[0].split(",")
    assert [name.strip().strip('"') for name in listed if name.strip()] == list(invertdesc.__all__)


@pytest.mark.parametrize("name", invertdesc.__all__)
def test_public_name_can_be_imported_and_has_a_docstring(name: str) -> None:
    value: Any = getattr(invertdesc, name)
    if name == "__version__":
        assert re.match(r"\d+\.\d+\.\d+", value)
        return
    assert value.__module__.startswith("invertdesc.")
    assert getattr(import_module(value.__module__), name) is value
    text = inspect.getdoc(value)
    assert text
    assert text.split("\n")[0].endswith((".", ":"))
    assert not text.startswith(f"{name}(")  # what dataclass writes when there is none
    is_error = isinstance(value, type) and issubclass(value, Exception)
    assert ">>> " in text or is_error


MODULES_OF_VERBS = (
    "invertdesc.auditing.audit",
    "invertdesc.evaluation.evaluate",
    "invertdesc.evaluation.compare",
    "invertdesc.training.loop",
    "invertdesc.methods.database",
    "invertdesc.unfolding.fit",
)


@pytest.mark.parametrize("order", [(), MODULES_OF_VERBS, MODULES_OF_VERBS[::-1]])
def test_verbs_are_functions_whatever_was_imported_before(order: tuple[str, ...]) -> None:
    verbs = "audit, collect_database, compare, evaluate, fit_unfolding, train"
    code = f"""
import importlib
for name in {order!r}:
    importlib.import_module(name)
from invertdesc import {verbs}
import invertdesc.auditing.audit, invertdesc.evaluation.compare, invertdesc.evaluation.evaluate
import invertdesc
first = ({verbs})
again = [getattr(invertdesc, one.__name__) for one in first]
print(all(map(callable, first)), [one is two for one, two in zip(first, again)].count(True))
"""
    assert run(code) == ["True", "6"]


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        invertdesc.no_such_name  # noqa: B018
