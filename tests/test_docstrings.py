"""Every public name says what it is, and its docstring speaks of what is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

import invertdesc

PACKAGE = Path(invertdesc.__file__).parent
MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if not any(
        part.startswith("_") and part not in ("__init__.py", "__main__.py")
        for part in path.relative_to(PACKAGE).parts
    )
)
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Documented: TypeAlias = ast.ClassDef | Function


def is_public(name: str) -> bool:
    return not name.startswith("_")


def public(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    """Yield what a module defines for others: functions, classes and their methods."""
    for node in tree.body:
        if isinstance(node, Documented) and is_public(node.name):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            parts = (part for part in node.body if isinstance(part, Function))
            yield from ((f"{node.name}.{one.name}", one) for one in parts if is_public(one.name))


def adds_to_another(node: Documented) -> bool:
    """Say whether another of the same name has the docstring: for an overload, a setter."""
    marks = {ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list}
    return bool(marks & {"overload", "setter"})


def section(text: str, title: str) -> set[str]:
    """Return the names that a section of a Google style docstring lists."""
    found = re.search(rf"^{title}:\n((?:(?: .*)?\n)+)", text + "\n\n", re.MULTILINE)
    return set(re.findall(r"^    \*{0,2}(\w+):", found[1], re.MULTILINE)) if found else set()


def parameters(function: Function) -> set[str]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {one.arg for one in every if one} - {"self", "cls"}


def fields(node: ast.ClassDef) -> set[str]:
    """Return the public fields that a dataclass adds."""
    annotated = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    return {
        part.target.id
        for part in annotated
        if isinstance(part.target, ast.Name)
        and is_public(part.target.id)
        and "ClassVar" not in ast.unparse(part.annotation)
    }


def complaints(name: str, node: Documented) -> Iterator[str]:
    text = ast.get_docstring(node)
    if adds_to_another(node):
        return
    if not text or not text.split("\n")[0].endswith((".", ":")):
        yield f"{name} has no docstring whose first line is a sentence: {text!r}"
        return
    if not isinstance(node, ast.ClassDef):
        for unknown in section(text, "Args") - parameters(node):
            yield f"{name} has no parameter {unknown!r}"
    elif not node.bases and any("dataclass" in ast.unparse(one) for one in node.decorator_list):
        told = section(text, "Attributes")
        for unknown in told and told ^ fields(node):
            yield f"{name} tells of {sorted(told)}, not of {unknown!r}, or there is none"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_names_have_docstrings_that_fit(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert [text for name, node in public(tree) for text in complaints(name, node)] == []


def test_all_of_the_package_is_walked() -> None:
    assert len(MODULES) > 80
    assert {"api.py", "features/local.py", "cli/demo.py"} <= {
        path.relative_to(PACKAGE).as_posix() for path in MODULES
    }


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def run(a):\n    pass", "run has no docstring"),
        ('def run(a):\n    """Run"""', "run has no docstring"),
        ('class A:\n    """Be."""\n    def run(self):\n        pass', "A.run has no docstring"),
        (
            'def run(a):\n    """Run.\n\n    Args:\n        a: Is.\n        b: Is not.\n    """',
            "run has no parameter 'b'",
        ),
        (
            '@dataclass\nclass A:\n    """Be.\n\n    Attributes:\n        b: Is not.\n    """\n'
            "    b: int\n    c: int",
            "not of 'c'",
        ),
    ],
)
def test_what_is_missing_is_found(code: str, words: str) -> None:
    found = [text for name, node in public(ast.parse(code)) for text in complaints(name, node)]
    assert len(found) == 1
    assert words in found[0]
