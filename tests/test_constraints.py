"""The pins that the README's commands install with."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def _required() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    return [one for one in project["dependencies"] + extras if not one.startswith("invertdesc")]


@pytest.fixture(scope="module")
def pins() -> dict[str, list[str]]:
    """The versions of each package; different ones for different versions of Python."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        pin = Requirement(line)
        (exact,) = pin.specifier
        assert exact.operator == "=="
        found.setdefault(canonicalize_name(pin.name), []).append(exact.version)
    return found


@pytest.mark.parametrize("required", _required())
def test_all_that_can_be_installed_is_pinned(required: str, pins: dict[str, list[str]]) -> None:
    one = Requirement(required)
    versions = pins[canonicalize_name(one.name)]
    assert all(one.specifier.contains(version) for version in versions), (one, versions)
