"""Process many images: read, compute and write at once; note what fails, and go on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

from invertdesc.errors import InvertDescError
from invertdesc.features.local import LocalFeatures
from invertdesc.limits import get_limits

Loaded: TypeAlias = tuple[Path, LocalFeatures, Tensor | None]  # target, features, original

WRITERS = 4  # threads: packing a PNG takes as long as `poisson` (107, 106 ms; 512 x 512, one core)


class Status(StrEnum):
    """What became of an image."""

    MADE = "made"
    FAILED = "failed"
    THERE = "there"  # the result exists already
    EMPTY = "empty"  # without keypoints


class Job(NamedTuple):
    """What becomes of one image.

    Attributes:
        name: Of the image.
        target: Where the result goes.
        read: Returns the features and, where there is one, the original; a status where there is
            nothing to do.
    """

    name: str
    target: Path
    read: Callable[[], tuple[LocalFeatures, Tensor | None] | Status]


class Work(NamedTuple):
    """What is done with images that were read.

    Attributes:
        make: Turns a part into as many results; called in the main thread.
        write: Puts a result where it belongs; called in several threads. May return measures.
    """

    make: Callable[[Sequence[Loaded]], Sequence[Any]]
    write: Callable[[Loaded, Any], dict[str, float] | None]


@dataclass
class Outcome:
    """What became of one image.

    Attributes:
        image: Its name.
        status: Whether its result was made, or why not.
        keypoints: How many were read.
        milliseconds: For reading, making (an equal share of the part) and writing.
        measures: Of the result.
        error: What went wrong.
    """

    image: str
    status: Status = Status.MADE
    keypoints: int = 0
    milliseconds: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    error: str | None = None

    def fail(self, error: InvertDescError) -> None:
        """Take note of an error."""
        self.status, self.error = Status.FAILED, str(error)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note how long a stage took, and an error of ours, which ends it."""
        start = time.perf_counter()
        try:
            yield
        except InvertDescError as error:
            self.fail(error)
        self.milliseconds[stage] = round(1000 * (time.perf_counter() - start), 2)


@dataclass
class Clock:
    """Where the main thread's time went, in seconds: the stage that most of it waits for binds."""

    reading: float = 0.0
    making: float = 0.0
    writing: float = 0.0

    @contextmanager
    def counting(self, stage: str) -> Iterator[None]:
        """Count what a block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.perf_counter() - start)


class _Ready(NamedTuple):
    outcome: Outcome
    loaded: Loaded


def run_jobs(
    jobs: Iterable[Job], work: Work, *, size: int, clock: Clock | None = None
) -> Generator[Outcome]:
    """Do jobs in parts; while one is worked on, the next is read and the one before written.

    Reading, and the iteration over the jobs, happens in one thread: a store belongs to one at a
    time. In memory are three parts at most, and of large pictures no more than what `Limits` allow
    one to have. Errors of ours become outcomes, others get out.

    Args:
        jobs: One an image.
        work: What is done with them.
        size: Images in a part.
        clock: Counts what the time goes to.
    """
    clock = clock or Clock()
    reader, writers = ThreadPoolExecutor(1), ThreadPoolExecutor(WRITERS)
    pending: deque[tuple[int, Future[Outcome]]] = deque()  # with the pixels of each
    part: list[_Ready] = []
    most = get_limits().pixels // 2

    def written(images: int, pixels: int) -> Iterator[Outcome]:
        """Yield what has been written, until no more is waiting than that."""
        while len(pending) > images or (pending and sum(n for n, _ in pending) > pixels):
            with clock.counting("writing"):
                outcome = pending.popleft()[1].result()
            yield outcome

    try:
        for found in _read_ahead(reader, iter(jobs), size, clock):
            if isinstance(found, Outcome):
                yield found
            elif found is not None:
                part.append(found)
            pixels = sum(map(_pixels, part))
            if part and (found is None or len(part) == size or pixels >= most):
                yield from written(size, most - pixels)
                with clock.counting("making"):
                    made = _make(part, work)
                with clock.counting("writing"):
                    pending.extend(
                        (_pixels(ready), writers.submit(_write, ready, result, work))
                        for ready, result in made
                    )
                part, made = [], []
            yield from written(0 if found is None else size, most)
    finally:  # also when the user breaks it off: what is being written is ended, the rest left
        reader.shutdown(cancel_futures=True)
        writers.shutdown(cancel_futures=True)


def _pixels(ready: _Ready) -> int:
    height, width = ready.loaded[1].image_size
    return height * width


def _read_ahead(
    reader: ThreadPoolExecutor, jobs: Iterator[Job], most: int, clock: Clock
) -> Iterator[_Ready | Outcome | None]:
    """Yield what was read, in order, and None at the end; so many are read in advance."""

    def advance() -> _Ready | Outcome | None:
        job = next(jobs, None)
        return None if job is None else _read(job)

    waiting = deque(reader.submit(advance) for _ in range(most))
    while True:
        with clock.counting("reading"):
            found = waiting.popleft().result()
            if found is not None:
                waiting.append(reader.submit(advance))
        yield found
        if found is None:
            return


def _read(job: Job) -> _Ready | Outcome:
    outcome = Outcome(job.name)
    found: tuple[LocalFeatures, Tensor | None] | Status = Status.FAILED
    with outcome.timed("read"):
        found = job.read()
    if isinstance(found, Status):
        outcome.status = found
        return outcome
    outcome.keypoints = len(found[0])
    return _Ready(outcome, (job.target, *found))


def _make(part: Sequence[_Ready], work: Work) -> list[tuple[_Ready, Any]]:
    """Return the results; a part that fails is tried again one by one, to find out which."""
    start = time.perf_counter()
    try:
        results = list(work.make([ready.loaded for ready in part]))
    except InvertDescError as error:
        if len(part) > 1:
            return [found for one in part for found in _make([one], work)]
        part[0].outcome.fail(error)
        results = [None]
    each = round(1000 * (time.perf_counter() - start) / len(part), 2)
    for ready in part:
        ready.outcome.milliseconds["make"] = each
    return list(zip(part, results, strict=True))


def _write(ready: _Ready, result: Any, work: Work) -> Outcome:
    outcome = ready.outcome
    if outcome.status is Status.MADE:
        with outcome.timed("write"):
            outcome.measures = work.write(ready.loaded, result) or {}
    return outcome
