"""Folders of servers that live, that ended and that were killed."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from invertdesc.demo import folder as module
from invertdesc.demo.folder import holds, own_folder
from invertdesc.errors import FileError

KILLED = """
import os, signal
from invertdesc.demo.folder import own_folder
with own_folder() as folder:
    (folder / "private.png").write_bytes(b"private")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_the_users_own_and_goes(temporary: Path) -> None:
    with own_folder() as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "below").mkdir()
        (folder / "below" / "file").write_text("private")
    assert list(temporary.iterdir()) == []


def test_a_folder_goes_when_the_block_breaks_off(temporary: Path) -> None:
    with pytest.raises(KeyboardInterrupt), own_folder():
        raise KeyboardInterrupt
    assert list(temporary.iterdir()) == []


def test_a_folder_that_somebody_deleted_is_gone(temporary: Path) -> None:
    with own_folder() as folder:
        folder.rmdir()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_server_left_goes_at_the_next_start(temporary: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED],
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    left = Path(killed.stdout.strip())
    assert (left / "private.png").exists(), killed.stderr
    with own_folder() as living:
        assert not left.exists()
        with own_folder() as another:
            assert living.exists()
            assert another.exists()
        assert living.exists()
    assert list(temporary.iterdir()) == []


def test_only_folders_of_this_user_are_swept_and_no_link_is_followed(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = temporary / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    link = temporary / f"{module.PREFIX}link"
    link.symlink_to(kept)
    file = temporary / f"{module.PREFIX}file"
    file.write_text("kept")
    inside = temporary / f"{module.PREFIX}dead"
    inside.mkdir()
    (inside / "link").symlink_to(kept)
    other = temporary / "invertdesc-other"
    other.mkdir()
    with own_folder():
        assert not inside.exists()
        assert sorted(path.name for path in kept.iterdir()) == ["file"]
        assert link.is_symlink()
        assert file.exists()
        assert other.exists()
    inside.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: inside.stat().st_uid + 1)
    with own_folder():
        assert inside.exists()


def test_no_place_for_a_folder_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(FileError, match="TMPDIR"), own_folder():
        pass


def test_links_are_followed_before_a_file_counts_as_inside(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    inside, outside = folder / "inside", tmp_path / "outside"
    for path in (inside, outside):
        path.write_text("")
    (folder / "out").symlink_to(outside)
    (folder / "loop").symlink_to(folder / "loop")
    (tmp_path / "in").symlink_to(inside)
    (tmp_path / "folder-too").mkdir()
    (tmp_path / "folder-too" / "file").write_text("")
    assert holds(folder, inside)
    assert holds(folder, tmp_path / "in")
    for name in ("out", "loop", "none", "../outside", ".", "a\0b", "n" * 300, "../folder-too/file"):
        assert not holds(folder, folder / name), name
