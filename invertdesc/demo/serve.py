"""Serve the page to this machine alone, and see to it that it asks nobody else for anything."""

from __future__ import annotations

import os
import socket
import tempfile
import webbrowser
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

from invertdesc.errors import InputError, MissingDependencyError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

HOST = "127.0.0.1"
# A browser asks only us, whatever gradio writes into the page. Its editor compiles shaders: eval.
POLICY = (
    "default-src 'self'; base-uri 'self'; connect-src 'self' blob: data:; font-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; img-src 'self' blob: data:; object-src 'none'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "worker-src 'self' blob:"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
]


def serve(
    *, port: int, side: int, device: str | None, open_browser: bool, told: Callable[[str], None]
) -> None:
    """Serve the page until somebody stops it; then delete all that browsers sent.

    Args:
        port: To listen at; 0 for any that is free.
        side: Pixels of the longer side that pictures are shrunk to.
        device: Where to compute.
        open_browser: Whether to open the page in the user's browser.
        told: Called with the page's address once it can be opened.

    Raises:
        InputError: Something else listens at the port.
        MissingDependencyError: gradio is not installed.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="invertdesc-"))
        # Read by gradio: where uploads lie, and that it is to tell nobody that it is in use.
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED="False")
        listener = stack.enter_context(_listen(port))
        server = _server(_build_app(Path(folder), side, device))
        address = f"http://{HOST}:{listener.getsockname()[1]}/"
        told(address)
        if open_browser:
            webbrowser.open(address)
        server.run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise InputError(
            f"Expected a free port, got {port}: {error}. Choose another with --port; 0 takes any."
        ) from error


def _server(app: Application) -> Any:
    import uvicorn

    # Browsers hold connections open, which are not waited for at the end.
    return uvicorn.Server(
        uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1)
    )


def _build_app(folder: Path, side: int, device: str | None) -> Application:
    try:
        import gradio
        from fastapi import FastAPI
    except ImportError as error:
        raise MissingDependencyError(
            "Expected gradio, which the page is made with: pip install invertdesc[demo]."
        ) from error
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from invertdesc.demo.answers import Answers
    from invertdesc.demo.page import CSS, build_page, theme

    page = build_page(Answers(folder, side, device))
    app = gradio.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        server_name=HOST,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=theme(),
        css=CSS,
    )
    # Else a page of another site could reach this one by a name of its own for 127.0.0.1.
    hosted = TrustedHostMiddleware(app, allowed_hosts=[HOST, "localhost"])
    return with_headers(hosted)


def with_headers(app: Application) -> Application:
    """Return an ASGI application whose answers hold a browser to this machine."""

    async def wrapped(scope: Message, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        await app(scope, receive, marked)

    return wrapped
