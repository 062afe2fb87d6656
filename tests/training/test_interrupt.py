import os
import signal
import threading

import pytest

from invertdesc.training.interrupt import delay_interruption


def _press(times: int, seen: list[int | None]) -> None:
    """Press Ctrl-C inside a block, so often, and note what comes after each."""
    with delay_interruption() as noted:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            seen.append(noted.signal)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("times", [1, 2])
def test_the_first_ctrl_c_waits_for_the_end_and_the_second_does_not(times: int) -> None:
    seen: list[int | None] = []
    with pytest.raises(KeyboardInterrupt):
        _press(times, seen)
    assert seen == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_others_are_called_and_put_back() -> None:
    seen: list[int] = []
    usual = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        mine = signal.getsignal(signal.SIGTERM)
        with delay_interruption() as noted:
            os.kill(os.getpid(), signal.SIGTERM)
            assert (noted.signal, seen) == (signal.SIGTERM, [])
        assert seen == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, usual)


def test_what_is_ignored_stays_ignored() -> None:
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with delay_interruption() as noted:
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert noted.signal is None
    finally:
        signal.signal(signal.SIGINT, usual)


def test_other_threads_are_left_alone() -> None:
    noted = []

    def run() -> None:
        with delay_interruption() as one:
            noted.append(one.signal)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert noted == [None]
