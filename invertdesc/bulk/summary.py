"""The result of a bulk run: counts and times."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tqdm import tqdm

from invertdesc._text import printable
from invertdesc.bulk.jobs import Outcome, StageTimes, Status
from invertdesc.bulk.places import Places, is_there

OnOutcome: TypeAlias = Callable[[Outcome], None]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a bulk run did: how many images, and where the time went.

    Attributes:
        total: Number of images that were requested.
        made: Number of results that were made and exist at the end of the run.
        failed: Number of images that failed; their outcomes have the errors.
        there: Number of results that existed before, and were skipped.
        empty: Number of images without keypoints.
        gone: Number of results that were made, but do not exist at the end of the run.
        first_gone: Path of the first of those, or None.
        seconds: Duration of the run.
        reading: Seconds that the main thread waited for images to be read; 0 with Ray.
        making: Seconds that it spent computing; 0 with Ray.
        writing: Seconds that it waited for results to be written; 0 with Ray.
        workers: Number of Ray processes that shared the work; 0 without Ray.
        log: File of JSON lines with the outcome of each image; None where none is kept.
        target: The folder that results go to, or the only file.

    >>> summary = Summary(total=3, made=2, failed=1, target=Path("out"))
    >>> summary.complete
    False
    >>> print(summary)
    Wrote 2 files to out.
    """

    total: int
    made: int
    failed: int
    there: int = 0
    empty: int = 0
    gone: int = 0
    first_gone: Path | None = None
    seconds: float = 0.0
    reading: float = 0.0
    making: float = 0.0
    writing: float = 0.0
    workers: int = 0
    log: Path | None = None
    target: Path | None = None

    @property
    def complete(self) -> bool:
        """Whether no image failed and no result is gone."""
        return not (self.failed or self.gone)

    @property
    def loss(self) -> str | None:
        """What to say of results that are gone; None where none is."""
        if not self.gone:
            return None
        return (
            f"Expected {self.made + self.gone} files to stay where they were written, {self.gone} "
            f"are gone, the first {self.first_gone}. Was the folder deleted or moved meanwhile? "
            "Run it again."
        )

    def __str__(self) -> str:
        """Say what was written, and of a store what became of the rest and how fast it went."""
        if self.log is not None:
            return "\n".join(self._store_lines())
        if not self.made:
            return ""
        count = "" if self.total == 1 else f"{self.made} files to "
        return f"Wrote {count}{printable(self.target)}."

    def _store_lines(self) -> Iterator[str]:
        counts = {
            "were there already": self.there,
            "have no keypoints": self.empty,
            "failed": self.failed,
            "are gone": self.gone,
        }
        rest = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
        head = f"Wrote {self.made} of {self.total} pictures to {printable(self.target)}."
        yield head + (f" {rest}." if rest else "")
        if self.made:
            speed = f"{self.made / self.seconds:.1f} images/s in {self.seconds:.1f} s"
            yield f"{speed}, {self._where_time_went()}."

    def _where_time_went(self) -> str:
        if self.workers:
            return f"by {self.workers} actors"
        total = max(self.reading + self.making + self.writing, 1e-9)
        return (
            f"{self.reading / total:.0%} waiting for reading, {self.making / total:.0%} making, "
            f"{self.writing / total:.0%} waiting for writing"
        )


def summarise(
    outcomes: Generator[Outcome],
    places: Callable[[], Places],
    times: StageTimes,
    *,
    title: str,
    on_outcome: OnOutcome | None = None,
    progress: bool = False,
    log: Path | None = None,
    target: Path | None = None,
) -> Summary:
    """Go through the outcomes of a run, and count them.

    Args:
        outcomes: The outcomes of the run, which happens as they are asked for.
        places: Returns the image names with their targets; called several times.
        times: Stage times of the run.
        title: Title of the bar.
        on_outcome: Called with each outcome, in this thread.
        progress: Show a progress bar, on a terminal.
        log: File that outcomes are logged to, or None.
        target: The folder that results go to, or the only file.
    """
    total, start = sum(1 for _ in places()), time.perf_counter()
    counts: Counter[Status] = Counter()
    made: set[str] = set()
    bar = tqdm(total=total, desc=title, unit="image", disable=None if progress else True)
    with closing(outcomes), bar:
        for outcome in outcomes:
            counts[outcome.status] += 1
            if outcome.status is Status.MADE:
                made.add(outcome.image)
            if on_outcome is not None:
                on_outcome(outcome)
            bar.update()
    seconds = time.perf_counter() - start
    targets = (place for name, place in places() if name in made)
    gone = [place for place in targets if isinstance(place, Path) and not is_there(place)]
    return Summary(
        total=total,
        made=counts[Status.MADE] - len(gone),
        failed=counts[Status.FAILED],
        there=counts[Status.THERE],
        empty=counts[Status.EMPTY],
        gone=len(gone),
        first_gone=gone[0] if gone else None,
        seconds=seconds,
        reading=times.reading,
        making=times.making,
        writing=times.writing,
        log=log,
        target=target,
    )
