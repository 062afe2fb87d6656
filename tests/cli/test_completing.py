"""Completion of the command line, as a shell asks for it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from invertdesc import list_descriptors, list_methods
from invertdesc.cli.completing import COMPLETIONS
from invertdesc.sources import EXAMPLES

# As the installed command, by whose name shells and typer know it.
COMMAND = "import sys; sys.argv[0] = 'invertdesc'; from invertdesc.cli import main; main()"


def completed(words: str, tmp_path: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        env=os.environ
        | {
            "_INVERTDESC_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("invertdesc rec", ["reconstruct"]),
        ("invertdesc extract -d rootsi", ["rootsift"]),
        ("invertdesc reconstruct --method unfold+", ["unfold+cgan", "unfold+gradient"]),
        ("invertdesc audit --orig", ["--originals"]),
    ],
)
def test_words_are_completed(words: str, expected: list[str], tmp_path: Path) -> None:
    assert completed(words, tmp_path) == expected


def test_all_names_are_offered() -> None:
    assert COMPLETIONS["descriptor"]("") == list_descriptors()
    assert COMPLETIONS["method"]("") == list_methods()
    assert COMPLETIONS["example"]("") == list(EXAMPLES)


def test_help_names_how_to_install_it(run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, _ = run("--help")
    assert status == 0
    assert "--install-completion" in out
