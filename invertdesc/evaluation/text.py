"""Text: what a program reads in a picture, how much of it is right, and pages to test with."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from invertdesc._optional import require
from invertdesc.errors import InvertDescError, MissingDependencyError
from invertdesc.image import encode_image, to_image, to_uint8

# English words without a letter that is hard to tell from another; half of the lines hold numbers.
WORDS = [
    "river",
    "market",
    "window",
    "garden",
    "doctor",
    "street",
    "number",
    "bridge",
    "planet",
    "summer",
    "winter",
    "harbor",
    "letter",
    "museum",
    "pencil",
    "copper",
    "silver",
    "magnet",
    "carpet",
    "engine",
    "forest",
    "rocket",
    "basket",
    "shadow",
    "stamp",
    "cloud",
]
LEAST_CHARACTERS = 6  # in a picture, for it to count as one with text
LEAST_SURE = 0.8  # of what is read in originals: the reader's own confidence
SMALL = 736  # pixels: pictures whose shorter side is below are enlarged to it, as readers expect


class Share(NamedTuple):
    """How much of a text was read.

    Attributes:
        characters: 1 - edit distance / length, at least 0, of letters and digits alone.
        words: Share of the words that were read as they are; spaces may be missing around them.
    """

    characters: float
    words: float


class TextReader(Protocol):
    """A program that reads text in pictures."""

    @property
    def name(self) -> str:
        """What a report calls it."""

    def read(self, picture: Tensor, sure: float = 0.0) -> str:
        """Read a picture (3, H, W), RGB in [0, 1], from top to bottom, a line of text a line.

        Args:
            picture: The picture.
            sure: The least confidence, from 0 to 1, of lines that count.
        """


class RapidReader:
    """RapidOCR with the models of PP-OCRv4; see `TextReader`.

    Raises:
        MissingDependencyError: It is not installed.

    Source: Du et al., "PP-OCR: a practical ultra lightweight OCR system", 2020.
    """

    name = "RapidOCR"

    def __init__(self) -> None:
        self._engine = _rapid()

    def read(self, picture: Tensor, sure: float = 0.0) -> str:
        """Read a picture (3, H, W); see `TextReader`."""
        found, _ = self._engine(np.ascontiguousarray(to_uint8(picture)[..., ::-1]))
        lines = [(box, text) for box, text, score in found or [] if float(score) >= sure]
        lines.sort(key=lambda line: min(y for _, y in line[0]))
        return "\n".join(text for _, text in lines)


class TesseractReader:
    """The program tesseract; see `TextReader`.

    Raises:
        MissingDependencyError: There is no such program.

    Source: Smith, "An overview of the Tesseract OCR engine", ICDAR 2007.
    """

    name = "tesseract"

    def __init__(self) -> None:
        found = shutil.which("tesseract")
        if found is None:
            raise MissingDependencyError(
                "Expected the program tesseract: install it with your system's package manager."
            )
        self._program = found

    def read(self, picture: Tensor, sure: float = 0.0) -> str:
        """Read a picture (3, H, W); see `TextReader`."""
        height, width = picture.shape[1:]
        factor = max(1.0, SMALL / min(height, width))
        shown = Image.fromarray(to_uint8(picture))
        large = shown.resize(
            (round(width * factor), round(height * factor)), Image.Resampling.BICUBIC
        )
        done = subprocess.run(  # a program that was looked up, and no shell
            [self._program, "stdin", "stdout", "--psm", "6", "tsv"],
            input=encode_image(to_image(large), "PNG"),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            reason = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
            raise InvertDescError(f"tesseract cannot read a picture: {reason}.")
        return _lines(done.stdout.decode("utf-8", "replace"), sure)


def has_reader() -> bool:
    """Say whether `load_reader` finds a program that reads text."""
    return find_spec("rapidocr_onnxruntime") is not None or shutil.which("tesseract") is not None


def load_reader() -> TextReader:
    """Return RapidOCR where it is installed, else tesseract.

    Raises:
        MissingDependencyError: Neither is there.
    """
    if find_spec("rapidocr_onnxruntime") is not None:
        return RapidReader()
    if shutil.which("tesseract") is not None:
        return TesseractReader()
    raise MissingDependencyError(
        "Expected a program that reads text, found none. Install tesseract with your system's "
        "package manager, or RapidOCR as the guide on audits says: not by a plain pip install, "
        "which brings a second OpenCV."
    )


def share_read(truth: str, found: str) -> Share:
    """Return how much of a text was read; case, spaces and punctuation do not count.

    >>> share_read("Harbor 42", "harbor 47")
    Share(characters=0.875, words=0.5)
    """
    wanted = _words(truth)
    letters = "".join(wanted)
    if not letters:
        return Share(1.0, 1.0)
    lines = ["".join(_words(line)) for line in found.splitlines()]
    away = _edit_distance(letters, "".join(lines))
    return Share(max(0.0, 1 - away / len(letters)), _count(wanted, lines) / len(wanted))


def has_text(text: str) -> bool:
    """Say whether there is enough of a text to measure how much of it is read again."""
    return len("".join(_words(text))) >= LEAST_CHARACTERS


def text_page(height: int = 20, side: int = 256, seed: int = 0) -> tuple[Tensor, str]:
    """Draw a page of black words and numbers on white.

    Args:
        height: Approximate height of the letters in pixels, from the top of h to the foot of p.
        side: Side of the page in pixels.
        seed: Random seed of the words.

    Returns:
        (3, side, side) RGB in [0, 1], and the text, a line a line.

    >>> page, text = text_page()
    >>> page.shape, len(text.split())
    (torch.Size([3, 256, 256]), 24)
    """
    generator = torch.Generator().manual_seed(seed)
    font: Any = ImageFont.load_default(height)
    page = Image.new("RGB", (side, side), "white")
    drawing, lines = ImageDraw.Draw(page), []
    step = round(1.5 * height)
    for top in range(step // 2, side - step, step):
        line = ""
        while True:
            longer = f"{line} {_next(generator)}".strip()
            if drawing.textlength(longer, font=font) > side - step:
                break
            line = longer
        drawing.text((step // 2, top), line, fill="black", font=font)
        lines.append(line)
    return to_image(page), "\n".join(lines)


def _next(generator: torch.Generator) -> str:
    number, digits, which = torch.randint(1 << 30, (3,), generator=generator).tolist()
    return str(digits % 9000 + 1000) if number % 3 == 0 else WORDS[which % len(WORDS)]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _count(wanted: Sequence[str], lines: Sequence[str]) -> int:
    """Return how many words are in the lines, each place for one word alone."""
    left, right = " ".join(lines), 0
    for word in sorted(wanted, key=len, reverse=True):
        if word in left:
            left = left.replace(word, " ", 1)
            right += 1
    return right


def _edit_distance(one: str, other: str) -> int:
    """Return Levenshtein's distance, a row of the table at a time."""
    if not other:
        return len(one)
    letters = np.frombuffer(other.encode("utf-32-le"), np.uint32)
    places = np.arange(len(other) + 1)
    row = places.copy()
    for number, letter in enumerate(one, 1):
        kept = row[:-1] + (letters != ord(letter))
        best = np.concatenate([[number], np.minimum(row[1:] + 1, kept)])
        row = np.minimum.accumulate(best - places) + places  # insertions
    return int(row[-1])


def _lines(table: str, sure: float) -> str:
    """Return the lines of text in tesseract's table of words."""
    found: dict[Sequence[str], list[str]] = {}
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) == 12 and cells[11].strip() and float(cells[10]) >= 100 * sure:
            found.setdefault(tuple(cells[1:5]), []).append(cells[11])
    return "\n".join(" ".join(words) for words in found.values())


@cache
def _rapid() -> Any:
    """Return the engine, with its models read once."""
    rapid = require("rapidocr_onnxruntime", "text", needed_by="reading text")
    return rapid.RapidOCR()
