"""Text that is read is compared with what is written."""

import shutil

import pytest
import torch

from invertdesc.errors import MissingDependencyError
from invertdesc.evaluation import text
from invertdesc.evaluation.text import (
    RapidReader,
    TesseractReader,
    has_text,
    load_reader,
    share_read,
    text_page,
)


@pytest.mark.parametrize(
    ("found", "characters", "words"),
    [
        ("Market 1234\nriver", 1.0, 1.0),
        ("market1234\nriver", 1.0, 1.0),  # readers drop spaces
        ("MARKET, 1234. River!", 1.0, 1.0),
        ("market 1239 river", 14 / 15, 2 / 3),  # one letter of fifteen
        ("", 0.0, 0.0),
        ("a quite different and much longer text that holds none of it", 0.0, 0.0),
    ],
)
def test_letters_and_words_are_counted(found: str, characters: float, words: float) -> None:
    share = share_read("market 1234\nriver", found)
    assert share.characters == pytest.approx(characters)
    assert share.words == pytest.approx(words)


def test_a_word_counts_once_for_each_time_it_is_read() -> None:
    assert share_read("river river", "river").words == 0.5
    assert share_read("art market", "market").words == 0.5  # not art within market, too


@pytest.mark.parametrize(
    ("one", "other", "away"), [("kitten", "sitting", 3), ("abc", "", 3), ("abc", "abc", 0)]
)
def test_edit_distances_by_hand(one: str, other: str, away: int) -> None:
    assert text._edit_distance(one, other) == away


def test_there_is_text_from_some_letters_on() -> None:
    assert has_text("AB 1234")
    assert not has_text("AB 12 !?.-")


def test_a_page_is_black_on_white_and_the_same_again() -> None:
    page, written = text_page(16, 128, seed=3)
    again, same = text_page(16, 128, seed=3)
    assert torch.equal(page, again)
    assert written == same
    assert text_page(16, 128, seed=4)[1] != written
    assert (page.min(), page.max()) == (0, 1)
    assert float(page.mean()) > 0.7


def test_lines_of_tesseract_are_put_together() -> None:
    head = "level\tpage\tblock\tpar\tline\tword\tleft\ttop\twidth\theight\tconf\ttext"
    rows = [
        "5\t1\t1\t1\t1\t1\t0\t0\t9\t9\t96.1\triver",
        "5\t1\t1\t1\t1\t2\t0\t0\t9\t9\t40\tmarket",
        "4\t1\t1\t1\t2\t0\t0\t0\t9\t9\t-1\t",
        "5\t1\t1\t1\t2\t1\t0\t0\t9\t9\t90\tsign",
    ]
    table = "\n".join([head, *rows])
    assert text._lines(table, 0.0) == "river market\nsign"
    assert text._lines(table, 0.8) == "river\nsign"


def test_without_a_reader_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert not text.has_reader()
    with pytest.raises(MissingDependencyError, match="tesseract"):
        load_reader()
    with pytest.raises(MissingDependencyError, match="tesseract"):
        TesseractReader()


def test_a_page_is_read() -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    page, written = text_page(24, 192)
    assert share_read(written, RapidReader().read(page)).characters > 0.95
    assert share_read(written, RapidReader().read(page.flip(1))).characters < 0.5
