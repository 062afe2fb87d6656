"""Who is answered, and what."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from invertdesc.demo.guard import FRAME, MEGABYTE, Guard

TOKEN = "open & shut?"


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Beside it lies what nobody may have."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "sent.png").write_bytes(b"sent")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    return folder


class Asked:
    """A guard before an application that says yes to all, asked as a browser asks."""

    def __init__(self, uploads: Path, token: str = TOKEN) -> None:
        self.reached: list[str] = []
        self.guard = Guard(self._app, uploads, token, most=2 * MEGABYTE)
        self.cookie = ""

    async def _app(self, scope: Any, _receive: Any, send: Any) -> None:
        self.reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"yes"})

    def __call__(
        self, path: str = "/", query: str = "", method: str = "GET", **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Return status, words and headers; a cookie is kept, and sent from then on."""
        sent: list[Any] = []

        async def receive() -> Any:
            raise AssertionError("nothing is read of what is refused")

        async def send(message: Any) -> None:
            sent.append(message)

        given = {"host": "127.0.0.1:7860", "cookie": f"a=b; c; {self.cookie}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "server": ("127.0.0.1", 7860),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        asyncio.run(self.guard(scope, receive, send))
        got = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        self.cookie = got.get("set-cookie", self.cookie).partition(";")[0]
        return sent[0]["status"], sent[1]["body"].decode(), got


@pytest.fixture
def ask(uploads: Path) -> Asked:
    return Asked(uploads)


@pytest.fixture
def known(ask: Asked) -> Asked:
    """One that has brought the token."""
    assert ask(query="token=open+%26+shut%3F")[0] == 200
    return ask


def test_the_token_is_brought_once_and_then_a_cookie_stands_for_it(ask: Asked) -> None:
    status, words, headers = ask()
    assert status == 403
    assert words.startswith("Expected the token of this server, got none or another. Open ")
    assert "set-cookie" not in headers
    assert ask.reached == []
    assert ask(query="token=other")[0] == 403
    assert ask(query="token=")[0] == 403
    assert ask(cookie="invertdesc-demo-7860=")[0] == 403
    assert ask(cookie="invertdesc-demo-7860=\xff")[0] == 403
    status, _, headers = ask(query="a=b&token=open+%26+shut%3F")
    assert status == 200
    assert headers["set-cookie"].startswith("invertdesc-demo-7860=")
    assert headers["set-cookie"].endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert "shut" not in headers["set-cookie"]
    status, _, headers = ask()
    assert status == 200
    assert "set-cookie" not in headers


def test_an_empty_token_lets_everybody_in(uploads: Path) -> None:
    ask = Asked(uploads, token="")
    for query in ("", "token=", "token=any"):
        status, _, headers = ask(query=query)
        assert status == 200
        assert "set-cookie" not in headers
    assert ask(origin="http://evil.example")[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:7860"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:7860"},
        {"origin": "null"},
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "same-origin", "origin": "http://evil.example"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
    ],
)
@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/queue/join"])
def test_other_pages_are_refused(headers: dict[str, str], path: str, known: Asked) -> None:
    status, words, _ = known(path, method="POST", content_length="5", **headers)
    assert status == 403
    assert words == "Expected a request of this page, got one of another page.\n"
    assert known.reached == ["/"]


def test_the_page_itself_is_answered(known: Asked) -> None:
    for name in ("127.0.0.1:7860", "localhost:7860", "localhost:9000"):  # a tunnel's end, the last
        own = {"host": name, "origin": f"http://{name}", "sec_fetch_site": "same-origin"}
        assert known("/gradio_api/upload", method="POST", content_length="5", **own)[0] == 200


def test_a_link_elsewhere_may_lead_to_the_page_and_nowhere_else(known: Asked) -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert known("/", **link)[0] == 200
    assert known("/gradio_api/app_id", **link)[0] == 403
    assert known("/", method="POST", **link)[0] == 403
    assert known("/", sec_fetch_site="cross-site", sec_fetch_mode="no-cors")[0] == 403


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example", "localhost.", "a@"])
def test_other_names_of_this_machine_are_refused(host: str, known: Asked) -> None:
    status, words, _ = known(host=host)
    assert status == 400
    assert words.startswith("Expected a request to 127.0.0.1 or localhost")


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/call/answer",
        "/gradio_api/deep_link",
        "/gradio_api/dev/reload",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/info",
        "/gradio_api/process_recording",
        "/gradio_api/proxy=http://evil.example",
        "/gradio_api/run/answer",
        "/gradio_api/stream/a/b/1/playlist-file",
        "/gradio_api/uploads",
        "/gradio_api/vibe-code",
        "/gradio_api",
        "//gradio_api/upload",
        "/docs",
        "/login",
        "/monitoring",
        "/svelte/a",
    ],
)
def test_what_the_page_does_not_use_is_not_there(path: str, known: Asked) -> None:
    status, words, _ = known(path)
    assert status == 404
    assert words == "Expected an address that the page uses, got another.\n"


def test_files_are_those_of_uploads(known: Asked, uploads: Path) -> None:
    assert known(f"/gradio_api/file={uploads}/sent.png")[0] == 200
    secret = uploads.parent / "secret.png"
    for path in (
        f"{secret}",
        f"{uploads}/../secret.png",
        f"{uploads}/link.png",
        f"{uploads}",
        f"{uploads}/none.png",
        f"{uploads}/sent.png\0",
        f"{uploads}/{'long' * 100}",
        f"http://127.0.0.1{uploads}/sent.png",
        "https://evil.example/sent.png",
        "",
        ".",
    ):
        status, words, _ = known(f"/gradio_api/file={path}")
        assert status == 403
        assert "uploaded here" in words
        assert str(uploads) not in words


def test_uploads_are_refused_by_their_length_before_they_are_read(known: Asked) -> None:
    def post(**headers: str) -> tuple[int, str]:
        return known("/gradio_api/upload", method="POST", **headers)[:2]

    assert post(content_length=str(2 * MEGABYTE + FRAME))[0] == 200
    status, words = post(content_length=str(200 * MEGABYTE))
    assert status == 413
    assert words.startswith("Expected a file of at most 2 MB, got 200.0 MB. ")
    assert "--max-upload" in words
    assert post(content_length=str(2 * MEGABYTE + FRAME + 1))[0] == 413
    for headers in ({"transfer_encoding": "chunked"}, {"content_length": "-1"}):
        status, words = post(**headers)
        assert status == 411
        assert "Content-Length" in words


def test_answers_and_refusals_hold_a_browser_to_this_machine(known: Asked) -> None:
    for path in ("/", "/gradio_api/none", "/static/a.js"):
        headers = known(path)[2]
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; ")
        assert "http" not in policy
        assert "*" not in policy
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers.get("cache-control") == (None if "static" in path else "no-store")
    assert known()[2]["a"] == "b"
