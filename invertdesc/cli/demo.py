"""`invertdesc demo`."""

from typing import Any

import typer

from invertdesc.cli.calling import call


def demo(
    context: typer.Context,
    browser: bool = True,
    **_: Any,
) -> None:
    """Open a page to play with: a picture, its keypoints, and what they give away.

    It is served to this machine alone, to whoever knows the address with its token, and sends
    nothing anywhere. Needs the extra `demo`.

    Examples:
        invertdesc demo
        invertdesc demo --port 0 --no-browser --device cuda
    """
    from invertdesc.demo.serve import serve

    words = "Serving {} to this machine; Ctrl-C ends it."
    announce = {"announce": lambda address: typer.echo(words.format(address))}
    call(context, serve, open_browser=browser, **announce)
