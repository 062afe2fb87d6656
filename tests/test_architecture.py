"""Who may import whom in the package, and how large things may grow."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import invertdesc

PACKAGE = Path(invertdesc.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(("invertdesc", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): file
    for file in FILES
}


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _imports(node: ast.AST) -> set[str]:
    """Modules of the package that are imported below a node, at once or later, but for types."""
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and child.module:
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                found.add(whole if whole in MODULES else child.module)
        elif isinstance(child, ast.Import):
            found |= {alias.name for alias in child.names}
        elif not _is_for_types(child):
            found |= _imports(child)
    return found & set(MODULES)


def graph() -> dict[str, set[str]]:
    """Each module and those that it imports."""
    return {
        name: _imports(ast.parse(file.read_text(encoding="utf-8"))) - {name}
        for name, file in MODULES.items()
    }


def test_no_circle() -> None:
    try:
        list(TopologicalSorter(graph()).static_order())
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_the_library_does_not_know_the_shell() -> None:
    shell = ("invertdesc.cli", "invertdesc.__main__")
    imported = (
        f"{name} -> {other}"
        for name, others in graph().items()
        for other in others
        if other.startswith(shell) and not name.startswith(shell)
    )
    assert list(imported) == []


def test_features_know_nothing_of_what_is_made_from_them() -> None:
    rooms = {file.parent.name for file in FILES} - {"invertdesc", "features"}
    above = tuple(f"invertdesc.{room}" for room in rooms)
    imported = (
        f"{name} -> {other}"
        for name, others in graph().items()
        for other in others
        if name.startswith("invertdesc.features") and other.startswith(above)
        if name != "invertdesc.features.convert"  # which asks adapters for their units
    )
    assert list(imported) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_files_can_be_overlooked(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= (40 if file.name == "__init__.py" else 350)


def test_the_shell_is_thin() -> None:
    shell = [file for file in FILES if file.parent.name == "cli"]
    counts = {file.stem: len(file.read_text(encoding="utf-8").splitlines()) for file in shell}
    shared = ("__init__", "app", "calling", "describing", "interrupts", "messages")
    assert sum(counts.pop(name) for name in shared) < 460
    assert {name: count for name, count in counts.items() if not 20 <= count <= 60} == {}


def test_the_library_advises_no_option_of_the_shell() -> None:
    """Texts that are printed, and not docstrings, name parameters of Python."""
    found = {
        f"{file.relative_to(PACKAGE)}: {text}"
        for file in FILES
        if file.parent.name not in ("cli", "demo")
        for text in _texts(ast.parse(file.read_text(encoding="utf-8")))
        if re.search(r"(^|[ (`])(--[a-z]|-[dDmMo] )|invertdesc [a-z]+ -", text)
    }
    assert found == set()


def _texts(tree: ast.AST) -> list[str]:
    """Return the texts in code: docstrings and arguments of other programs left out."""
    skipped = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)  # a docstring
    } | {id(part) for node in ast.walk(tree) if isinstance(node, ast.List) for part in node.elts}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in skipped
    ]


@pytest.mark.parametrize(
    "file",
    FILES,
    ids=lambda f: str(f.relative_to(PACKAGE)),
)
def test_functions_can_be_overlooked(file: Path) -> None:
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    }
    assert {name: count for name, count in long.items() if count > 60} == {}
