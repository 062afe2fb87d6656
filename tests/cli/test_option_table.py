"""The table of options, and what the command makes of errors' hints."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from skimage import data

import invertdesc
from invertdesc.auditing.defences.defences import DEFENCES
from invertdesc.auditing.threats import THREATS
from invertdesc.cli.app import app
from invertdesc.cli.describing import TEXTS, describe
from invertdesc.cli.messages import with_options
from invertdesc.errors import FileError, Hint, InputError, find_hint
from invertdesc.methods.recipe import TrainConfig
from invertdesc.sources import EXAMPLES

Run = Callable[..., tuple[int, str, str]]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SECTIONS = {name for name, section in TEXTS.items() if "options" in section}


def test_every_command_has_a_section() -> None:
    assert set(COMMANDS) | {"all"} == SECTIONS


@pytest.mark.parametrize("name", SECTIONS)
def test_no_line_is_left_over(name: str) -> None:
    assert set(TEXTS[name]) - {"options"} <= set(TEXTS[name]["options"])


def test_no_shared_line_is_left_over() -> None:
    sections = [TEXTS[name] for name in SECTIONS]
    used = {option for one in sections for option in one["options"] if option not in one}
    assert used == set(TEXTS["shared"])


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_plain_sentences(name: str) -> None:
    for option in COMMANDS[name].params:
        if option.name != "help":
            assert option.help[0].isupper() or option.help.startswith("unfold"), option.name
            assert option.help.endswith((".", "...")), option.name


def test_an_option_without_a_line_is_a_fault() -> None:
    def command(nothing: int = 0) -> None:
        """Do nothing."""

    with pytest.raises(KeyError):
        describe(command, "nothing")


def test_the_defaults_of_training_are_those_of_its_recipe() -> None:
    config = TrainConfig()
    shown = {
        name: line.get("show_default") for name, line in TEXTS["train"].items() if name != "options"
    }
    for name in ("steps", "batch", "vgg_layer", "discriminator_steps", "crop", "seed"):
        assert shown[name] == str(getattr(config, name))
    assert shown["average"] == f"{config.average:g}"
    assert shown["discriminator_width"] == str(config.discriminator.width)


def test_help_names_the_examples() -> None:
    assert all(name in TEXTS["shared"]["example"]["help"] for name in EXAMPLES)


def test_help_of_audits_names_all_that_is_tried() -> None:
    for option, kinds in (("threat", THREATS), ("defence", DEFENCES)):
        words = set(re.findall(r"[a-z-]+", TEXTS["audit"][option]["help"]))
        assert set(kinds) - {"everything"} <= words  # which is always tried


@pytest.mark.parametrize("name", TEXTS["hints"]["verbs"])
def test_hints_name_public_functions(name: str) -> None:
    assert name in invertdesc.__all__
    assert TEXTS["hints"]["verbs"][name].split()[1] in COMMANDS


@pytest.mark.parametrize("name", set(TEXTS["hints"]) - {"verbs"})
def test_hints_name_options(name: str) -> None:
    flag = TEXTS["hints"][name].split()[0]
    known = {word for command in COMMANDS.values() for one in command.params for word in one.opts}
    assert flag in known | {"--limit"}


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (None, ""),
        (Hint(), ""),
        (Hint(options={"max_side": 9}), ""),
        (Hint(options={"resume": True}), " On the command line: --resume"),
        (Hint(options={"assume": ["scales=..."]}), " On the command line: --assume scales=..."),
        (
            Hint("fit_unfolding", {"descriptor": "hynet"}),
            " On the command line: invertdesc fit -d hynet --data FOLDER -o FILE",
        ),
        (Hint("other", {"output": "a.png"}), " On the command line: -o a.png"),
    ],
    ids=str,
)
def test_hints_become_options(hint: Hint | None, words: str) -> None:
    assert with_options("Expected this.", hint) == f"Expected this.{words}"


def test_the_hint_of_a_cause_is_found() -> None:
    error = FileError("Cannot use it.")
    error.__cause__ = InputError("Expected less.").with_hint(limits="pixels=9")
    assert find_hint(error) == Hint(options={"limits": "pixels=9"})
    assert find_hint(InputError("Expected less.")) is None


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(10):
        Image.fromarray(data.astronaut()[number : number + 96, 128:256]).save(
            folder / f"{number}.png"
        )
    return folder


def test_errors_name_options(run: Run, photos: Path) -> None:
    photo = photos / "0.png"
    command = "invertdesc index -m ridge -d sift --data FOLDER -o FILE\n"
    assert run("reconstruct", photo, "-o", "a.png", "-m", "ridge")[2].endswith(command)
    command = "invertdesc train -m coarse -d orb --data FOLDER -o FOLDER\n"
    assert run("reconstruct", photo, "-o", "a.png", "-m", "coarse", "-d", "orb")[2].endswith(
        command
    )
    run("extract", photo)
    assert run("extract", photo)[2].endswith("On the command line: -o 0.npz\n")


def test_an_error_of_training_names_options(run: Run, photos: Path) -> None:
    small = ("--steps", 1, "--batch-size", 1, "--crop", 64, "--width", 2, "--workers", 0)
    train = ("train", "--data", photos, "-o", "run", *small)
    assert run(*train)[0] == 0
    status, _, err = run(*train)
    assert status == 2
    assert err.endswith("On the command line: --resume\n")
    assert run(*train, "-m", "coarse+cgan", "-o", "gan")[2].endswith("--start FILE\n")


def test_what_a_wildcard_brings_is_left_out_in_a_line(run: Run, photos: Path) -> None:
    evaluate = ("evaluate", "--data", photos, "--images", 1, "--no-floors")
    status, out, err = run(*evaluate, "-m", "rid*", "-m", "poisson")
    assert status == 0, err
    assert "| poisson" in out
    assert err.startswith("left out ridge: Expected a database")
    assert err.count("\n") == 1
    assert run(*evaluate, "-m", "rid*")[0] == 2
    assert run(*evaluate, "-m", "ridge", "-m", "poisson")[0] == 2
    common = ("-m", "poisson", "-D", "octave_layers=4")
    status, out, err = run(*evaluate, *common, "-d", "sift", "-d", "brie*")
    assert (status, out.count("poisson")) == (0, 1)
    assert err.startswith("left out brief: Expected options of descriptor 'brief'")
