"""Answer only requests of the page itself that have the token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import compare_digest, token_urlsafe
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from invertdesc.demo.folder import holds

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
Refusal: TypeAlias = tuple[int, str]  # status and words

MEGABYTE = 2**20  # bytes, as gradio counts them
FRAME = MEGABYTE // 10  # bytes that the form adds to an upload
NAMES = ("127.0.0.1", "localhost")
# Routes that the page uses. gradio has more: some fetch from other hosts or write files.
PAGE = ("/", "/config", "/favicon.ico", "/theme.css")
FIXED = ("/assets/", "/static/")
API = "/gradio_api/"
FILE = f"{API}file="
CALLS = (
    *("app_id", "cancel", "component_server", "component_server/", "reset", "queue/data"),
    *("queue/join", "startup-events", "upload", "upload_progress"),
)
# The browser contacts only this server, whatever gradio writes into the page. Gradio's editor
# compiles shaders, which needs eval.
POLICY = (
    "default-src 'self'; base-uri 'self'; connect-src 'self' blob: data:; font-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; img-src 'self' blob: data:; object-src 'none'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "worker-src 'self' blob:"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
]
UNSTORED = (b"cache-control", b"no-store")  # otherwise the browser may store pictures on disk


@dataclass(frozen=True)
class Guard:
    """An ASGI application in front of another one; it refuses forbidden requests.

    Attributes:
        app: Application that answers allowed requests.
        uploads: Folder of the only files that are served.
        token: Token in the query of the first request; later requests have a cookie. Empty for no
            token.
        most: Maximum number of bytes of an upload.
        key: Value of the cookie. It is not the token, since browsers send cookies to other ports
            too.
    """

    app: Application
    uploads: Path
    token: str
    most: int
    key: str = field(default_factory=token_urlsafe, repr=False)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with a message."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        brought = self._brought(scope)
        refusal = (
            _foreign(scope, headers)
            or (None if brought or self._knows(scope, headers) else _unknown())
            or self._elsewhere(scope["path"])
            or self._too_large(headers)
        )

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._marks(scope, brought)]
            await send(message)

        if refusal is None:
            await self.app(scope, receive, marked)
        else:
            await _refuse(refusal, marked)

    def _brought(self, scope: Message) -> bool:
        """Return whether the query contains the token."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return bool(self.token) and compare_digest(given[0].encode(), self.token.encode())

    def _knows(self, scope: Message, headers: Mapping[str, str]) -> bool:
        """Return whether no token is needed, or a valid cookie replaces it."""
        pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        given = next((value for name, _, value in pairs if name == _cookie(scope)), "")
        return not self.token or compare_digest(given.encode(), self.key.encode())

    def _elsewhere(self, path: str) -> Refusal | None:
        """Refuse routes that the page does not use, and files that are not its own."""
        if path.startswith(FILE):
            if holds(self.uploads, path.removeprefix(FILE)):
                return None
            return 403, "Expected a file that was uploaded here or made here, got another."
        call = path.removeprefix(API) if path.startswith(API) else ""
        if path in PAGE or path.startswith(FIXED) or call in CALLS or call.startswith("heartbeat/"):
            return None
        return 404, "Expected an address that the page uses, got another."

    def _too_large(self, headers: Mapping[str, str]) -> Refusal | None:
        """Refuse a request by its stated length, before anything of it is stored."""
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
            return 411, "Expected the length of what is sent, in Content-Length; got none."
        if int(length) <= self.most + FRAME:
            return None
        most, got = self.most / MEGABYTE, int(length) / MEGABYTE
        return 413, (
            f"Expected a file of at most {most:g} MB, got {got:.1f} MB. "
            "Send a smaller one, or start the demo with a larger --max-upload."
        )

    def _marks(self, scope: Message, brought: bool) -> list[tuple[bytes, bytes]]:
        """Return headers that restrict the browser to this machine, with a cookie for the token."""
        marks = HEADERS if scope["path"].startswith(FIXED) else [*HEADERS, UNSTORED]
        if not brought:
            return marks
        cookie = f"{_cookie(scope)}={self.key}; Path=/; HttpOnly; SameSite=Strict"
        return [*marks, (b"set-cookie", cookie.encode())]


def _cookie(scope: Message) -> str:
    # Cookies do not distinguish ports, so servers at several ports would share them.
    return f"invertdesc-demo-{scope['server'][1]}"


def _unknown() -> Refusal:
    return 403, (
        "Expected the token of this server, got none or another. "
        "Open the whole address that `invertdesc demo` printed."
    )


def _foreign(scope: Message, headers: Mapping[str, str]) -> Refusal | None:
    """Refuse requests of other pages, and other names of this machine.

    A page of another site could reach this server by its own name for 127.0.0.1. A link on another
    page may open this page, in its own window.
    """
    host = headers.get("host", "").lower()
    if host.partition(":")[0] not in NAMES:
        return 400, f"Expected a request to {' or '.join(NAMES)}, got one to another name."
    followed = (
        scope["method"] == "GET"
        and scope["path"] == "/"
        and headers.get("sec-fetch-mode") == "navigate"
    )
    site = headers.get("sec-fetch-site", "none")
    if headers.get("origin", f"http://{host}").lower() != f"http://{host}" or not (
        followed or site in ("none", "same-origin")
    ):
        return 403, "Expected a request of this page, got one of another page."
    return None


async def _refuse(refusal: Refusal, send: Send) -> None:
    status, words = refusal
    body = f"{words}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
