"""Where results go."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invertdesc.bulk.places import check_shard, plan_files, plan_images, target_of
from invertdesc.errors import InputError


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(["..", ".", "/", "\\", "C:", "a", "é.jpg", "\0", "\n", " "]) | st.text()
    )
)
def test_no_name_leads_out_of_the_folder(parts: list[str]) -> None:
    try:
        target = target_of("".join(parts), Path("/somewhere/out"))
    except InputError:
        return
    inside = os.path.normpath(target)
    assert inside == str(target)
    assert inside.startswith("/somewhere/out/")
    assert inside.endswith(".png")


def test_targets_are_planned_alike_for_all_shards() -> None:
    names = ["a.jpg", "a.png", "../b", "./a.png"]
    parts = [list(plan_images(names, Path("o"), None, (k, 2))) for k in range(2)]
    assert [name for name, _ in parts[0]] == ["a.jpg", "../b"]
    assert parts[1][0] == ("a.png", Path("o/a.png.png"))
    kinds = [type(place) is InputError for part in parts for _, place in part]
    assert kinds == [False, True, False, True]
    (only,) = plan_images(names, Path("o"), "./a.png", (0, 1))
    assert isinstance(only[1], InputError)


def test_targets_by_hand() -> None:
    assert target_of("./a//b.tiff", Path("o")) == Path("o/a/b.png")
    assert target_of("...", Path("o")) == Path("o/....png")


@pytest.mark.parametrize("shard", [(4, 4), (0, 0), (-1, 2)])
def test_a_shard_is_one_of_its_count(shard: tuple[int, int]) -> None:
    check_shard((3, 4))
    with pytest.raises(InputError, match="Expected a shard I/N"):
        check_shard(shard)


def test_files_keep_their_folders_and_where_they_clash_their_suffix(tmp_path: Path) -> None:
    for name in ("in/a/1.png", "in/a/1.jpg", "in/b/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    plan = plan_files(tmp_path / "in", "out", ".npz")
    assert {source.relative_to(tmp_path / "in").as_posix(): str(target) for source, target in
            plan.items()} == {
        "a/1.jpg": "out/a/1.npz",
        "a/1.png": "out/a/1.png.npz",
        "b/1.png": "out/b/1.npz",
    }  # fmt: skip
    with pytest.raises(InputError, match="which would both be written to"):
        plan_files([tmp_path / "in/a/1.png", tmp_path / "in/b/1.png"], "out", ".npz")
    with pytest.raises(InputError, match="elsewhere than to the source"):
        plan_files(tmp_path / "in/b", tmp_path / "in/b", ".png")
    with pytest.raises(InputError, match="got none"):
        plan_files([], "out", ".png")
