"""Complete names of descriptors, methods and examples, once completion was installed."""

from collections.abc import Callable, Iterable


def _descriptors() -> Iterable[str]:
    from invertdesc.descriptors import list_descriptors

    return list_descriptors()


def _methods() -> Iterable[str]:
    from invertdesc.methods import list_methods

    return list_methods()


def _examples() -> Iterable[str]:
    from invertdesc.sources import EXAMPLES

    return EXAMPLES


def _starting(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


COMPLETIONS: dict[str, Callable[[str], list[str]]] = {  # by the name of the option
    "descriptor": _starting(_descriptors),
    "example": _starting(_examples),
    "method": _starting(_methods),
}
