"""The parts of the docs that are made by code: pages from the registries, formulas, links."""

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from invertdesc import list_descriptors, list_methods
from invertdesc.weights import FOLDER

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    not (ROOT / "docs/_ext").exists(), reason="the docs are not part of this distribution"
)


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that writes the pages; Sphinx is named in its types alone."""
    if "sphinx.application" not in sys.modules:
        stand_in = ModuleType("sphinx.application")
        stand_in.Sphinx = object  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "sphinx", ModuleType("sphinx"))
        monkeypatch.setitem(sys.modules, "sphinx.application", stand_in)
    monkeypatch.syspath_prepend(ROOT / "docs/_ext")
    return import_module("zoo")


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "tools")
    return import_module("check_links")


def test_every_descriptor_and_method_has_an_entry(zoo: Any) -> None:
    for page, names in (
        (zoo.descriptors_page({}, {}), list_descriptors()),
        (zoo.methods_page({}, {}), list_methods()),
    ):
        assert re.findall(r"^## `(.+)`$", page, re.MULTILINE) == names
        assert re.findall(r"^\| \[`(.+?)`\]", page, re.MULTILINE) == names


def test_every_file_of_weights_is_named(zoo: Any) -> None:
    pages = zoo.descriptors_page({}, {}) + zoo.methods_page({}, {})
    files = {path.name for path in FOLDER.glob("*.safetensors")}
    shared = {"habits.safetensors", "statistics.safetensors"}  # of the audit
    assert files - shared == set(re.findall(r"`([\w+-]+\.safetensors)`", pages))


def test_figures_are_those_that_were_measured(zoo: Any, tmp_path: Path) -> None:
    row = {"data": "faces", "descriptor": "sift", "gray": "gamma", "method": "unfold"}
    rows = [row | {"images": 50, "ncc": 0.9285, "ncc_error": 0.0044}]
    rows.append(rows[0] | {"gray": "luma", "ncc": 0.1})
    (tmp_path / "steps.json").write_text(json.dumps(rows))
    figures = zoo.read_figures(tmp_path)
    page = zoo.descriptors_page(figures, {"sift": "pictures/descriptor-sift.png"})
    assert "- NCC of `unfold`: 0.928 ± 0.004 on 50 faces." in page
    assert "](pictures/descriptor-sift.png)" in page
    assert "0.100" not in page


def test_people_and_text_are_said_where_they_were_measured(zoo: Any, tmp_path: Path) -> None:
    figures = {"accepted": [0.8, 0.03], "text_20": [0.29, 0.03]}
    run = {"descriptor": "orb", "method": "auto", "faces": 200, "figures": figures}
    runs = [run | {"shuffled": False}, run | {"shuffled": True, "method": "unfold"}]
    (tmp_path / "understood.json").write_text(json.dumps({"runs": runs}))
    page = zoo.descriptors_page({}, {}, zoo.read_understood(tmp_path))
    assert "By `auto`, 0.80 ± 0.03 of 200 people" in page
    assert "By `unfold`" not in page


def test_tables_of_the_docs_are_those_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    tables = import_module("steps_tables")
    results = tables.read_results(ROOT / "benchmarks/results/steps.json")
    page = (ROOT / "docs/performance.md").read_text()
    assert tables.gains(results) in (ROOT / "docs/methods.md").read_text()
    for gray in ("gamma", "luma"):
        assert tables.accuracy(results, gray) in page
    for data in ("faces", "photos"):
        assert tables.by_descriptor(results, data) in page
        assert tables.by_descriptor(results, data).count("\n") >= 21
    readme = (ROOT / "README.md").read_text()
    names = re.search(r"^\| \| (`sift` .+) \|$", readme, re.MULTILINE)
    assert names is not None
    for data, word in (("faces", "faces"), ("photos", "photographs")):
        lines = [
            results[data, name, "gamma", "backprojection"]
            for name in names[1].replace("`", "").split(" | ")
        ]
        cells = [f"{one['ncc']:.3f} ± {one['ncc_error']:.3f}" for one in lines]
        assert f"| {word} | {' | '.join(cells)} |" in readme


def test_the_gallery_counts_to_ten(zoo: Any) -> None:
    key = import_module("order").ByNumber("examples")
    names = ["plot_10_c.py", "plot_9_a.py", "plot_1_b.py"]
    assert sorted(names, key=key) == names[::-1]


def test_formulas_need_no_script() -> None:
    convert = pytest.importorskip("latex2mathml.converter").convert
    page = (ROOT / "docs/how-it-works.md").read_text()
    (formula,) = re.findall(r"\$\$(.+?)\$\$", page, re.DOTALL)
    made = convert(formula, display="block")
    assert made.startswith("<math")
    assert "\\" not in made


def test_dead_links_and_other_hosts_are_found(links: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<a href="sub/b.html#here"></a><a href="sub/b.html#gone"></a><a href="c.html"></a>'
        '<a href="https://host/followed"></a><img src="https://host/picture.png">'
        '<img src="data:image/png;base64,">'
    )
    (tmp_path / "sub/b.html").write_text(
        '<p id="here"></p><a href="../a.html"></a><a href="#nowhere"></a>'
        '<script src="//host/code.js"></script>'
    )
    assert list(links.check(tmp_path)) == [
        "a.html links to sub/b.html#gone, which has no such anchor",
        "a.html links to c.html, which is not there",
        "a.html loads https://host/picture.png",
        "sub/b.html links to #nowhere, which has no such anchor",
        "sub/b.html loads //host/code.js",
    ]
