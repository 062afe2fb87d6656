"""Process many images: read, compute and write concurrently; note failures and continue."""

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

from invertdesc.errors import Hint, InvertDescError, find_hint
from invertdesc.features.local import LocalFeatures
from invertdesc.limits import get_limits

Loaded: TypeAlias = tuple[Path, LocalFeatures, Tensor | None]  # target, features, original

WRITERS = 4  # threads: writing a PNG takes as long as `poisson` (107, 106 ms; 512 x 512, one core)


class Status(StrEnum):
    """The outcome of an image, in a word."""

    MADE = "made"
    FAILED = "failed"
    THERE = "there"  # the result exists already
    EMPTY = "empty"  # without keypoints


class Job(NamedTuple):
    """One image to process.

    Attributes:
        name: Name of the image.
        target: File that the result is written to.
        read: Returns the features and the original image or None; a status if there is nothing to
            do.
    """

    name: str
    target: Path
    read: Callable[[], tuple[LocalFeatures, Tensor | None] | Status]


class Work(NamedTuple):
    """How images are processed once they are read.

    Attributes:
        make: Computes the results of a batch; called in the main thread.
        write: Writes a result to its target; called in several threads. May return measures.
    """

    make: Callable[[Sequence[Loaded]], Sequence[Any]]
    write: Callable[[Loaded, Any], dict[str, float] | None]


@dataclass
class Outcome:
    """The outcome of one image.

    Attributes:
        image: Name of the image.
        status: Whether the result was made, or why not.
        keypoints: Number of keypoints that were read.
        milliseconds: Time to `read`, to `make` (an equal share of its batch) and to `write`.
        measures: Measures of the result, by name.
        error: Message of what went wrong, or None.
        hint: What mends it, where the error has one; None with Ray.
    """

    image: str
    status: Status = Status.MADE
    keypoints: int = 0
    milliseconds: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    hint: Hint | None = None

    def fail(self, error: InvertDescError) -> None:
        """Note an error."""
        self.status, self.error, self.hint = Status.FAILED, str(error), find_hint(error)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note the duration of a block, and the `InvertDescError` that ended it."""
        start = time.perf_counter()
        try:
            yield
        except InvertDescError as error:
            self.fail(error)
        self.milliseconds[stage] = round(1000 * (time.perf_counter() - start), 2)


@dataclass
class StageTimes:
    """Seconds that the main thread spent on each stage; the largest is the bottleneck."""

    reading: float = 0.0
    making: float = 0.0
    writing: float = 0.0

    @contextmanager
    def counting(self, stage: str) -> Iterator[None]:
        """Add the time that a block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, stage, getattr(self, stage) + time.perf_counter() - start)


class _Ready(NamedTuple):
    outcome: Outcome
    loaded: Loaded


def run_jobs(
    jobs: Iterable[Job], work: Work, *, size: int, times: StageTimes | None = None
) -> Generator[Outcome]:
    """Process jobs in batches; during one, the next is read and the one before is written.

    The jobs are iterated over and read in one thread, since a store serves one thread at a time. At
    most three batches are in memory, and together they have at most the pixels that `Limits` allows
    for one picture. An `InvertDescError` becomes an outcome; other errors end the run.

    Args:
        jobs: One job for each image.
        work: How they are processed.
        size: Images in a batch.
        times: Where the time of each stage is added.

    Yields:
        An outcome for each job, in the order in which they are finished.

    Raises:
        Exception: Any error that is not an `InvertDescError`.
    """
    times = times or StageTimes()
    reader, writers = ThreadPoolExecutor(1), ThreadPoolExecutor(WRITERS)
    pending: deque[tuple[int, Future[Outcome]]] = deque()  # with the number of pixels of each
    part: list[_Ready] = []
    most = get_limits().pixels // 2

    def written(images: int, pixels: int) -> Iterator[Outcome]:
        """Yield outcomes of written results, until at most this much is waiting."""
        while len(pending) > images or (pending and sum(n for n, _ in pending) > pixels):
            with times.counting("writing"):
                outcome = pending.popleft()[1].result()
            yield outcome

    try:
        for found in _read_ahead(reader, iter(jobs), size, times):
            if isinstance(found, Outcome):
                yield found
            elif found is not None:
                part.append(found)
            pixels = sum(map(_pixels, part))
            if part and (found is None or len(part) == size or pixels >= most):
                yield from written(size, most - pixels)
                with times.counting("making"):
                    made = _make(part, work)
                with times.counting("writing"):
                    pending.extend(
                        (_pixels(ready), writers.submit(_write, ready, result, work))
                        for ready, result in made
                    )
                part, made = [], []
            yield from written(0 if found is None else size, most)
    finally:  # also when the caller stops: writing in progress is finished, the rest is dropped
        reader.shutdown(cancel_futures=True)
        writers.shutdown(cancel_futures=True)


def _pixels(ready: _Ready) -> int:
    height, width = ready.loaded[1].image_size
    return height * width


def _read_ahead(
    reader: ThreadPoolExecutor, jobs: Iterator[Job], most: int, times: StageTimes
) -> Iterator[_Ready | Outcome | None]:
    """Yield the read jobs in order, and None at the end; read up to `most` jobs ahead."""

    def advance() -> _Ready | Outcome | None:
        job = next(jobs, None)
        return None if job is None else _read(job)

    waiting = deque(reader.submit(advance) for _ in range(most))
    while True:
        with times.counting("reading"):
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
    """Return the results; a batch that fails is repeated image by image to find the bad one."""
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
