"""What a bulk run notes of each image."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_stores import change, write_colmap

from invertdesc import LocalFeatures
from invertdesc.bulk.jobs import Outcome
from invertdesc.bulk.log import Log

Run = Callable[..., tuple[int, str, str]]
Images = dict[str, LocalFeatures]
POISSON = ("-m", "poisson")


def lines(path: str = "out/metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_each_image_has_a_line(run: Run, tmp_path: Path, some: LocalFeatures) -> None:
    path = write_colmap(tmp_path, {"a/é.jpg": some, "b": some[:7], "c": some[:0], "../d": some})
    assert run("reconstruct", path, "-o", "out", *POISSON)[0] == 2
    found = {line["image"]: line for line in lines()}
    assert len(lines()) == len(found) == 4
    stages = ("read", "make", "write")
    for name, count in (("a/é.jpg", 60), ("b", 7)):
        one = found[name]
        assert (one["status"], one["keypoints"]) == ("made", count)
        assert all(0 < one["milliseconds"][stage] < 10_000 for stage in stages)
        assert "error" not in one
    assert found["c"]["status"] == "empty"
    assert found["../d"]["status"] == "failed"
    assert "name of an image inside a folder" in found["../d"]["error"]


def test_run_ends_with_its_speed_and_where_the_time_went(
    run: Run, tmp_path: Path, images: Images
) -> None:
    path = write_colmap(tmp_path, images)
    _, out, _ = run("reconstruct", path, "-o", "out", *POISSON)
    told = re.fullmatch(
        r"([\d.]+) images/s in ([\d.]+) s, (\d+)% waiting for reading, (\d+)% making, "
        r"(\d+)% waiting for writing\.",
        out.splitlines()[1],
    )
    assert told is not None
    assert abs(sum(int(share) for share in told.groups()[2:]) - 100) <= 1
    _, out, _ = run("reconstruct", path, "-o", "out", *POISSON)
    assert len(out.splitlines()) == 1


def test_run_that_goes_on_adds_what_is_new(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    run("reconstruct", path, "-o", "out", "--names", "101", *POISSON)
    before = Path("out/metrics.jsonl").read_bytes()
    run("reconstruct", path, "-o", "out", *POISSON)
    after = Path("out/metrics.jsonl").read_bytes()
    assert after.startswith(before)
    assert [line["image"] for line in lines()] == ["101", "102"]


def test_line_that_was_not_finished_is_cut_off(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    run("reconstruct", path, "-o", "out", *POISSON)
    file = Path("out/metrics.jsonl")
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(whole[0] + whole[1][:-5])
    run("reconstruct", path, "-o", "out", *POISSON)
    assert file.read_bytes().startswith(whole[0])
    told = [(line["image"], line["status"]) for line in lines()]
    assert told == [("101", "made"), ("102", "there")]  # written, though not told of


def test_image_that_failed_has_another_line_once_it_works(
    run: Run, tmp_path: Path, images: Images
) -> None:
    path = write_colmap(tmp_path, images)
    change(path, "UPDATE keypoints SET rows = -rows WHERE image_id = 1")
    run("reconstruct", path, "-o", "out", *POISSON)
    change(path, "UPDATE keypoints SET rows = -rows WHERE image_id = 1")
    assert run("reconstruct", path, "-o", "out", *POISSON)[0] == 0
    told = [line["status"] for line in lines() if line["image"] == "101"]
    assert told == ["failed", "made"]


def test_shards_have_a_file_each(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    for number in range(2):
        run("reconstruct", path, "-o", "out", "--shard", f"{number}/2", *POISSON)
        assert [one["image"] for one in lines(f"out/metrics-{number}-of-2.jsonl")] == [
            f"10{number + 1}"
        ]
    assert not Path("out/metrics.jsonl").exists()


def test_pictures_agree_with_what_they_were_made_from(
    run: Run, tmp_path: Path, images: Images
) -> None:
    path = write_colmap(tmp_path, images)
    run("reconstruct", path, "-o", "out", "--consistency", *POISSON)
    for line in lines():
        assert line["measures"]["shuffled"] + 0.1 < line["measures"]["agreement"] <= 1


@pytest.mark.parametrize(
    "content", [b"no JSON\n", b"[1]\n", b'{"image": 5}\n', b"[" * 9999 + b"\n"]
)
def test_lines_of_others_are_kept(content: bytes, run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    Path("out").mkdir()
    Path("out/metrics.jsonl").write_bytes(content)
    assert run("reconstruct", path, "-o", "out", *POISSON)[0] == 0
    assert Path("out/metrics.jsonl").read_bytes().startswith(content)
    assert len(Path("out/metrics.jsonl").read_bytes().splitlines()) == 3


def test_metrics_never_go_where_a_link_leads(run: Run, tmp_path: Path, images: Images) -> None:
    path = write_colmap(tmp_path, images)
    Path("out").mkdir()
    Path("out/metrics.jsonl").symlink_to(tmp_path / "elsewhere")
    status, _, err = run("reconstruct", path, "-o", "out", *POISSON)
    assert status == 2
    assert "got the link out/metrics.jsonl" in err
    assert not (tmp_path / "elsewhere").exists()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b"\n", b'{"image": "a"}', b"[", b"\xff"]))
)
def test_whatever_is_in_the_file_a_line_can_be_added(parts: list[bytes]) -> None:
    content = b"".join(parts)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "metrics.jsonl")
        path.write_bytes(content)
        with Log(path) as log:
            log.note(Outcome("é\udcff", keypoints=3))
        whole, _, added = path.read_bytes().removesuffix(b"\n").rpartition(b"\n")
    assert json.loads(added) == {"image": "é?", "status": "made", "keypoints": 3}
    assert whole == content[: max(0, content.rfind(b"\n"))]
