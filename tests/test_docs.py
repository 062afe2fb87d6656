"""The Python of the pages runs, and links inside the repository lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import invertdesc

ROOT = Path(__file__).parent.parent
MADE = {"_build", "auto_examples", "zoo"}  # by the build
PAGES = [path for path in sorted(ROOT.glob("docs/**/*.md")) if not MADE & set(path.parts)]
NOTES = [
    *PAGES,
    *ROOT.glob("*.md"),
    *ROOT.glob("*/README.md"),
    *ROOT.glob("invertdesc/*/README.md"),
]


def _python(page: Path) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if _python(page)], ids=lambda page: page.stem
)
def test_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _python(page)],
        cwd=tmp_path,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not PAGES, reason="the docs are not part of this distribution")
def test_reference_has_all_public_names() -> None:
    kinds = "class|exception|function"
    pages = "".join(path.read_text() for path in ROOT.glob("docs/api/*.md"))
    told = re.findall(rf"auto(?:{kinds}):: invertdesc\.(\w+)$", pages, re.MULTILINE)
    assert sorted(told) == sorted(set(invertdesc.__all__) - {"__version__"})
    listed = re.findall(r"^   invertdesc\.(\w+)$", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(told)


@pytest.mark.skipif(not PAGES, reason="the docs are not part of this distribution")
def test_links_inside_the_repository_lead_somewhere() -> None:
    dead = []
    for note in NOTES:
        if MADE & set(note.parts):
            continue
        for target in re.findall(r"\]\(([^)#\s]+)", note.read_text()):
            if target.startswith(
                ("http", "mailto:", "zoo/", "auto_examples/")
            ):  # made by the build
                continue
            if not (note.parent / target).exists():
                dead.append(f"{note.relative_to(ROOT)}: {target}")
    assert not dead
