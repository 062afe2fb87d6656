"""Serve the page to this machine only, without contact to other hosts."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote

from invertdesc._optional import require
from invertdesc.demo.answers import Answers
from invertdesc.demo.folder import own_folder
from invertdesc.demo.guard import MEGABYTE, Application, Guard
from invertdesc.errors import InputError

HOST = "127.0.0.1"


def serve(
    *,
    port: int,
    side: int,
    device: str | None,
    token: str | None,
    max_upload: int,
    open_browser: bool,
    announce: Callable[[str], None],
) -> None:
    """Serve the page until it is stopped; then delete all uploads.

    Args:
        port: Port to listen on; 0 for any free one.
        side: Longest side of pictures in pixels; larger ones are shrunk.
        device: Device to compute on.
        token: Token in the address; None for a random one, empty for no token.
        max_upload: Maximum size of an uploaded file in megabytes.
        open_browser: Whether to open the page in the user's browser.
        announce: Function that is called with the address of the page when it can be opened.

    Raises:
        FileError: There is no folder for temporary files.
        InputError: The port is in use.
        MissingDependencyError: gradio is not installed.
        SystemExit: The process was asked to end by SIGTERM or SIGHUP.
    """
    token = token_urlsafe() if token is None else token
    most = max_upload * MEGABYTE
    with ExitStack() as stack:
        stack.enter_context(_ended_by_signals())
        answers = _make_places(stack, stack.enter_context(own_folder()), side, device)
        stack.callback(_join_threads, threading.enumerate())
        listener = stack.enter_context(_listen(port))
        server = _server(Guard(_build_app(answers, most), answers.uploads, token, most))
        address = f"http://{HOST}:{listener.getsockname()[1]}/"
        if token:
            address += f"?token={quote(token, safe='')}"
        announce(address)
        if open_browser:
            webbrowser.open(address)
        server.run(sockets=[listener])


def _make_places(stack: ExitStack, folder: Path, side: int, device: str | None) -> Answers:
    """Make all files be written to a folder, until the stack is closed."""
    # gradio writes some files to the temporary folder of the system; they are then deleted too.
    stack.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
    tempfile.tempdir = str(folder)
    answers = Answers(folder / "results", folder / "uploads", side, device)
    for place in (answers.folder, answers.uploads):
        place.mkdir()
    # gradio reads these: the folder of uploads, and that it must not send usage statistics.
    os.environ.update(GRADIO_TEMP_DIR=str(answers.uploads), GRADIO_ANALYTICS_ENABLED="False")
    return answers


def _join_threads(before: Iterable[threading.Thread]) -> None:
    """Wait for threads that were started meanwhile; each may still write a file."""
    for thread in set(threading.enumerate()).difference(before):
        if not thread.daemon:  # Python itself waits for these at the end
            thread.join()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP (a closed terminal) end the block as Ctrl-C does."""
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is not None and signal.getsignal(hangup) == signal.SIG_IGN:
        hangup = None  # as set by nohup
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, hangup) if number}

    def end(number: int, _frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # nothing may interrupt the deletion
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    if hangup is not None:  # uvicorn only handles SIGTERM: it ends properly, then raises it again
        signal.signal(hangup, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise InputError(
            f"Expected a free port, got {port}: {error}. Choose another with --port; 0 takes any."
        ) from error


def _server(app: Application) -> Any:
    import uvicorn

    # Do not wait for connections that browsers keep open.
    return uvicorn.Server(
        uvicorn.Config(
            app,
            ws="none",
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )


def _build_app(answers: Answers, most: int) -> Application:
    gradio = require("gradio", "demo", needed_by="the demo")
    from fastapi import FastAPI

    from invertdesc.demo.page import CSS, build_page, theme

    page = build_page(answers)
    page.has_launched = True  # only launch() sets this; without it gradio reads any file
    app: Application = gradio.mount_gradio_app(
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
        show_error=False,  # messages of unexpected errors may name files of this machine
        max_file_size=most,
        theme=theme(),
        css=CSS,
    )
    return app
