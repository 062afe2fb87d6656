"""Check built pages without the network: links inside lead somewhere, and nothing is loaded.

    python tools/check_links.py docs/_build

It prints a line for each link or anchor that leads nowhere, and for each script, style, font or
picture that a page would load from another host. Links to other hosts, which a reader may follow,
are not checked.
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"audio", "embed", "iframe", "img", "input", "script", "source", "video"}
STYLES = ("stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch")


class Page(HTMLParser):
    """The links, anchors and loaded files of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down what a tag names."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "link" and any(kind in found.get("rel", "") for kind in STYLES):
            self.loaded.append(found.get("href", ""))
        if tag in LOADED and "src" in found:
            self.loaded.append(found["src"])


def check(folder: Path) -> Iterator[str]:
    """Yield a sentence for each link that is dead and each file that is loaded from elsewhere."""
    files = sorted(folder.rglob("*.html"))
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in files}
    for path, page in pages.items():
        name = path.relative_to(folder.resolve())
        for target in page.links + page.loaded:
            parts = urlsplit(target)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                if target in page.loaded:
                    yield f"{name} loads {target}"
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not there.exists():
                yield f"{name} links to {target}, which is not there"
                continue
            anchors = pages[there].anchors if there in pages else set()
            if parts.fragment and there in pages and unquote(parts.fragment) not in anchors:
                yield f"{name} links to {target}, which has no such anchor"


if __name__ == "__main__":
    problems = list(check(Path(sys.argv[1])))
    print(*problems, sep="\n")
    sys.exit(bool(problems))
