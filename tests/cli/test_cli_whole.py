"""What holds for the `invertdesc` command as a whole, whatever the subcommand."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer
from PIL import Image
from skimage import data

from invertdesc.cli.app import app
from invertdesc.cli.describing import TEXTS
from invertdesc.errors import InvertDescError

Run = Callable[..., tuple[int, str, str]]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """As many as keep any command busy for a while."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(60):
        part = data.astronaut()[number : number + 128, 128:256]
        Image.fromarray(part).save(folder / f"{number:02}.png")
    return folder


def started(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """Start the command as a program of its own, with pipes in place of a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "invertdesc", *map(str, arguments)],
        cwd=cwd,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples(name: str, run: Run) -> None:
    status, out, err = run(name, "-h")
    assert (status, err) == (0, "")
    assert "Examples" in out
    assert f"invertdesc {name}" in out.partition("Examples")[2]


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_is_whole_at_80_columns(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(*name.split(), "-h")
    options, _, examples = out.partition("Examples:")
    cut = [line for line in options.splitlines() if len(line) > 80 or "…" in line]
    cut += [one for one in options.splitlines()[1:] if one.endswith("...")]
    assert cut == []
    words = "".join(options.split())  # as lines may end anywhere
    shown = TEXTS["shared"] | TEXTS[name or "all"]
    for option in shown["options"]:
        assert "".join(shown[option]["help"].split()) in words
    lines = examples.strip("\n").splitlines()
    assert lines[0].startswith("    invertdesc ")
    assert all(line.startswith("    ") for line in lines)  # each its own


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_of_the_whole(arguments: list[str], run: Run) -> None:
    status, out, err = run(*arguments)
    assert (status, err) == (0, "")
    assert "invertdesc reconstruct photo.jpg" in out
    assert all(f" {name} " in out for name in COMMANDS)


def scalar(hint: Any) -> str:
    """Return the type of one value: `Path` for `list[Path] | None`."""
    for part in get_args(hint):
        if part is not type(None):
            return scalar(part)
    return str(hint.__name__)


def test_options_mean_the_same_everywhere() -> None:
    kinds, longs = defaultdict(set), defaultdict(set)
    for command in COMMANDS.values():
        hints = get_type_hints(command.callback)
        for option in command.params:
            if option.param_type_name != "option":
                continue
            long = next(flag for flag in option.opts if flag.startswith("--"))
            kinds[long].add(scalar(hints.get(option.name, bool)))
            for short in set(option.opts) - {long}:
                longs[short].add(long)
    assert {flag: names for flag, names in longs.items() if len(names) > 1} == {}
    assert set(longs) == {"-o", "-d", "-D", "-m", "-M"}
    assert {flag: types for flag, types in kinds.items() if len(types) > 1} == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["recontruct"], "'recontruct'. Did you mean 'reconstruct'? See "),
        (["reconstruct", "--nothing"], "No such option: --nothing"),
        (["reconstruct", "--method"], "'--method' requires an argument. See "),
        (["fit"], "Missing option '--data'. See "),
        (["inspect", "store", "--images", "none"], "Invalid value for '--images'"),
        (["list", "one", "two"], "unexpected extra argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_command_lines_are_told_in_one(arguments: list[str], words: str, run: Run) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert err.startswith("error: ")
    assert err.endswith(" --help.\n")
    assert err.count("\n") == 1


def test_errors_of_many_lines_are_told_in_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise InvertDescError("Expected this,\n  got that.\n")

    monkeypatch.setattr("invertdesc.descriptors.descriptors.names", fail)
    assert run("list") == (2, "", "error: Expected this, got that.\n")


@pytest.mark.parametrize(
    "arguments",
    [["--verbose", "inspect", "none.db"], ["inspect", "none.db", "--verbose"]],
    ids=["before", "behind"],
)
def test_verbose_shows_the_traceback(arguments: list[str], tmp_path: Path) -> None:
    with started(*arguments, cwd=tmp_path) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("Traceback ")
    assert err.splitlines()[-1].startswith("invertdesc.errors.FileError: Expected a store")


def test_list_as_json(run: Run) -> None:
    status, out, _ = run("list", "--json")
    found = json.loads(out)
    assert status == 0
    assert set(found) == {"descriptors", "methods"}
    sift = found["descriptors"]["sift"]
    assert sift.pop("summary").startswith("SIFT: 4 x 4")
    assert sift == {"name": "sift", "needs": [], "ships": ["unfolding"], "default": True}
    assert json.loads(run("list", "--json", "pois*")[1]) == {
        "descriptors": {},
        "methods": {"poisson": found["methods"]["poisson"]},
    }


@pytest.mark.parametrize("option", [("-o", "table.txt"), ("--sheet", "sheet.abc")])
def test_evaluate_refuses_a_suffix_before_the_work(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, str]
) -> None:
    done: list[object] = []
    monkeypatch.setattr("invertdesc.evaluation.folders.evaluate_folders", done.append)
    status, _, err = run("evaluate", "--data", photos, *option)
    assert (status, done) == (2, [])
    assert option[1] in err


def test_evaluate_as_json(run: Run, photos: Path) -> None:
    status, out, _ = run(
        *("evaluate", "--data", photos, "--images", 1, "-m", "poisson", "--json", "-o", "t.json")
    )
    assert status == 0
    assert json.loads(out) == json.loads(Path("t.json").read_text())
    assert json.loads(out)[0]["knows"] == "everything"


def test_in_a_pipe_there_is_no_progress(photos: Path, tmp_path: Path) -> None:
    with started("extract", photos, "-o", "out", cwd=tmp_path) as process:
        assert process.communicate(timeout=120) == ("Wrote 60 files to out.\n", "")
    assert process.returncode == 0


def test_a_pipe_that_is_closed_is_no_error(tmp_path: Path) -> None:
    with started("list", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


STOPPED = {
    # By a slow method: all sixty must not be done between the first file and the signal.
    "reconstruct": ("photos", "-o", "out", "-m", "maxent", "-M", "steps=20", "--batch-size", 2),
    "extract": ("photos", "-o", "out"),
    "evaluate": ("--data", "photos", "-m", "maxent", "-o", "out/table.csv"),
    # The same photographs over and over: sixty are done before the signal.
    "fit": ("-d", "sift", *40 * ("--data", "photos"), "-o", "out/mine.safetensors"),
    "audit": ("photos", "-o", "out/report.html", "--images", 60),
    "train": ("--data", "photos", "-o", "out", "--crop", 64, "--width", 2, "--workers", 1),
}


MANY = ("reconstruct", "extract", "train")  # files


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "reconstruct" else pytest.mark.slow)
        for name in STOPPED
    ],
)
@pytest.mark.usefixtures("interruptible")
def test_stopped_from_the_keyboard(name: str, photos: Path, tmp_path: Path) -> None:
    del photos  # are there
    with started(name, *STOPPED[name], cwd=tmp_path) as process:
        if name in MANY:  # stopped amid their files
            end = time.monotonic() + 120
            while not names(tmp_path / "out") and time.monotonic() < end:
                time.sleep(0.02)
        else:
            time.sleep(6)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "Stopped.\n")
    left = names(tmp_path / "out")
    assert [file for file in left if file.endswith(".part")] == []
    assert len(left) < 60
    assert name in MANY or left == []


def test_fit_takes_so_many_of_each_folder(run: Run, photos: Path) -> None:
    status, out, _ = run(
        *("fit", "-d", "sift", "--data", photos, "--data", photos, "--images", 2),
        *("-o", "mine.safetensors"),
    )
    assert (status, out) == (0, "Wrote mine.safetensors, fitted to 4 photographs.\n")
