"""How much a file may ask for, and how to let it ask for more."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import pytest

from invertdesc.errors import InputError
from invertdesc.limits import UNITS, Limits, check_limit, get_limits, use_limits


def test_limits_hold_in_a_block_and_for_other_threads() -> None:
    before = get_limits()
    with use_limits(Limits(pixels=5)):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(get_limits).result().pixels == 5
        with pytest.raises(RuntimeError), use_limits(Limits(pixels=6)):
            raise RuntimeError
        assert get_limits().pixels == 5
    assert get_limits() == before == Limits()


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_error_says_what_came_and_how_to_raise_the_limit(name: str) -> None:
    with use_limits(Limits(**{name: 7})):
        check_limit(name, 7, "a thing")
        with pytest.raises(InputError) as caught:
            check_limit(name, 8, "a thing")
    text = f"Expected a thing of at most 7 {UNITS[name]}, got 8. "
    assert str(caught.value).startswith(text)
    assert f"--limit {name}=8, " in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", None])
def test_limit_that_is_none(value: object) -> None:
    with pytest.raises(InputError, match="Expected a limit pixels of at least 1, got"):
        Limits(pixels=value)


def test_photographs_of_24_megapixels_are_within() -> None:
    assert Limits().pixels >= 6048 * 4032
    assert Limits().keypoints >= 2**20
