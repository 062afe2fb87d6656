"""Worker processes must neither outlive their parent nor answer for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from invertdesc._workers import map_in_processes

SCRIPT = """
import sys, time
from work import note
from invertdesc._workers import map_in_processes

if __name__ == "__main__":
    print("started", flush=True)
    try:
        for _ in map_in_processes(note, list(range(int(sys.argv[1]))), 2):
            pass
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""
WORK = """
import os, time
from pathlib import Path

def note(number):
    Path(f"worker-{os.getpid()}").touch()
    time.sleep(0.1)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "work.py").write_text(WORK)
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def _start(script: Path, items: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, script, str(items)],
        cwd=script.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _workers(folder: Path) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob("worker-*")]


def _alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{number}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait(true: "object", seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def test_results_come_in_order() -> None:
    assert list(map_in_processes(abs, [-3, 2, -1], 2)) == [3, 2, 1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_their_parent_is_killed(script: Path, number: signal.Signals) -> None:
    with _start(script, 10_000) as parent:
        assert _wait(lambda: len(_workers(script.parent)) == 2)
        parent.send_signal(number)
        assert parent.wait(60) == -number
        workers = _workers(script.parent)
        assert _wait(lambda: not any(_alive(worker) for worker in workers))


@pytest.mark.parametrize("working", [False, True])
@pytest.mark.usefixtures("interruptible")
def test_workers_are_deaf_to_ctrl_c(script: Path, working: bool) -> None:
    with _start(script, 10_000) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        if working:
            assert _wait(lambda: len(_workers(script.parent)) == 2)
        else:
            time.sleep(0.3)  # they import
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = parent.communicate(timeout=60)
    assert (parent.returncode, out, err) == (0, "stopped\n", "")
