"""Print the files of the package that a call uses, in order, and their number.

python tools/walk.py photo PHOTO | store DATABASE | audit PHOTO
"""

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from types import FrameType

import invertdesc

PACKAGE = Path(invertdesc.__file__).parent


def files_of(call: Callable[[], object]) -> list[str]:
    """Return the files whose functions run in a call, in the order of their first use."""
    found: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(PACKAGE)) and frame.f_code.co_name != "<module>":
            found.setdefault(Path(path).relative_to(PACKAGE).as_posix())

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return list(found)


def _command(*words: str) -> Callable[[], object]:
    """Return a call of the command line that prints nothing."""
    from invertdesc.cli.app import run

    def call() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run(words)

    return call


def main(walk: str, source: str) -> None:
    with TemporaryDirectory() as folder:
        calls: dict[str, Callable[[], object]] = {
            "photo": lambda: invertdesc.reconstruct(source),
            "store": lambda: _command("reconstruct", source, "-o", mkdtemp(dir=folder))(),
            "audit": _command("audit", source, "-o", f"{folder}/report.html", "--no-curves"),
        }
        calls[walk]()  # imports modules and fills caches
        files = files_of(calls[walk])
    print("\n".join(files))
    print(f"{walk}: {len(files)} files")


if __name__ == "__main__":
    main(*sys.argv[1:])
