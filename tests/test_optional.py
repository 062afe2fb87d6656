import math

import pytest

from invertdesc._optional import require
from invertdesc.errors import MissingDependencyError


def test_a_package_that_is_there_is_imported() -> None:
    assert require("math", "hloc", needed_by="arithmetic") is math


@pytest.mark.parametrize(
    ("extra", "source"), [("hloc", "'invertdesc[hloc]'"), (None, "no_such_package")]
)
def test_a_package_that_is_missing_is_named_with_what_installs_it(
    extra: str | None, source: str
) -> None:
    with pytest.raises(MissingDependencyError) as caught:
        require("no_such_package.part", extra, needed_by="a test")
    assert str(caught.value) == (
        f"Expected no_such_package, which a test needs: pip install {source}."
    )
