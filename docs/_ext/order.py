"""The order of the gallery: by the number in the name of each example."""

import re


class ByNumber:
    """Sort `plot_2_b.py` before `plot_10_a.py`.

    >>> sorted(["plot_10_a.py", "plot_2_b.py"], key=ByNumber("examples"))
    ['plot_2_b.py', 'plot_10_a.py']
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return "ByNumber"  # the same in every build, so that pages are not made again

    def __call__(self, name: str) -> tuple[int, str]:
        """Return the number in a name, and the name."""
        found = re.search(r"\d+", name)
        return int(found[0]) if found else 0, name
