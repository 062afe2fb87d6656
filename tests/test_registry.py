import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pytest

import invertdesc.descriptors
import invertdesc.methods
import invertdesc.registry
from invertdesc import (
    create_descriptor,
    create_method,
    list_descriptors,
    list_methods,
    register_descriptor,
    register_method,
)
from invertdesc.descriptors import descriptors
from invertdesc.descriptors.sift import Sift
from invertdesc.errors import InputError, UnknownNameError
from invertdesc.methods import methods
from invertdesc.methods.poisson import Poisson
from invertdesc.registry import Registry


def boxes() -> Registry[Any]:
    return Registry(
        "box",
        group="invertdesc.no-such-group",
        builtin={"fraction": "fractions:Fraction", "counter": "collections:Counter"},
    )


class Recorder:
    def __init__(self, *, width: int = 1, height: int = 2) -> None:
        self.size = (height, width)


@pytest.fixture
def late_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that can be imported and has not been yet."""
    name = "a_module_for_a_late_import"
    (tmp_path / f"{name}.py").write_text("class Late:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def plug_in(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str]) -> list[str]:
    """Announce plug-ins in place of the installed ones; return the groups that were asked for."""
    asked: list[str] = []

    def entry_points(*, group: str) -> list[EntryPoint]:
        asked.append(group)
        return [EntryPoint(name, value, group) for name, value in found]

    monkeypatch.setattr(invertdesc.registry, "entry_points", entry_points)
    return asked


def test_create_passes_options_to_the_factory() -> None:
    registry = boxes()
    registry.register("recorder", Recorder)
    assert registry.create("recorder", width=7).size == (2, 7)
    assert str(registry.create("fraction", numerator=1, denominator=2)) == "1/2"


@pytest.mark.parametrize("name", ["fraction", "recorder"])
def test_taken_name_is_refused_and_keeps_its_factory(name: str) -> None:
    registry = boxes()
    registry.register("recorder", Recorder)
    before = registry.get(name)
    with pytest.raises(InputError, match=f"Expected a new box name .*got '{name}', which is taken"):
        registry.register(name, dict)
    assert registry.get(name) is before


@pytest.mark.parametrize(
    ("given", "meant"),
    [("fractoin", "'fraction'"), ("FRACTION", "'fraction'"), ("conter", "'counter'")],
)
def test_unknown_name_gets_a_suggestion(given: str, meant: str) -> None:
    message = f"Unknown box '{given}'. Did you mean {meant}?"
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        boxes().get(given)


def test_several_near_names_are_all_suggested() -> None:
    registry = boxes()
    registry.register("fractions", Recorder)
    with pytest.raises(UnknownNameError, match="Did you mean 'fraction' or 'fractions'"):
        registry.get("fractio")


@pytest.mark.parametrize("given", ["zzz", ""])
def test_name_unlike_any_other_gets_the_whole_list(given: str) -> None:
    with pytest.raises(
        UnknownNameError, match=rf"Unknown box '{given}'\. Known: counter, fraction\."
    ):
        boxes().get(given)


@pytest.mark.parametrize("given", [None, 3, ["fraction"], Recorder])
def test_name_that_is_no_text_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="Expected the name of a box, got "):
        boxes().get(given)


def test_names_are_sorted_and_match_wildcards() -> None:
    registry = boxes()
    registry.register("folder", Recorder)
    assert registry.names() == ["counter", "folder", "fraction"]
    assert registry.names("f*") == ["folder", "fraction"]
    assert registry.names("?older") == ["folder"]
    assert registry.names("F*") == []
    assert registry.names("folder") == ["folder"]


def test_unknown_option_is_named_beside_the_known_ones() -> None:
    registry = boxes()
    registry.register("recorder", Recorder)
    message = "Expected options of box 'recorder' among width, height; got 'widht'."
    with pytest.raises(InputError, match=re.escape(message)):
        registry.create("recorder", widht=3)


def test_unknown_option_of_a_factory_without_any() -> None:
    registry = boxes()
    registry.register("nothing", lambda: None)
    with pytest.raises(InputError, match="among none; got 'width'"):
        registry.create("nothing", width=3)


def test_factory_that_takes_any_option_gets_it() -> None:
    def factory(**options: int) -> dict[str, int]:
        return options

    registry = boxes()
    registry.register("anything", factory)
    assert registry.create("anything", width=3) == {"width": 3}


def test_builtin_is_imported_when_asked_for_and_no_sooner(late_module: str) -> None:
    registry: Registry[Any] = Registry(
        "box", group="invertdesc.no-such-group", builtin={"late": f"{late_module}:Late"}
    )
    assert registry.names() == ["late"]
    with pytest.raises(UnknownNameError):
        registry.get("lade")
    assert late_module not in sys.modules
    factory = registry.get("late")
    assert late_module in sys.modules
    assert registry.get("late") is factory


def test_plugins_are_listed_without_being_imported(
    monkeypatch: pytest.MonkeyPatch, late_module: str
) -> None:
    asked = plug_in(monkeypatch, ("late", f"{late_module}:Late"))
    registry = boxes()
    assert registry.names() == ["counter", "fraction", "late"]
    assert late_module not in sys.modules
    assert type(registry.create("late")).__name__ == "Late"
    assert asked == ["invertdesc.no-such-group"]


def test_plugins_are_searched_for_once_and_for_unknown_names_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = plug_in(monkeypatch, ("ordered", "collections:OrderedDict"))
    registry = boxes()
    registry.get("counter")
    assert asked == []
    assert registry.get("ordered").__name__ == "OrderedDict"
    registry.names()
    with pytest.raises(UnknownNameError):
        registry.get("zzz")
    assert len(asked) == 1


def test_plugin_names_are_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, ("ordered", "collections:OrderedDict"))
    with pytest.raises(UnknownNameError, match="Did you mean 'ordered'"):
        boxes().get("orderd")


def test_plugin_with_a_taken_name_is_refused_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, ("ordered", "collections:OrderedDict"), ("counter", "theirs:Counter"))
    registry = boxes()
    for _ in range(2):
        with pytest.raises(InputError, match="for 'theirs:Counter', got 'counter', which is taken"):
            registry.names()
    assert registry.get("counter").__module__ == "collections"


def test_groups_are_those_that_plugins_are_told_to_use() -> None:
    assert invertdesc.descriptors.descriptors.group == "invertdesc.descriptors"
    assert invertdesc.methods.methods.group == "invertdesc.methods"


def test_installed_plugin_becomes_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, ("their-sift", "invertdesc.descriptors.sift:Sift"))
    registry = invertdesc.descriptors.descriptors
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    monkeypatch.setattr(registry, "_searched", False)
    assert "their-sift" in list_descriptors("their-*")
    assert isinstance(create_descriptor("their-sift", sigma=2.0), Sift)


def test_decorator_registers_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = invertdesc.descriptors.descriptors
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))

    @register_descriptor("dense-sift")
    def dense(*, gray: str = "luma") -> Sift:
        return Sift(gray=gray)

    assert dense().gray == "luma"
    assert "dense-sift" in list_descriptors()
    made = create_descriptor("dense-sift", gray="gamma")
    assert isinstance(made, Sift)
    assert made.gray == "gamma"


def test_decorator_registers_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = invertdesc.methods.methods
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))

    @register_method("bright")
    class Bright(Poisson):
        pass

    assert "bright" in list_methods()
    assert type(create_method("bright", mean=0.9)) is Bright


@pytest.mark.parametrize(
    ("register", "name"), [(register_descriptor, "sift"), (register_method, "poisson")]
)
def test_decorators_refuse_the_names_of_ours(
    register: Callable[[str], Callable[[Any], Any]], name: str
) -> None:
    with pytest.raises(InputError, match=f"got '{name}', which is taken"):
        register(name)(Recorder)


def test_kinds_are_named_in_messages() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown descriptor 'sfit'\. Did you mean 'sift'"):
        create_descriptor("sfit")
    with pytest.raises(UnknownNameError, match=r"Unknown method 'poison'\. Did you mean 'poisson'"):
        create_method("poison")
    with pytest.raises(InputError, match=r"options of descriptor 'sift' among .*; got 'contrast'"):
        create_descriptor("sift", contrast=0.1)
    with pytest.raises(InputError, match=r"options of method 'poisson' among .*; got 'strid'"):
        create_method("poisson", strid=2)


Size: TypeAlias = int | None


class Typed:
    def __init__(
        self,
        *,
        width: "int" = 1,
        ratio: "float | None" = None,
        kind: "Literal['a', 'b']" = "a",
        part: "Elsewhere | os.PathLike[str] | None" = None,  # type: ignore[name-defined]  # noqa: F821
        odd: "no type at all" = None,  # type: ignore[valid-type]  # noqa: F722
        size: "Size" = 1,
        flag: bool = False,
        free: Any = None,
    ) -> None:
        pass


@pytest.mark.parametrize(
    "options",
    [
        {"width": np.int64(3), "ratio": 2, "flag": np.True_}, {"ratio": np.float32(0.5)},
        {"ratio": None, "part": None, "kind": "c"}, {"part": Path("x")}, {"part": object()},
        {"odd": 5}, {"size": None}, {"free": []},
    ],
    ids=str,
)  # fmt: skip
def test_options_of_the_right_kind_are_taken(options: dict[str, Any]) -> None:
    registry = boxes()
    registry.register("typed", Typed)
    assert isinstance(registry.create("typed", **options), Typed)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": "3"}, "width of box 'typed' as a whole number, got '3'."),
        ({"width": 3.0}, "as a whole number, got 3.0."),
        ({"width": True}, "as a whole number, got True."),
        ({"width": 2**63}, f"as a whole number, got {2**63}."),
        ({"ratio": float("nan")}, "ratio of box 'typed' as a number or null, got nan."),
        ({"ratio": "x" * 300}, "as a number or null, got 'xxx"),
        ({"kind": 1}, "as 'a' or 'b', got 1."),
        ({"part": 5}, "as an object of class Elsewhere or a path or null, got 5."),
        ({"size": "x"}, "as a whole number or null, got 'x'."),
        ({"flag": 1}, "as true or false, got 1."),
    ],
    ids=str,
)
def test_options_of_another_kind_are_named(options: dict[str, Any], words: str) -> None:
    registry = boxes()
    registry.register("typed", Typed)
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        registry.create("typed", **options)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("registry", [descriptors, methods], ids=["descriptors", "methods"])
def test_every_option_of_ours_says_what_it_takes(registry: Registry[Any]) -> None:
    for name in registry.names():
        for option in inspect.signature(registry.get(name)).parameters:
            with pytest.raises(InputError, match=f"^Expected {option} of .* as .*, got {{}}"):
                registry.create(name, **{option: {}})


@pytest.mark.parametrize("name", ["sitf", "SIFT", "sifft", "Root_SIFT", "ALIKED n16"])
def test_a_surely_misspelt_name_is_known(name: str) -> None:
    assert descriptors.misspelt(name) in {"sift", "rootsift", "aliked-n16"}


@pytest.mark.parametrize(
    "name",
    ["sift", "csift", "sift2", "bro", "aliked-n166", "patches", "", "SIFT.safetensors"],
)
def test_a_name_that_may_be_meant_is_let_be(name: str) -> None:
    assert descriptors.misspelt(name) is None


def test_a_misspelt_name_that_was_registered_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Registry("box", group="invertdesc.no-such-group", builtin={"sift": "a:B"})
    assert own.misspelt("sitf") == "sift"
    own.register("sitf", Recorder)
    assert own.misspelt("sitf") is None
