"""Feed the readers of stores with bytes that libFuzzer makes up, led by what they execute.

    pip install atheris
    python tests/stores/fuzz.py --seconds 600 --out findings            # of each kind
    python tests/stores/fuzz.py lowe vlfeat --seconds 60 --out findings

Each kind is written by its writer of the tests; then one of its files at a time is replaced. A
finding is an error that is none of ours, a warning, more than 20 seconds or 2 GiB: its bytes are
kept under the folder named, one file for each place in the code, and the exit status is 1. HDF5
and SQLite themselves are C and run unwatched, so that of these two the coverage is our code's.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what is watched has to be imported by the process that watches, in its time
    from invertdesc import LocalFeatures

LIMITS = ("-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=1")
KEYPOINTS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="as the tests call them; all")
    parser.add_argument("--seconds", type=int, default=600, help="for each kind")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is found")
    parser.add_argument("--file", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.file:
        _fuzz(given.kinds[0], given.file, given.seconds, given.out)
        return
    from make_stores import FILES

    found = 0
    for kind in given.kinds or FILES:
        for file in FILES[kind]:
            found += _watch(kind, file, max(1, given.seconds // len(FILES[kind])), given.out)
    sys.exit(min(found, 1))


def _watch(kind: str, file: str, seconds: int, out: Path) -> int:
    """Fuzz one file in a process of its own, say what came of it, and count what was found."""
    place = out / kind / file.replace("/", "-")
    place.mkdir(parents=True, exist_ok=True)
    end, runs, covered = time.monotonic() + seconds, 0, 0
    while (left := int(end - time.monotonic())) > 0:  # again where a finding has ended it
        options = ["--file", file, "--seconds", str(left), "--out", str(place)]
        command = [sys.executable, __file__, kind, *options]
        log = subprocess.run(command, stderr=subprocess.PIPE, check=False).stderr.decode()
        with (place / "log.txt").open("a") as kept:
            kept.write(log)
        counts = re.findall(r"number_of_executed_units: *(\d+)", log) or re.findall(r"#(\d+)", log)
        runs += int((counts or ["0"])[-1])
        covered = max([covered, *map(int, re.findall(r"cov: (\d+)", log))])
        if not counts:
            break
    found = [one for one in place.iterdir() if one.suffix != ".txt"]
    print(
        f"{kind:<12} {file:<46} {runs:>8} runs in {seconds} s, {covered:>4} edges, "
        f"{len(found)} findings",
        flush=True,
    )
    return len(found) + (not runs)


def _fuzz(kind: str, file: str, seconds: int, out: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["invertdesc"]):
        import invertdesc.stores.open  # noqa: F401  # and with it all readers
        from invertdesc.features.local import LocalFeatures  # noqa: F401
    from make_stores import WRITERS
    from read_stores import read_all

    warnings.simplefilter("error")
    _check_no_sums()
    with tempfile.TemporaryDirectory() as name:
        folder, corpus = Path(name, "store"), Path(name, "corpus")
        folder.mkdir()
        corpus.mkdir()
        path = WRITERS[kind](folder, {"101": some(), "102": some()[:1]})
        whole = (folder / file).read_bytes()
        (corpus / "whole").write_bytes(whole)
        seen: set[str] = set()

        def read(data: bytes) -> None:
            (folder / file).write_bytes(data)
            try:
                read_all(path)
            except Exception as error:
                where = "".join(traceback.format_tb(error.__traceback__))
                key = hashlib.sha256(f"{type(error)}{where}".encode()).hexdigest()[:12]
                if key not in seen:
                    seen.add(key)
                    (out / f"{key}.bytes").write_bytes(data)
                    (out / f"{key}.txt").write_text(traceback.format_exc())

        length = f"-max_len={len(whole) + 64}"
        ends = (f"-max_total_time={seconds}", f"-artifact_prefix={out}/stopped-")
        atheris.Setup([__file__, str(corpus), length, *ends, *LIMITS], read)
        atheris.Fuzz()


def some() -> LocalFeatures:
    import torch

    from invertdesc import LocalFeatures

    draw = torch.Generator().manual_seed(0)
    return LocalFeatures(
        keypoints=torch.tensor([[3.0, 4.0], [20.0, 30.5], [39.0, 29.0]]),
        descriptors=torch.randint(50, 200, (KEYPOINTS, 128), generator=draw).float(),
        image_size=(32, 40),
        descriptor="sift",
        scales=torch.tensor([2.0, 3.0, 1.6]),
        orientations=torch.tensor([0.0, 1.0, -2.12345]),
        scores=torch.ones(KEYPOINTS),
    )


def _check_no_sums() -> None:
    """Take a zip's contents for right whatever its check sums say: chance does not hit them."""
    zipfile.ZipExtFile._update_crc = lambda self, data: None  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
