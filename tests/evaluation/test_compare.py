import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from invertdesc import create_descriptor, create_method, extract
from invertdesc.drawing import comparison_sheet
from invertdesc.errors import FileError, InputError
from invertdesc.evaluation.compare import Comparison, compare
from invertdesc.evaluation.databases import CompareOptions, provide_database
from invertdesc.evaluation.evaluate import evaluate
from invertdesc.evaluation.memory import peak_memory
from invertdesc.image import read_image, write_image
from invertdesc.methods import methods

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(astronaut: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three pictures of 96 x 112 pixels."""
    path = tmp_path_factory.mktemp("three")
    for number, (y, x) in enumerate(((0, 60), (20, 80), (140, 40))):
        write_image(astronaut[:, y : y + 96, x : x + 112], path / f"{number}.png")
    return path


@pytest.fixture(scope="module")
def paths(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def result(paths: list[Path]) -> Comparison:
    names = ["poisson", "gradient", "unfold"]
    adapters = [create_descriptor(name) for name in ("sift", "brief")]
    return compare(
        {"three": paths},
        adapters,
        names,
        options=lambda name, _: {"steps": 2} if name == "gradient" else {},
        memory=False,
    )


@pytest.mark.parametrize("progress", [False, True])
def test_bars_are_shown_only_where_they_are_wanted(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch, progress: bool
) -> None:
    titles: list[str] = []

    def note(items: list[Any], *, desc: str, **_: object) -> list[Any]:
        titles.append(desc)
        return items

    monkeypatch.setattr("tqdm.tqdm", note)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    adapters = [create_descriptor("sift")]
    compare({"one": paths[:1]}, adapters, ["poisson"], memory=False, progress=progress)
    assert titles == (["try methods, sift", "one, sift"] if progress else [])


def test_rows_are_those_of_evaluate_with_floors(result: Comparison, paths: list[Path]) -> None:
    assert [(row.method, row.knows) for row in result.rows if row.descriptor == "sift"] == [
        *(("poisson", "everything"), ("poisson", "shuffled")),
        *(("gradient", "everything"), ("gradient", "shuffled")),
        *(("unfold", "everything"), ("unfold", "shuffled")),
        *(("none", "flat"), ("none", "mean picture")),
    ]
    alone, *_ = evaluate(paths, descriptor="brief", method="unfold", floors=False)
    row = next(r for r in result.rows if (r.descriptor, r.method) == ("brief", "unfold"))
    for name in ("images", "keypoints", "ncc", "gradient", "ssim", "psnr"):
        assert getattr(row, name) == pytest.approx(getattr(alone, name), abs=1e-5)


def test_what_does_not_fit_is_named_with_the_reason(result: Comparison) -> None:
    (left,) = result.left_out
    assert (left.descriptor, left.method) == ("brief", "gradient")
    assert "'hog'" in left.reason
    assert f"- brief, gradient: {left.reason}" in result.to_markdown()


def test_the_table_has_a_line_a_method_with_its_floor(result: Comparison) -> None:
    table = result.to_markdown().split("\n\n")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    rows = {(row.descriptor, row.method, row.knows): row for row in result.rows}
    line = next(line for line in cells if line[1:3] == ["brief", "`poisson`"])
    assert line[3] == f"{rows['brief', 'poisson', 'everything'].ncc:.3f}"
    assert line[4] == f"{rows['brief', 'poisson', 'shuffled'].ncc:.3f}"
    assert [line[2] for line in cells[2:]].count("flat") == 2


def test_a_method_may_name_floors_of_its_own(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lots = {"orientations drawn": {"stochastic": True}}
    monkeypatch.setattr(methods.get("poisson"), "floors", lots, raising=False)
    found = compare({"one": paths[:1]}, [create_descriptor("sift")], ["poisson"], memory=False)
    drawn = next(row for row in found.rows if row.knows == "orientations drawn")
    method = create_method("poisson", stochastic=True)
    (row,) = evaluate(paths[:1], method=method, floors=False)
    assert drawn.ncc == pytest.approx(row.ncc, abs=1e-6)
    assert f"{drawn.ncc:.3f} (orientations drawn)" in found.to_markdown()


def test_memory_is_that_of_a_method_and_its_picture(astronaut: torch.Tensor) -> None:
    adapter = create_descriptor("sift")
    peak = peak_memory("unfold", adapter, extract(astronaut, descriptor=adapter))
    if peak is None:
        pytest.skip("the system does not tell")
    # The weights alone are 11 MiB in float32; PyTorch itself, some 200, is not to be counted.
    assert 15 < peak < 120


def test_a_process_that_refuses_tells_why() -> None:
    adapter = create_descriptor("sift")
    features = extract(torch.rand(3, 64, 64), descriptor=adapter)
    with pytest.raises(InputError, match="got 'sift'"):
        peak_memory("biht", adapter, features)


def test_a_database_is_collected_once_and_refused_if_it_is_stale(
    paths: list[Path], tmp_path: Path
) -> None:
    adapter = create_descriptor("sift")
    first = provide_database("patch-database", adapter, paths, tmp_path)
    before = first.stat().st_mtime_ns
    assert provide_database("patch-database", adapter, paths, tmp_path) == first
    assert first.stat().st_mtime_ns == before
    other = create_descriptor("sift", contrast_threshold=0.02)
    for changed in ({"descriptor": other}, {"images": paths[:2]}, {"options": {"most": 20}}):
        arguments = {"descriptor": adapter, "images": paths, "folder": tmp_path} | changed
        with pytest.raises(FileError, match=f"differs in: .*{next(iter(changed))}"):
            provide_database("patch-database", **arguments)
    first.with_suffix(".json").unlink()
    save_file(load_file(first), first)
    with pytest.raises(FileError, match="Remove it"):
        provide_database("patch-database", adapter, paths, tmp_path)


def test_a_sheet_has_a_column_a_name_and_a_row_a_picture() -> None:
    red, blue = (torch.eye(3)[n][:, None, None].expand(3, 20, 40) for n in (0, 2))
    blocks = [("a", {"original": [red, red], "x": [blue, blue]}), ("b", {"original": [red]})]
    sheet = comparison_sheet(blocks, side=40)
    is_red, is_blue = ((sheet - colour[:, :1, :1]).abs().sum(0) < 0.01 for colour in (red, blue))
    assert sheet.shape[1:] == (3 * (40 + 6) + 4 * 22, 40 + 6 + 40)  # titles and names are 22 high
    assert is_red.sum() == 3 * 20 * 40
    assert is_blue.sum() == 2 * 20 * 40
    assert not is_red[:, 40:].any()
    assert not is_blue[:, :46].any()


def test_the_command_writes_tables_sheet_and_databases(run: Run, folder: Path) -> None:
    status, out, err = run(
        *("compare", "--data", folder, "--images", 2, "-m", "poisson", "-m", "patch-database"),
        *("--method-option", "poisson.mean=0.3", "--train", folder, "--train-images", 2),
        *("--index-option", "patch-database.most=50", "--no-memory", "-o", "out"),
    )
    assert status == 0, err
    assert "Wrote table.md" in out
    rows = json.loads(Path("out/table.json").read_text())
    assert {row["method"] for row in rows} == {"poisson", "patch-database", "none"}
    with Path("out/table.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert Path("out/table.md").read_text().strip() in out
    assert read_image("out/sheet.png").shape[2] == 3 * 160 + 2 * 6
    names = sorted(path.name for path in Path("out/databases").iterdir())
    assert names == ["patch-database-sift.json", "patch-database-sift.safetensors"]
    assert json.loads(Path("out/databases", names[0]).read_text())["options"] == {"most": 50}
    # What was collected serves again, given by name.
    given = f"patch-database:sift=out/databases/{names[1]}"
    only = ("-m", "patch-database", "--database", given, "--no-memory")
    status, _, err = run("compare", "--data", folder, "--images", 1, *only, "-o", "more")
    assert status == 0, err
    assert not Path("more/databases").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["-m", "poison", "-m", "poisson"],
            "error: Unknown method 'poison'. Did you mean 'poisson'?",
        ),
        (["-d", "siftt"], "Unknown descriptor 'siftt'. Did you mean"),
        (
            ["-d", "orb", "-m", "gradient"],
            "Expected a method that fits, found none. gradient: Expected",
        ),
        (["--method-option", "steps=3"], "METHOD.NAME=VALUE, got 'steps=3'"),
        (["-m", "poisson", "--method-option", "gradient.steps=3"], "got some for 'gradient'"),
        (["--database", "patch-database"], "METHOD:DESCRIPTOR=FILE, got 'patch-database'"),
        (["--database", "patch-database:orb=a"], "got some for 'patch-database:orb'"),
        (["-m", "poisson", "--method-option", "poisson.blur=3"], "got 'blur'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_bad_arguments_are_told(run: Run, folder: Path, arguments: list[str], words: str) -> None:
    status, out, err = run("compare", "--data", folder, "-o", "out", "--no-memory", *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_help_shows_examples(run: Run) -> None:
    status, out, _ = run("compare", "--help")
    assert status == 0
    assert "Examples" in out


def test_a_comparison_is_saved_without_the_command(result: Comparison, tmp_path: Path) -> None:
    result.save(tmp_path / "out")
    assert len(json.loads((tmp_path / "out/table.json").read_text())) == len(result.rows)
    assert (tmp_path / "out/table.md").read_text() == f"{result.to_markdown()}\n"
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [
        *(".csv", ".json", ".md", ".png")
    ]


def test_options_have_the_database_that_is_nearest(paths: list[Path], tmp_path: Path) -> None:
    sift, brief = create_descriptor("sift"), create_descriptor("brief")
    options = CompareOptions(
        methods={"gradient": {"steps": 5}},
        collecting={"patch-database": {"most": 20}},
        databases={"ridge": Path("any"), ("ridge", "sift"): Path("own")},
        train=paths,
        folder=tmp_path,
    )
    assert options("gradient", sift) == {"steps": 5}
    assert options("poisson", sift) == {}
    assert options("ridge", sift) == {"database": Path("own")}
    assert options("ridge", brief) == {"database": Path("any")}
    collected = options("patch-database", sift)["database"]
    assert collected.parent == tmp_path
    assert CompareOptions()("patch-database", sift) == {}
    names = ["gradient", "patch-database", "ridge"]
    options.check(names, ["sift"])
    with pytest.raises(InputError, match="got some for 'ridge:sift'"):
        options.check(names, ["brief"])
    with pytest.raises(InputError, match="got some for 'gradient'"):
        options.check(names[1:], ["sift"])
