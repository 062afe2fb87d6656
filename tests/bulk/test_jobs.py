"""Reading, making and writing at once."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from invertdesc import LocalFeatures
from invertdesc.bulk.jobs import Job, Loaded, StageTimes, Status, Work, run_jobs
from invertdesc.bulk.summary import summarise
from invertdesc.errors import InputError
from invertdesc.limits import Limits, use_limits

SIZE = 4


class Factory:
    """Jobs that take note of what happens to them."""

    def __init__(self, count: int, seconds: float = 0.0) -> None:
        self.count, self.seconds = count, seconds
        self.read: list[int] = []
        self.made: list[list[int]] = []
        self.written: list[int] = []
        self.unwritten: list[int] = []  # results that wait while a part is made
        self.most_alive = 0
        self.readers: set[int] = set()
        self.features = LocalFeatures(
            keypoints=torch.zeros(1, 2),
            descriptors=torch.zeros(1, 128),
            image_size=(8, 8),
            descriptor="sift",
        )

    def jobs(self) -> Iterator[Job]:
        for number in range(self.count):
            self.readers.add(threading.get_ident())
            yield Job(str(number), Path(str(number)), lambda n=number: self.load(n))  # type: ignore[misc]

    def load(self, number: int) -> tuple[LocalFeatures, None] | Status:
        time.sleep(self.seconds)
        self.readers.add(threading.get_ident())
        self.read.append(number)
        self.most_alive = max(self.most_alive, len(self.read) - len(self.written))
        return self.features, None

    def make(self, part: Sequence[Loaded]) -> list[int]:
        self.unwritten.append(sum(map(len, self.made)) - len(self.written))
        time.sleep(self.seconds * len(part))
        self.made.append([int(target.name) for target, _, _ in part])
        return self.made[-1]

    def write(self, loaded: Loaded, result: int) -> None:
        time.sleep(self.seconds)
        assert int(loaded[0].name) == result
        self.written.append(result)

    @property
    def work(self) -> Work:
        return Work(self.make, self.write)


def pool_threads() -> int:
    return sum(one.name.startswith("ThreadPoolExecutor") for one in threading.enumerate())


def test_images_go_through_in_order_and_in_parts() -> None:
    factory = Factory(10)
    found = list(run_jobs(factory.jobs(), factory.work, size=SIZE))
    assert [one.image for one in found] == [str(number) for number in range(10)]
    assert {one.status for one in found} == {Status.MADE}
    assert factory.made == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert sorted(factory.written) == list(range(10))


def test_one_thread_reads_and_it_is_another_one() -> None:
    factory = Factory(10)
    list(run_jobs(factory.jobs(), factory.work, size=SIZE))
    assert len(factory.readers) == 1
    assert factory.readers != {threading.get_ident()}


def test_stages_overlap() -> None:
    factory, second_is_made = Factory(3 * SIZE), threading.Event()

    def make(part: Sequence[Loaded]) -> list[int]:
        numbers = factory.make(part)
        limit = time.monotonic() + 10
        while len(factory.read) < 2 * SIZE:  # the next part is read meanwhile
            assert time.monotonic() < limit
            time.sleep(0.001)
        if len(factory.made) == 2:
            second_is_made.set()
        return numbers

    def write(loaded: Loaded, number: int) -> None:
        assert second_is_made.wait(10)  # the first part is written meanwhile
        factory.write(loaded, number)

    list(run_jobs(factory.jobs(), Work(make, write), size=SIZE))
    assert len(factory.written) == factory.count


def test_images_in_memory_do_not_grow_with_their_number() -> None:
    factory = Factory(200)

    def write(loaded: Loaded, number: int) -> None:
        time.sleep(0.002)
        factory.write(loaded, number)

    list(run_jobs(factory.jobs(), Work(factory.make, write), size=SIZE))
    assert SIZE < factory.most_alive <= 3 * SIZE + 2


def test_clock_tells_which_stage_binds() -> None:
    fast, times = Factory(12), StageTimes()
    work = Work(fast.make, lambda *_: time.sleep(0.1))
    list(run_jobs(fast.jobs(), work, size=2, times=times))
    assert times.writing > times.making + times.reading
    slow, times = Factory(12, seconds=0.03), StageTimes()
    list(run_jobs(slow.jobs(), Work(lambda part: part, lambda *_: None), size=2, times=times))
    assert times.reading > times.making + times.writing


@pytest.mark.parametrize("stage", ["read", "make", "write"])
def test_errors_of_ours_concern_one_image(stage: str) -> None:
    factory = Factory(9)

    def fail(number: int, here: str) -> None:
        if here == stage and number in (3, 8):
            raise InputError(f"Expected better than {number}.")

    def jobs() -> Iterator[Job]:
        for job in factory.jobs():
            number = int(job.name)
            yield job._replace(read=lambda n=number: fail(n, "read") or factory.load(n))

    def make(part: Sequence[Loaded]) -> list[int]:
        for target, _, _ in part:
            fail(int(target.name), "make")
        return factory.make(part)

    work = Work(make, lambda one, n: fail(n, "write") or factory.write(one, n))
    found = {one.image: one for one in run_jobs(jobs(), work, size=SIZE)}
    assert len(found) == 9
    assert [name for name, one in found.items() if one.status is Status.FAILED] == ["3", "8"]
    assert found["3"].error == "Expected better than 3."
    assert sorted(factory.written) == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("stage", ["jobs", "read", "make", "write"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_other_errors_reach_the_caller_and_end_the_run(
    stage: str, error: type[BaseException]
) -> None:
    factory, threads = Factory(1000), pool_threads()

    def fail(here: str) -> None:
        if here == stage and len(factory.written) > 20:
            raise error

    def jobs() -> Iterator[Job]:
        for job in factory.jobs():
            fail("jobs")
            yield job._replace(read=lambda n=int(job.name): fail("read") or factory.load(n))

    work = Work(
        lambda part: fail("make") or factory.make(part),  # type: ignore[func-returns-value]
        lambda one, n: fail("write") or factory.write(one, n),  # type: ignore[func-returns-value]
    )
    with pytest.raises(error):
        summarise(run_jobs(jobs(), work, size=SIZE), list, StageTimes(), title="test")
    assert pool_threads() == threads
    assert 20 < len(factory.read) < 100


def test_caller_that_stops_listening_ends_the_run() -> None:
    factory, threads = Factory(1000), pool_threads()

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    outcomes = run_jobs(factory.jobs(), factory.work, size=SIZE)
    with pytest.raises(KeyboardInterrupt):
        summarise(outcomes, list, StageTimes(), title="", on_outcome=stop)
    assert pool_threads() == threads
    assert len(factory.read) <= 3 * SIZE + 2


@pytest.mark.parametrize(("pixels", "part", "waiting"), [(8 * 64, 4, 0), (4 * 64, 2, 0), (1, 1, 0)])
def test_large_pictures_are_made_a_few_at_a_time(pixels: int, part: int, waiting: int) -> None:
    factory = Factory(8)  # parts that are all full: a smaller last one leaves room for others
    with use_limits(Limits(pixels=pixels)):
        outcomes = list(run_jobs(factory.jobs(), factory.work, size=SIZE))
    assert [outcome.status for outcome in outcomes] == [Status.MADE] * 8
    assert max(map(len, factory.made)) == part
    assert max(factory.unwritten) == waiting


def test_small_pictures_are_written_while_others_are_made() -> None:
    factory = Factory(40)
    written = threading.Event()

    def write(loaded: Loaded, result: int) -> None:
        assert written.wait(60)
        factory.write(loaded, result)

    def make(part: Sequence[Loaded]) -> list[int]:
        if factory.made:
            written.set()  # only now: the first part is made while nothing has been written
        return factory.make(part)

    list(run_jobs(factory.jobs(), Work(make, write), size=SIZE))
    assert max(factory.unwritten) == SIZE
