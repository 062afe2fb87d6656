"""Serve the page to this machine alone, and see to it that it asks nobody else for anything."""

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
    told: Callable[[str], None],
) -> None:
    """Serve the page until somebody stops it; then delete all that browsers sent.

    Args:
        port: To listen at; 0 for any that is free.
        side: Pixels of the longer side that pictures are shrunk to.
        device: Where to compute.
        token: What the address holds, so that only those answer who know it; None for a random
            one, empty for none.
        max_upload: Megabytes of a picture's file.
        open_browser: Whether to open the page in the user's browser.
        told: Called with the page's address once it can be opened.

    Raises:
        FileError: There is no place for temporary files.
        InputError: Something else listens at the port.
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
        told(address)
        if open_browser:
            webbrowser.open(address)
        server.run(sockets=[listener])


def _make_places(stack: ExitStack, folder: Path, side: int, device: str | None) -> Answers:
    """Have everything that is written lie in a folder, until the stack is closed."""
    # gradio keeps some files among the system's temporary ones, which then go as well.
    stack.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
    tempfile.tempdir = str(folder)
    answers = Answers(folder / "results", folder / "uploads", side, device)
    for place in (answers.folder, answers.uploads):
        place.mkdir()
    # Read by gradio: where uploads lie, and that it is to tell nobody that it is in use.
    os.environ.update(GRADIO_TEMP_DIR=str(answers.uploads), GRADIO_ANALYTICS_ENABLED="False")
    return answers


def _join_threads(before: Iterable[threading.Thread]) -> None:
    """Wait for threads that were started since: each may be about to write a file."""
    for thread in set(threading.enumerate()).difference(before):
        if not thread.daemon:  # for these Python waits at the end anyway
            thread.join()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, a closed terminal, end the block as Ctrl-C does."""
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is not None and signal.getsignal(hangup) == signal.SIG_IGN:
        hangup = None  # as nohup wants it
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, hangup) if number}

    def end(number: int, _frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # let nothing break off what is deleted then
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    if hangup is not None:  # uvicorn knows SIGTERM alone: it ends well, then raises it again
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

    # Browsers hold connections open, which are not waited for at the end.
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
    page.has_launched = True  # only launch() sets it, and until then gradio reads any file
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
        show_error=False,  # texts of unforeseen errors may name files of this machine
        max_file_size=most,
        theme=theme(),
        css=CSS,
    )
    return app
