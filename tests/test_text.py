"""Texts that become values."""

import pytest

from invertdesc._text import (
    parse_by_method,
    parse_choices,
    parse_numbers,
    parse_options,
    parse_size,
    parse_value,
)
from invertdesc.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("luma", "luma"),
        ("", ""),
        ("1,2,3,4", (1.0, 2.0, 3.0, 4.0)),
        ("a,b", "a,b"),
        ("[1, 2]", [1, 2]),
        ("9" * 5000, "9" * 5000),
        ("[" * 100_000, "[" * 100_000),
    ],
    ids=lambda value: str(value)[:12],
)
def test_values_are_read_as_they_are_written(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_choices_may_have_no_value() -> None:
    assert parse_choices(["a", "b=1", "e="]) == [("a", None), ("b", 1), ("e", "")]
    assert parse_choices([]) == []
    assert parse_choices(None) is None


def test_options_are_sorted_by_method() -> None:
    texts = ["coarse+cgan.weights=a.b=c", "gradient.start=noise", "gradient.steps=5"]
    assert parse_by_method(texts) == {
        "coarse+cgan": {"weights": "a.b=c"},
        "gradient": {"start": "noise", "steps": 5},
    }
    assert parse_by_method(None) == {}


@pytest.mark.parametrize("text", ["gradient=5", ".steps=5", "gradient.=5", "steps"])
def test_options_of_no_method_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"METHOD\.NAME=VALUE"):
        parse_by_method([text])


def test_options_that_are_given_otherwise_are_refused() -> None:
    with pytest.raises(InputError, match="Expected descriptor as -d NAME, got 'descriptor=orb'"):
        parse_options(["descriptor=orb"], {"descriptor": "-d NAME"})


@pytest.mark.parametrize("text", ["1", "1/2/3", "-1/2", "a/b", "1/2 ", "1x2", "9999999999/1"])
def test_numbers_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="Expected a shard, got"):
        parse_numbers(text, 2, "/", "a shard")


def test_a_size_has_its_width_first() -> None:
    assert parse_size("640x480") == (480, 640)
    assert parse_size(None) is None
