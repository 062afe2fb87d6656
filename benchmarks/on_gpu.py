"""Do what needs a CUDA device, by a list in order of worth, in the time that there is.

    bash benchmarks/on_gpu.sh --pack pack.zip        # less than 10 minutes
    bash benchmarks/on_gpu.sh short --pack pack.zip  # less than 4 minutes
    python benchmarks/on_gpu.py --list               # the list, and what is done

What was done on the same code is remembered in `gpu-done.json` beside the results, and skipped.
Results are written to the output folder as they come: `gpu-results.json`, `gpu-log.txt`, contact
sheets in `sheets.zip`, weights. Files above 15.9 MiB are compressed, with weights rounded to 8
significant bits, and split: `cat NAME.gz.* | gunzip > NAME`. Without a pack nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from gpu_files import pack_sheets, save_weights
from gpu_list import Item, chosen

ROOT = Path(__file__).resolve().parent.parent
LONG, SHORT = 570.0, 225.0  # seconds: less than 10 and 4 minutes, with room to end
GRACE = 8.0  # seconds that a step may take longer before it is killed
WHOLE = 0.8  # of the wanted seconds, from which on a training counts as done


@dataclass
class Clock:
    """The time that is left."""

    total: float
    start: float

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.total - self.spent


class Done:
    """What was done, by item and code, in a file."""

    def __init__(self, file: Path, known: Path | None = None) -> None:
        """Read the file, or another one if there is none."""
        self.file = file
        source = file if file.is_file() or known is None else known
        self.items: dict[str, dict[str, object]] = (
            json.loads(source.read_text()) if source.is_file() else {}
        )

    def has(self, item: Item) -> bool:
        """Return whether an item was done on the present code."""
        kept = self.items.get(item.name, {})
        return kept.get("status") == "done" and kept.get("key") == key_of(item)

    def note(self, item: Item, status: str, seconds: float) -> None:
        """Remember what came of an item."""
        self.items[item.name] = {
            "status": status,
            "key": key_of(item),
            "seconds": round(seconds, 1),
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _write(self.file, self.items)


def key_of(item: Item) -> str:
    """Return a hash of an item's command and of the code that matters to it."""
    digest = sha256(json.dumps([item.name, item.command]).encode())
    for pattern in sorted(item.code):
        for file in sorted(ROOT.glob(pattern)):
            if file.is_file() and file.suffix in (".py", ".sh", ".toml"):
                digest.update(file.relative_to(ROOT).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


class Session:
    """One go through the list."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.clock = Clock(options.seconds, time.monotonic())
        self.out, self.work = options.output, options.work
        for folder in (self.out, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        self.done = Done(self.out / "gpu-done.json", ROOT / "benchmarks/results/gpu-done.json")
        self.log = self.out / "gpu-log.txt"
        self.results: dict[str, object] = {}
        self.preparing: subprocess.Popen[bytes] | None = None

    def say(self, text: str) -> None:
        """Print a line, and write it to the log."""
        line = f"[{self.clock.spent:6.1f} s] {text}"
        print(line, flush=True)
        self._log(line)

    def _log(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text + "\n")

    def run(self, items: Sequence[Item]) -> None:
        """Work off the list."""
        for item in items:
            if self.done.has(item) and not item.always:
                self.say(f"{item.name}: done before on this code")
                continue
            room = min(item.seconds, self.clock.left - GRACE)
            if room < item.least:
                self.say(f"{item.name}: needs {item.least:.0f} s, {self.clock.left:.0f} s are left")
                continue
            if item.background:
                self.preparing = self._start(item, room)
                continue
            if item.trains:
                self._wait_for_features()
                room = min(item.seconds, self.clock.left - GRACE)
                if room < item.least:
                    continue
            self._do(item, room)
        self._stop_preparing()
        self.say("End of the list")

    def _do(self, item: Item, room: float) -> None:
        self.say(f"{item.name}: at most {room:.0f} s")
        begun = time.monotonic()
        process = self._start(item, room)
        try:
            patience = 4 if self.options.dry else 1  # a CPU that does other work too
            code: int | None = process.wait(patience * room + GRACE / 2)
        except subprocess.TimeoutExpired:
            code = None
            _end(process)
        took = time.monotonic() - begun
        cut = item.trains and room < WHOLE * item.seconds
        status = "stopped" if code is None else "failed" if code else "cut" if cut else "done"
        self.done.note(item, status, took)
        self._collect(item)
        self.say(f"{item.name}: {status} after {took:.1f} s")

    def _start(self, item: Item, room: float) -> subprocess.Popen[bytes]:
        words = {
            "seconds": f"{room:.0f}",
            "work": str(self.work),
            "python": sys.executable,
            "device": self.options.device,
        }
        command = [word.format(**words) for word in item.command]
        if self.options.dry:
            command += item.dry
        with (self.work / f"{item.name}.log").open("wb") as file:
            return subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True
            )

    def _collect(self, item: Item) -> None:
        """Copy what an item has written to the output folder."""
        text = (self.work / f"{item.name}.log").read_text(errors="replace")
        self._log(text[-6000:])
        print("\n".join(text.splitlines()[-12:]), flush=True)
        for name in item.results:
            file = self.work / name
            if file.is_file() and file.stat().st_size:
                try:
                    self.results[Path(name).stem] = json.loads(file.read_text())
                except ValueError:
                    self.say(f"{name} is not whole")
        _write(self.out / "gpu-results.json", self.results)
        for name in item.weights:
            if (self.work / name).is_file():
                plain = item.name.replace("+", "-with-")  # odd names do not come back
                save_weights(self.work / name, self.out / f"{plain}.safetensors")
        pack_sheets(self.work, self.out / "sheets.zip")

    def _wait_for_features(self) -> None:
        if self.preparing is None:
            return
        self.say("waiting for features")
        try:
            self.preparing.wait(max(1.0, min(120.0, self.clock.left - 60)))
        except subprocess.TimeoutExpired:
            self.say("features are not ready: training extracts what is missing")
        self._stop_preparing()

    def _stop_preparing(self) -> None:
        if self.preparing is not None:
            if self.preparing.poll() is None:
                _end(self.preparing)
            text = (self.work / "features.log").read_text(errors="replace")
            self.say(f"features: status {self.preparing.returncode}; {text.strip()[-300:]}")
            self.preparing = None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(3)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def _write(file: Path, value: object) -> None:
    """Write JSON so that the file is whole at any time."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1) + "\n")
    part.replace(file)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("length", nargs="?", choices=["long", "short"], default="long")
    parser.add_argument("--pack", type=Path, help="File of tools/pack_for_gpu.py.")
    results = os.environ.get("OUT") or ROOT / "benchmarks/results"
    parser.add_argument("--output", "-o", type=Path, default=Path(results))
    parser.add_argument("--work", type=Path, default=Path("/tmp/invertdesc-gpu"))
    parser.add_argument("--seconds", type=float, help="In all, in place of the usual ones.")
    parser.add_argument("--only", action="append", help="Name of an item. Repeatable.")
    parser.add_argument("--skip", action="append", default=[], help="Likewise.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--list", action="store_true", help="Print the list and end.")
    parser.add_argument("--dry", action="store_true", help="A tenth of everything, on the CPU.")
    options = parser.parse_args()
    usual = SHORT if options.length == "short" else LONG
    if options.seconds is None:
        options.seconds = usual / 10 if options.dry else usual
    if options.dry:
        options.device = "cpu"
    return options


def main() -> None:
    options = parsed()
    items = chosen(
        options.pack, options.work, dry=options.dry, only=options.only, skip=options.skip
    )
    if options.list:
        done = Done(options.output / "gpu-done.json", ROOT / "benchmarks/results/gpu-done.json")
        for item in items:
            before = done.items.get(item.name, {}).get("status", "open")
            state = before if done.has(item) or before != "done" else "done on other code"
            print(f"{item.name:14} {item.seconds:5.0f} s  {state}")
        return
    if not options.dry:
        shutil.rmtree(options.work, ignore_errors=True)
    Session(options).run(items)


if __name__ == "__main__":
    main()
