"""`invertdesc demo`."""

from typing import Annotated

import typer

from invertdesc.cli.options import Device


def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="To listen at; 0 takes any.")] = 7860,
    browser: Annotated[bool, typer.Option(help="Open the page in your browser.")] = True,
    side: Annotated[
        int, typer.Option(min=64, help="Shrink pictures to so many pixels of the longer side.")
    ] = 512,
    device: Device = None,
    max_upload: Annotated[
        int, typer.Option(min=1, metavar="MB", help="Refuse pictures whose files are larger.")
    ] = 50,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="INVERTDESC_DEMO_TOKEN",
            help="What the address must hold; random by default. An empty one lets everybody on "
            "this machine in.",
        ),
    ] = None,
) -> None:
    """Open a page to play with: a picture, its keypoints, and what they give away.

    It is served to this machine alone, to whoever knows the address with its token, and sends
    nothing anywhere. Needs the extra `demo`.

    **Examples**

        invertdesc demo

        invertdesc demo --port 0 --no-browser --device cuda
    """
    from invertdesc.demo.serve import serve

    serve(
        port=port,
        side=side,
        device=device,
        token=token,
        max_upload=max_upload,
        open_browser=browser,
        told=lambda address: typer.echo(f"Serving {address} to this machine; Ctrl-C ends it."),
    )
