"""Fitted and trained weights of the package; README.md has their cards."""

from pathlib import Path

FOLDER = Path(__file__).parent
