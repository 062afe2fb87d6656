"""Fitted and trained weights that ship with the package; README.md is their card."""

from pathlib import Path

FOLDER = Path(__file__).parent
