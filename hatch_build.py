"""Fill in what the build alone knows: the address of the repository, and README's links to it."""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)\s]+)\)")


class RepositoryHook(MetadataHookInterface):
    """Set the URLs of the project, and the README with links that work outside the repository.

    The address is that of the repository whose workflow builds (`GITHUB_REPOSITORY`), so that a
    fork names itself. Elsewhere there are no URLs, and links stay relative.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme` and, if the address is known, `urls`."""
        address = repository()
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        if address:
            metadata["urls"] = {
                "Source": address,
                "Changes": f"{address}/blob/v{metadata['version']}/CHANGELOG.md",
                "Issues": f"{address}/issues",
            }
            text = linked(text, address, f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def repository() -> str | None:
    """Return the address of the repository that is built; None if it is not known."""
    server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    return f"{server}/{name}" if server and name else None


def linked(text: str, address: str, tag: str) -> str:
    """Make relative links of Markdown absolute: pictures to the file, others to its page.

    >>> linked("![a](docs/a.png) [b](b.md#c)", "https://host/me/it", "v1")
    '![a](https://host/me/it/raw/v1/docs/a.png) [b](https://host/me/it/blob/v1/b.md#c)'
    """

    def absolute(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}[{words}]({address}/{kind}/{tag}/{target})"

    return LINK.sub(absolute, text)
