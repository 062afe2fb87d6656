"""Ctrl-C while modules are imported, and when all is done."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

# Tries one library after the other, as many do, and goes on whatever happens.
DEAF = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)
except BaseException:
    pass
"""
WAITING = """
from invertdesc.cli.interrupts import hear_interrupts
hear_interrupts()
try:
    import deaf
    import threading
    threading.Event().wait(60)
except KeyboardInterrupt:
    print("heard")
"""
ENDING = """
import atexit, os, signal, sys
from invertdesc.cli.interrupts import end_at_once, hear_interrupts
hear_interrupts()
if sys.argv[1] == "soon":
    end_at_once()
    os.kill(os.getpid(), signal.SIGINT)
class Late:
    def __del__(self, kill=os.kill, process=os.getpid(), number=signal.SIGINT):
        kill(process, number)
sys.late = Late()  # goes when Python has taken its handlers back
end_at_once()
"""


def ran(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.usefixtures("interruptible")
def test_an_import_cannot_swallow_it(tmp_path: Path) -> None:
    (tmp_path / "deaf.py").write_text(DEAF)
    done = ran(WAITING, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "heard\n", "")


@pytest.mark.parametrize(("when", "status"), [("soon", 130), ("late", 0)])
@pytest.mark.usefixtures("interruptible")
def test_at_the_end_it_neither_kills_nor_shows_a_traceback(
    when: str, status: int, tmp_path: Path
) -> None:
    done = ran(ENDING, when, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.usefixtures("interruptible")
def test_the_command_hears_it_while_it_starts(tmp_path: Path) -> None:
    # `audit` imports the bar first, and draws it when pictures are read and all is imported.
    (tmp_path / "tqdm.py").write_text(DEAF + "def tqdm(*_, **__):\n    time.sleep(60)\n")
    Image.fromarray(data.astronaut()[:64, 128:192]).save(tmp_path / "photo.png")
    code = "from invertdesc.cli import main; main()"
    done = ran(code, "audit", "photo.png", "-m", "poisson", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped.\n")


def test_a_process_that_was_started_deaf_stays_so() -> None:
    from invertdesc.cli.interrupts import end_at_once, hear_interrupts

    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        hear_interrupts()
        end_at_once()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)
