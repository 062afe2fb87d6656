"""What each method needs, and what of it ships."""

from __future__ import annotations

from invertdesc.methods.base import Method
from invertdesc.methods.registry import methods
from invertdesc.registry import Entry
from invertdesc.weights._files import shipped_for

DEFAULT = "auto"
WORDS = {  # for a reader who does not know the code
    "describe": "extractor",
    "respond": "differentiable extractor",
    "pattern": "known bits",
}
STARTS = {  # whose weights are those of another method
    "auto": "unfold",
    "backprojection": "unfold",
    "unfold+gradient": "unfold",
}


def describe_methods(pattern: str = "*") -> list[Entry]:
    """Say of all methods that match a wildcard pattern what they need and what ships.

    They may need fields of the features, abilities of the descriptor (`Needs` has them by their
    names in code), a `"database"` from `collect_database`, and `"weights"` from `train`, for
    descriptors other than those that ship.

    >>> coarse, ridge = describe_methods("coarse") + describe_methods("ridge")
    >>> coarse.needs, coarse.ships, ridge.needs
    (('weights',), ('weights for sift',), ('database',))
    """
    return [_entry(name, summary) for name, summary in methods.summaries(pattern).items()]


def _entry(name: str, summary: str) -> Entry:
    method: object = methods.get(name)
    needs: list[str] = []
    if isinstance(method, type) and issubclass(method, Method):
        wanted = method.needs
        abilities = [WORDS.get(one, one) for one in wanted.abilities]
        needs = [*wanted.fields, *abilities, *["database"] * wanted.database]
    some = shipped_for(STARTS.get(name, name))
    ships = [f"weights for {', '.join(some)}" if some else "weights"] if some is not None else []
    if some:
        needs.append("weights")
    return Entry(name, summary, tuple(needs), tuple(ships), name == DEFAULT)
