"""Phrases that are hard to understand do not occur in the docs and the package."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path
    for folder in ("benchmarks", "docs", "examples", "invertdesc", "tools")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".j2", ".md", ".py", ".rst")
    and not {"_build", "auto_examples"} & set(path.parts)
)
# Words of the project's own, "tell" where a file contains something, and descriptions that cannot
# be read without the name in front of them, such as "seed: Of everything drawn."
PHRASES = (
    r"\bthe seed('s|\s+(network|paper)\b)|\(the seed\)",
    r"\(ours\)",
    r"\btold\b",
    r"\b(bits?|descriptors?|vectors?|store|file|source|angles?) (does not |do not )?tells?\b",
    r"\bnobody's business\b",
    r"^\s+\w+: Of [^\n]*",
    r'help="Of [^"]*"',
)


@pytest.mark.parametrize("phrase", PHRASES)
def test_phrase_does_not_occur(phrase: str) -> None:
    found = []
    for path in (ROOT / "README.md", *FILES):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        found += [f"{name}: {hit[0].strip()}" for hit in re.finditer(phrase, text, re.MULTILINE)]
    assert not found
