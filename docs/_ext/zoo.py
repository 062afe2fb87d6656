"""Write the pages of all descriptors and of all methods, from the registries.

Each entry has a picture that is made when the docs are built, figures of `benchmarks/results`, the
files that ship, and what it needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sphinx.application import Sphinx

from invertdesc import create_descriptor
from invertdesc.descriptors import descriptors
from invertdesc.descriptors.abilities import ABILITIES, abilities
from invertdesc.errors import InvertDescError
from invertdesc.methods import methods
from invertdesc.methods.base import Method, Needs
from invertdesc.weights import FOLDER

LICENCE = "Apache-2.0; fitted or trained on data for research use ({doc}`../model-cards`)"
SAME_UNFOLDING = {"rootsift": "sift", "sift-dense": "sift"}  # whose files serve them
FILES = {  # of methods with weights for some descriptors only
    "coarse": ("coarse-*",),
    "coarse+cgan": ("coarse+cgan-*", "coarse-*"),
    "upconv": ("upconv-*",),
    "biht": ("pattern-*",),
    "unfold+cgan": ("unfold+cgan", "unfold"),
    **dict.fromkeys(("unfold", "auto", "backprojection", "unfold+gradient"), ("unfold",)),
}

ONE_DESCRIPTOR = ("coarse", "coarse+cgan", "upconv")  # weights of each serve one descriptor


@dataclass(frozen=True)
class Figure:
    """The NCC of one descriptor and method on one set of pictures, gray mode gamma."""

    data: str
    images: int
    ncc: float
    error: float

    def __str__(self) -> str:
        """Return the mean with its standard error."""
        return f"{self.ncc:.3f} ± {self.error:.3f}"


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages when a build begins, before the gallery registers what its examples add."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)), priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(docs: Path) -> None:
    """Write `zoo/descriptors.md`, `zoo/methods.md` and their pictures, where they changed."""
    from zoo_pictures import draw_all

    results = docs.parent / "benchmarks/results"
    figures = read_figures(results)
    pictures = draw_all(docs / "zoo/pictures")
    for name, text in (
        ("descriptors", descriptors_page(figures, pictures, read_understood(results))),
        ("methods", methods_page(figures, pictures)),
    ):
        page = docs / f"zoo/{name}.md"
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def read_figures(folder: Path) -> dict[tuple[str, str], list[Figure]]:
    """Return what `benchmarks/steps.py` measured, by descriptor and method."""
    found: dict[tuple[str, str], list[Figure]] = {}
    path = folder / "steps.json"
    for row in json.loads(path.read_text()) if path.exists() else ():
        figure = Figure(row["data"], row["images"], row["ncc"], row["ncc_error"])
        if row["gray"] == "gamma":
            found.setdefault((row["descriptor"], row["method"]), []).append(figure)
    return found


def read_understood(folder: Path) -> dict[tuple[str, str], str]:
    """Return in words what `benchmarks/understood.py` measured, by descriptor and method."""
    found: dict[tuple[str, str], str] = {}
    path = folder / "understood.json"
    for run in json.loads(path.read_text())["runs"] if path.exists() else ():
        if not run["shuffled"]:
            (people, spread), (text, error) = (
                run["figures"][name] for name in ("accepted", "text_20")
            )
            found[run["descriptor"], run["method"]] = (
                f"{people:.2f} ± {spread:.2f} of {run['faces']} people are accepted as "
                f"themselves at 1 % false accepts, {text:.2f} ± {error:.2f} of the characters "
                "of 20 pixels are read"
            )
    return found


def descriptors_page(
    figures: Mapping[tuple[str, str], Sequence[Figure]],
    pictures: Mapping[str, str],
    understood: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> str:
    """Return the page of all descriptors, as Markdown."""
    lines = [
        "# All descriptors",
        "",
        "Generated from the registry when these pages are built. Pictures: keypoints, and what "
        "`unfold` makes of them; none where the extractor needs weights that do not ship. NCC: "
        "means in gamma gray, as `benchmarks/steps.py` measures them; - where it has not. Each "
        "entry says over how many pictures, with the standard error. Files: all that ship for it. "
        f"Licence of these files: {LICENCE}.",
        "",
        "| descriptor | vector | NCC of `unfold`: faces | photographs | files |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in descriptors.names():
        adapter = create_descriptor(name)
        faces, photographs = _by_data(figures.get((name, "unfold"), ()))
        size = _size(_files_of(name))
        lines.append(
            f"| [`{name}`](#{_anchor(name)}) | {_vector(adapter)} | {faces} | {photographs} | "
            f"{size} |"
        )
    for name, summary in descriptors.summaries().items():
        lines += ["", f"({_anchor(name)})=", f"## `{name}`", "", summary, ""]
        if name in pictures:
            lines += [f"![{name}: keypoints and reconstruction]({pictures[name]})", ""]
        lines += [f"- {fact}" for fact in _facts_of_descriptor(name, figures)]
        lines += [
            f"- By `{method}`, {words} ({{doc}}`../what-is-read`)."
            for (one, method), words in understood.items()
            if one == name
        ]
    return "\n".join(lines) + "\n"


def methods_page(
    figures: Mapping[tuple[str, str], Sequence[Figure]], pictures: Mapping[str, str]
) -> str:
    """Return the page of all methods, as Markdown."""
    lines = [
        "# All methods at a glance",
        "",
        "Generated from the registry when these pages are built. {doc}`../methods` explains them "
        "and has more figures. Pictures: SIFT, or dense SIFT for `bovw`; where a method needs a "
        "database, one of a few photographs. Licence of the files: " + LICENCE + ".",
        "",
        "| method | needs | NCC with SIFT: faces | photographs | files |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in methods.names():
        faces, photographs = _by_data(figures.get(("sift", name), ()))
        size = _size(_files_of_method(name))
        lines.append(
            f"| [`{name}`](#method-{_slug(name)}) | {_needs(name)} | {faces} | {photographs} | "
            f"{size} |"
        )
    for name, summary in methods.summaries().items():
        lines += ["", f"(method-{_slug(name)})=", f"## `{name}`", "", summary, ""]
        if f"method {name}" in pictures:
            lines += [f"![{name}: reconstruction]({pictures[f'method {name}']})", ""]
        lines += [f"- Needs: {_needs(name)}."]
        lines += [f"- Files: {_list(_files_of_method(name))}."]
        lines += [f"- NCC with SIFT: {_figures(figures.get(('sift', name), ()))}."]
        lines += [
            f"- In code: {{class}}`{methods.get(name).__module__}.{methods.get(name).__name__}`."
        ]  # type: ignore[attr-defined]
    return "\n".join(lines) + "\n"


def _facts_of_descriptor(
    name: str, figures: Mapping[tuple[str, str], Sequence[Figure]]
) -> Iterable[str]:
    adapter = create_descriptor(name)
    yield f"Vector: {_vector(adapter)}."
    yield f"Its frame needs: {', '.join(['positions', *adapter.frame.needs])}."
    can = sorted(ABILITIES[one] for one in abilities(adapter))
    yield f"Has: {'; '.join(can)}."
    if hasattr(adapter, "weights"):
        yield (
            "To extract, it needs weights, from a file or by kornia's download; to reconstruct "
            "what is stored, it does not."
            if _files_of(name)
            else "To extract, it needs weights, from a file or by kornia's download."
        )
    yield f"Files: {_list(_files_of(name))}."
    for method in ("poisson", "unfold", "backprojection"):
        measured = figures.get((name, method), ())
        if measured:
            yield f"NCC of `{method}`: {_figures(measured)}."


def _vector(adapter: Any) -> str:
    if getattr(adapter, "packed", False):
        return f"{adapter.dim} bits"
    return f"{adapter.dim} numbers"


def _needs(name: str) -> str:
    method = methods.get(name)
    needs = method.needs if isinstance(method, type) and issubclass(method, Method) else Needs()
    own = ["weights for the descriptor"] if name in ONE_DESCRIPTOR else []
    return ", ".join(own + [str(needs)] * (not own or str(needs) != "nothing"))


def _files_of(descriptor: str) -> list[Path]:
    name = SAME_UNFOLDING.get(descriptor, descriptor)
    return sorted(
        path
        for kind in ("unfolding", "signs", "frames", "pattern")
        for path in FOLDER.glob(f"{kind}-{name}.safetensors")
    )


def _files_of_method(name: str) -> list[Path]:
    return sorted(
        path for stem in FILES.get(name, ()) for path in FOLDER.glob(f"{stem}.safetensors")
    )


def _list(files: Sequence[Path]) -> str:
    return ", ".join(f"`{path.name}` ({_size([path])})" for path in files) or "none"


def _size(files: Sequence[Path]) -> str:
    total = sum(path.stat().st_size for path in files)
    if not total:
        return "none"
    return f"{total / 2**20:.1f} MiB" if total > 2**20 else f"{total / 2**10:.0f} KiB"


def _by_data(figures: Iterable[Figure]) -> tuple[str, str]:
    found = {one.data: f"{one.ncc:.2f}" for one in figures}
    return found.get("faces", "-"), found.get("photos", "-")


def _figures(figures: Iterable[Figure]) -> str:
    words = {"faces": "faces", "photos": "photographs"}
    said = [f"{one} on {one.images} {words.get(one.data, one.data)}" for one in figures]
    return ", ".join(said) or "not measured in this form"


def _anchor(name: str) -> str:
    return f"descriptor-{_slug(name)}"


def _slug(name: str) -> str:
    return name.replace("+", "-and-")


def unfolds(name: str) -> bool:
    """Return whether a descriptor's unfolding ships."""
    try:
        _ = create_descriptor(name).unfolding
    except InvertDescError:
        return False
    return True
