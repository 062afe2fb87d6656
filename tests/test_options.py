import math
from typing import Any

import pytest

from invertdesc._options import check_choice, check_range
from invertdesc.errors import InputError


@pytest.mark.parametrize(
    ("value", "bounds", "words"),
    [
        (0, {"least": 1}, ">= 1"),
        (0.0, {"above": 0}, "> 0"),
        (2.5, {"most": 2}, "<= 2"),
        (2, {"below": 2}, "< 2"),
        (-1, {"least": 0, "most": 1}, ">= 0 and <= 1"),
        (2, {"least": 0, "most": 1}, ">= 0 and <= 1"),
        (math.nan, {"above": 0}, "> 0"),
    ],
)
def test_numbers_out_of_range_are_told(value: float, bounds: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        check_range("size", value, **bounds)
    assert str(caught.value) == f"Expected size {words}, got {value}."


def test_numbers_in_range_pass() -> None:
    for value in (0, 0.5, 1, None):
        check_range("size", value, 0, 1)
        check_range("size", value, above=-1, below=2)


def test_choices() -> None:
    check_choice("form", "round", ("round", "flat"))
    with pytest.raises(InputError, match=r"^Expected form among 'round', 'flat'; got 3\.$"):
        check_choice("form", 3, ("round", "flat"))
