"""Runs that Ray shares out."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from make_stores import write_colmap

from invertdesc import LocalFeatures
from invertdesc.image import read_image

Run = Callable[..., tuple[int, str, str]]
Images = dict[str, LocalFeatures]
COUNT = 96

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def descendants(ancestor: int) -> dict[int, str]:
    """Return the processes below one, with their titles."""
    parents, titles = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            status = (place / "stat").read_text().rpartition(")")[2].split()
            title = (place / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has ended meanwhile
            continue
        if status[0] != "Z":
            parents[int(place.name)], titles[int(place.name)] = int(status[1]), title
    found = {ancestor}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return {one: titles[one] for one in found - {ancestor} if one in titles}


def files(folder: Path) -> dict[str, int]:
    """Return the pictures in a folder with their inodes, which change when one is replaced."""
    return {p.relative_to(folder).as_posix(): p.stat().st_ino for p in folder.rglob("*.png")}


@needs_ray
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find actors")
def test_actor_that_is_killed_loses_no_image_and_makes_none_twice(
    run: Run, tmp_path: Path, some: LocalFeatures
) -> None:
    path = write_colmap(tmp_path, {f"{k % 3}/{k}.jpg": some[k % 7 :] for k in range(COUNT)})
    arguments = ["reconstruct", str(path), "-m", "poisson", "--batch-size", "2"]
    assert run(*arguments, "-o", "alone")[0] == 0
    out, seen = tmp_path / "shared", dict[str, int]()
    cluster = subprocess.Popen(
        [sys.executable, "-m", "invertdesc", *arguments, "-o", str(out), "--ray", "local"],
        env=dict(os.environ, OMP_NUM_THREADS="1", RAY_OVERRIDE_RESOURCES='{"CPU": 2}'),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    below: set[int] = set()
    killed, limit = 0, time.monotonic() + 900
    try:
        while cluster.poll() is None:
            assert time.monotonic() < limit
            running = descendants(cluster.pid)
            below |= set(running)
            for name, number in files(out).items():
                assert seen.setdefault(name, number) == number
            actors = [one for one, title in running.items() if title.startswith("ray::MapWorker")]
            if not killed and len(seen) >= 4 and len(actors) == 2:
                killed = actors[0]
                os.kill(killed, signal.SIGKILL)
                assert len(files(out)) < COUNT - 4
            time.sleep(0.05)
    finally:
        cluster.terminate()  # which does nothing where it has ended
    said = cluster.communicate()[0]
    assert cluster.returncode == 0, said
    assert killed
    assert f"Wrote {COUNT} of {COUNT} pictures to {out}.\n" in said
    assert " by 2 actors." in said
    assert files(out) | seen == files(out)
    alone = tmp_path / "alone"
    assert set(files(out)) == set(files(alone))
    assert all((out / name).read_bytes() == (alone / name).read_bytes() for name in files(out))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert sorted(line["image"] for line in lines) == sorted(
        f"{k % 3}/{k}.jpg" for k in range(COUNT)
    )
    assert {line["status"] for line in lines} == {"made"}
    limit = time.monotonic() + 30
    while any(Path(f"/proc/{one}").exists() for one in below):
        assert time.monotonic() < limit, "Ray has left processes behind"
        time.sleep(0.1)
    again = run(*arguments, "-o", "shared", "--ray", "local")
    assert again[:2] == (
        0,
        f"Wrote 0 of {COUNT} pictures to shared. {COUNT} were there already.\n",
    )


@needs_ray
@pytest.mark.slow
def test_workers_make_the_same_pictures_with_a_method_and_a_store_that_python_has(
    tmp_path: Path, images: Images
) -> None:
    code = (
        "import sys\n"
        "from invertdesc import create_method, open_store, reconstruct_store\n"
        "store = open_store(sys.argv[1], image_size=(210, 250))\n"
        "how = dict(method=create_method('poisson', mean=0.3), assume={'orientations': 0})\n"
        "alone = reconstruct_store(store, 'alone', batch_size=1, **how)\n"
        "shared = reconstruct_store(store, 'shared', batch_size=1, ray='local', **how)\n"
        "print(alone.made, alone.workers, shared.made, shared.workers)\n"
    )
    path = write_colmap(tmp_path, images)
    done = subprocess.run(
        [sys.executable, "-c", code, path.name],
        cwd=tmp_path,
        env=dict(os.environ, OMP_NUM_THREADS="1", RAY_OVERRIDE_RESOURCES='{"CPU": 2}'),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "2 0 2 2\n"), done.stderr
    pictures = [sorted((tmp_path / folder).glob("*.png")) for folder in ("alone", "shared")]
    assert len(pictures[0]) == 2
    for one, other in zip(*pictures, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert read_image(one).shape == (3, 210, 250)


def test_cluster_without_ray_names_the_extra(
    run: Run, tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_colmap(tmp_path, images)
    monkeypatch.setitem(sys.modules, "ray", None)
    status, _, err = run("reconstruct", path, "-o", "out", "-m", "poisson", "--ray", "local")
    assert status == 2
    assert "pip install 'invertdesc[dist]'" in err
