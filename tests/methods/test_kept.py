"""Methods by name are made once a process."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from torch import Tensor

from invertdesc import FeatureBatch, LocalFeatures, create_descriptor, reconstruct
from invertdesc.methods import _kept, methods
from invertdesc.methods._kept import MOST, kept_method
from invertdesc.weights import _files

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kept, "_kept", type(_kept._kept)())


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Names of descriptors that the method `counted` was made for."""
    calls: list[object] = []

    class Counted:
        name, needs = "counted", ()

        def __init__(self, descriptor: object) -> None:
            time.sleep(0.02)  # time for other threads to make one too, were they let
            calls.append(descriptor)

        def __call__(self, batch: FeatureBatch) -> Tensor:
            return torch.full((len(batch), 3, *batch.image_size), 0.5)

    methods.names()  # so that plug-ins have been looked for
    monkeypatch.setitem(methods._factories, "counted", Counted)
    return calls


def test_weights_are_read_once(
    monkeypatch: pytest.MonkeyPatch, astronaut_features: LocalFeatures
) -> None:
    read: list[object] = []
    original = _files.read_network
    monkeypatch.setattr(
        "invertdesc.methods.network.read_network",
        lambda *given: read.append(given) or original(*given),  # type: ignore[func-returns-value]
    )
    first = reconstruct(astronaut_features)
    assert torch.equal(reconstruct(astronaut_features), first)
    assert len(read) == 1


def test_threads_share_what_one_of_them_made(
    made: list[object], astronaut_features: LocalFeatures
) -> None:
    start = Barrier(8)

    def run(_: int) -> object:
        start.wait()
        reconstruct(astronaut_features, method="counted")
        return kept_method("counted", "sift", CPU)

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(run, range(8)))
    assert len(found) == 1
    assert made == ["sift"]


def test_adapters_that_are_equal_have_a_method_each(made: list[object]) -> None:
    one, other = create_descriptor("sift"), create_descriptor("sift")
    assert one == other
    for adapter in (one, other, one, other):
        kept_method("counted", adapter, CPU)
    assert [adapter is one for adapter in made] == [True, False]


def test_each_device_has_its_own(made: list[object]) -> None:
    assert kept_method("counted", "sift", CPU) is not kept_method(
        "counted", "sift", torch.device("cuda")
    )
    assert len(made) == 2


def test_the_last_used_ones_are_kept(made: list[object]) -> None:
    for number in range(MOST):
        kept_method("counted", str(number), CPU)
    kept_method("counted", "0", CPU)
    kept_method("counted", "one more", CPU)
    kept_method("counted", "0", CPU)
    assert len(made) == MOST + 1
    kept_method("counted", "1", CPU)
    assert len(made) == MOST + 2


def test_what_cannot_be_made_is_not_kept(made: list[object]) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="Expected a database"):
            kept_method("ridge", "sift", CPU)
    assert not _kept._kept
