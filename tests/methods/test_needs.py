"""Methods as modules, what they need, and what can be asked of the registry."""

from dataclasses import replace

import pytest
import torch
from skimage import data
from torch import Tensor

from invertdesc import (
    FeatureBatch,
    Method,
    Needs,
    create_descriptor,
    create_method,
    extract,
    list_descriptors,
    list_methods,
    reconstruct,
)
from invertdesc.descriptors.abilities import ABILITIES, abilities
from invertdesc.descriptors.base import width_of
from invertdesc.errors import InputError, InvertDescError, UnknownNameError
from invertdesc.methods import methods
from invertdesc.methods.network import network_method, preset


@pytest.fixture(scope="module")
def batch() -> FeatureBatch:
    return FeatureBatch.collate([extract(data.astronaut()[40:168, 90:250])])


@pytest.mark.parametrize("name", list_descriptors())
def test_abilities_are_what_an_adapter_has(name: str) -> None:
    try:
        adapter = create_descriptor(name)
    except InvertDescError as error:
        pytest.skip(str(error))
    found = abilities(adapter)
    assert found <= set(ABILITIES)
    assert "unfolding" in found
    packed = "numbers" not in found
    raw = torch.zeros(0, width_of(adapter), dtype=torch.uint8 if packed else torch.float32)
    assert adapter.encode(raw).shape == (0, adapter.dim)


@pytest.mark.parametrize(
    ("descriptor", "there", "missing"),
    [
        ("sift", {"unfold", "coarse", "gradient", "maxent", "tv"}, {"biht", "bovw"}),
        ("orb", {"unfold", "biht", "coarse"}, {"gradient", "maxent", "tv", "bovw"}),
        ("hog", {"gradient", "bovw"}, {"biht", "maxent"}),
        ("sift-dense", {"bovw"}, {"biht"}),
    ],
)
def test_methods_of_a_descriptor(descriptor: str, there: set[str], missing: set[str]) -> None:
    found = set(list_methods(descriptor=descriptor))
    assert there <= found
    assert not missing & found
    assert found == set(list_methods(descriptor=create_descriptor(descriptor)))


def test_methods_that_are_ready() -> None:
    assert "bovw" not in list_methods(ready=True)  # needs a database
    assert "coarse" in list_methods(ready=True)
    assert "coarse" in list_methods(descriptor="sift", ready=True)
    assert "coarse" in list_methods(descriptor="rootsift", ready=True)  # the same encoding
    assert "coarse" not in list_methods(descriptor="orb", ready=True)  # no weights ship
    assert "unfold" in list_methods("un*", descriptor="orb", ready=True)
    with pytest.raises(UnknownNameError, match="Did you mean 'sift'"):
        list_methods(descriptor="sifd")


@pytest.mark.parametrize("descriptor", ["sift", "orb", "brisk", "hog"])
def test_what_is_ready_works_and_what_does_not_serve_says_so(descriptor: str) -> None:
    batch = FeatureBatch.collate([extract(data.coffee()[:96, :96], descriptor=descriptor)])
    quick = {"gradient": {"steps": 2}, "unfold+gradient": {"steps": 2}, "maxent": {"steps": 2}}
    ready = list_methods(descriptor=descriptor, ready=True)
    assert ready
    for name in ready:
        assert create_method(name, **quick.get(name, {}))(batch).shape == (1, 3, 96, 96)
    serving = list_methods(descriptor=descriptor)
    for name in set(list_methods(ready=True)) - set(serving):
        with pytest.raises(InvertDescError):
            create_method(name)(batch)


def test_needs_in_words() -> None:
    assert str(Needs()) == "nothing"
    assert str(Needs(fields=("scales",), database=True)) == "scales, a database"
    assert Needs(abilities=("numbers", "describe")).lacking(create_descriptor("orb")) == (
        "numbers",
    )


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
def test_weights_are_halved_and_compiled_as_those_of_any_module(batch: FeatureBatch) -> None:
    whole = create_method("unfold")
    whole.exact = True  # a compiled method computes in float32
    picture = whole(batch)
    half = create_method("unfold").to(torch.bfloat16)
    assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}
    found = half(batch)
    assert found.dtype == torch.float32
    assert 0 < float((found - picture).abs().mean()) < 0.01
    torch.testing.assert_close(torch.compile(whole, backend="eager")(batch), picture)
    whole.load_state_dict(create_method("unfold").state_dict())
    assert torch.equal(whole(batch), picture)


def test_any_function_serves(batch: FeatureBatch) -> None:
    def black(batch: FeatureBatch) -> Tensor:
        return torch.zeros(len(batch), 3, *batch.image_size)

    assert not reconstruct(batch[0], method=black).any()
    assert not reconstruct(batch[0], method=black, device="cpu").any()


def test_methods_without_a_network_cannot_be_trained() -> None:
    with pytest.raises(InputError, match=r"with a network, coarse, coarse\+cgan, .*got 'poisson'"):
        network_method("poisson")
    for name in list_methods():
        factory = methods.get(name)
        assert isinstance(factory, type)
        assert issubclass(factory, Method)
        if hasattr(factory, "recipe"):
            assert preset(name).method == name
            assert replace(preset(name), steps=1).network is not None
