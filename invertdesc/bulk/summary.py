"""What became of a bulk run as a whole."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tqdm import tqdm

from invertdesc.bulk.jobs import Clock, Outcome, Status
from invertdesc.bulk.places import Places, is_there

OnOutcome: TypeAlias = Callable[[Outcome], None]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Counts of images, and where the time went.

    Attributes:
        total: Images that were asked for.
        made: Results that were made, and are where they were written.
        failed: Images of which none could be made; their outcomes have the errors.
        there: Results that existed already.
        empty: Images without keypoints.
        gone: Results that were made, but are no longer there at the end.
        first_gone: Path of the first of those.
        seconds: Of the whole run.
        reading: Seconds in which the main thread waited for images to be read.
        making: Seconds in which it made results.
        writing: Seconds in which it waited for results to be written.
        workers: Processes of Ray that shared the images; 0 for a run without it, and only such a
            run counts reading, making and writing.
        log: File of JSON lines with what became of each image, or None.
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

    @property
    def complete(self) -> bool:
        """Whether no image failed and no result is gone."""
        return not (self.failed or self.gone)


def summarise(
    outcomes: Generator[Outcome],
    places: Callable[[], Places],
    clock: Clock,
    *,
    title: str,
    on_outcome: OnOutcome | None = None,
    progress: bool = False,
    log: Path | None = None,
) -> Summary:
    """Let a run happen, and count what became of its images.

    Args:
        outcomes: Of the run.
        places: Returns the names of its images with their targets; each call anew.
        clock: That of the run.
        title: Of the bar.
        on_outcome: Called with each outcome, in this thread.
        progress: Show a bar, where there is a terminal.
        log: As in `Summary`.
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
        reading=clock.reading,
        making=clock.making,
        writing=clock.writing,
        log=log,
    )
