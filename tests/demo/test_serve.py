"""The server as a client without a browser meets it, and what is left when it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from PIL import Image
from skimage import data

from invertdesc.demo.guard import MEGABYTE

pytest.importorskip("gradio", reason="gradio is not installed: pip install -e '.[demo]'")
httpx = pytest.importorskip("httpx")

REFUSED = "Expected an uploaded picture or an example, got another file."
CHOICES = ["sift", "poisson", 100, []]
DRAW, ATTACK = ("imageeditor", "input"), (None, "success")  # by component and event


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of the user's that nobody sent."""
    path = tmp_path_factory.mktemp("private") / "secret.png"
    Image.fromarray(data.coffee()[100:260, 200:360]).save(path)
    return path


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = BytesIO()
    Image.fromarray(data.astronaut()[:128, 128:320]).save(file, "PNG")
    return file.getvalue()


class Server:
    """A server in a process of its own."""

    def __init__(self, temporary: Path, *options: str) -> None:
        self.temporary = temporary
        self.process = subprocess.Popen(
            [sys.executable, "-m", "invertdesc", "demo", "--port", "0", "--no-browser", *options],
            env=os.environ | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
            cwd=temporary,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.fullmatch(r"Serving (http://127\.0\.0\.1:\d+/)(\S*) to .*\n", line)
        if not found:
            self.process.kill()
        assert found, self.process.communicate()
        self.address, self.query = found[1], found[2]

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return exit status and messages."""
        self.process.send_signal(number)
        _, messages = self.process.communicate(timeout=120)
        return self.process.returncode, messages


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class Client:
    """A browser's requests, without a browser."""

    def __init__(self, address: str, query: str) -> None:
        self.session = token_hex()
        self.http = httpx.Client(base_url=address, timeout=120, trust_env=False)
        self.opened = self.http.get(f"/{query}")
        config = self.http.get("/config").json() if self.opened.is_success else {}
        self.calls = {  # of each kind the first, which is the tab's for photographs
            (name, event): call["id"]
            for call in reversed(config.get("dependencies", []))
            for target, event in call["targets"]
            for name in [next((c["type"] for c in config["components"] if c["id"] == target), None)]
        }
        self.editor = next(
            (c["id"] for c in config.get("components", []) if c["type"] == "imageeditor"), None
        )

    def upload(self, content: bytes, name: str = "photo.png", **headers: str) -> Any:
        return self.http.post(
            "/gradio_api/upload", files={"files": (name, content)}, headers=headers
        )

    def join(self, name: tuple[str | None, str], inputs: list[Any], event: Any = None) -> None:
        """Queue an event of the page."""
        joined = self.http.post(
            "/gradio_api/queue/join",
            json={
                "data": inputs,
                "event_data": event,
                "fn_index": self.calls[name],
                "trigger_id": 1,
                "session_hash": self.session,
            },
        )
        joined.raise_for_status()

    def call(
        self, name: tuple[str | None, str], inputs: list[Any], event: Any = None
    ) -> tuple[bool, Any]:
        """Return whether an event of the page was answered, and with what."""
        self.join(name, inputs, event)
        url = "/gradio_api/queue/data"
        with self.http.stream("GET", url, params={"session_hash": self.session}) as lines:
            for line in lines.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line else {"msg": ""}
                if message["msg"] == "process_completed":
                    output = message["output"]
                    return message["success"], output["data"] if message["success"] else output
        raise AssertionError("no answer")


def file(path: object, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, **more}


def attack(client: Client, uploaded: dict[str, Any]) -> str:
    """Have a picture attacked as the page does; return the words."""
    good, output = client.call(("file", "upload"), [uploaded])
    if not good:
        return str(output["error"])
    good, output = client.call(ATTACK, [None, None, None, *CHOICES])
    assert good
    return re.sub(r"<[^>]*>", "", output[4])


def break_off(client: Client, route: str, temporary: Path) -> None:
    """Send half a form, until some of it lies in a file."""
    before = len(left_in(temporary))
    url = client.http.base_url
    cookies = "; ".join(f"{name}={value}" for name, value in client.http.cookies.items())
    with socket.create_connection((url.host, url.port)) as connection:
        connection.sendall(
            f"POST /gradio_api/{route} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n"
            f"Cookie: {cookies}\r\nContent-Length: 9999\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
            'Content-Disposition: form-data; name="files"; filename="half.png"\r\n\r\n'.encode()
            + bytes(5000)
        )
        deadline = time.monotonic() + 60
        while len(left_in(temporary)) == before and time.monotonic() < deadline:
            time.sleep(0.05)
    assert len(left_in(temporary)) == before + 1


@pytest.fixture(scope="module")
def server(interruptible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve for all tests here; then stop as a user would, and look what is left."""
    temporary = tmp_path_factory.mktemp("temporary")
    server = Server(temporary, "--max-upload", "1")
    yield server
    status, messages = server.end(signal.SIGINT)
    assert (status, messages[-9:]) == (130, "Stopped.\n")
    assert left_in(temporary) == []


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    client = Client(server.address, server.query)
    yield client
    client.http.close()


def test_the_address_holds_a_token_that_is_asked_for(server: Server) -> None:
    assert re.fullmatch(r"\?token=[\w-]{43}", server.query)
    stranger = Client(server.address, "")
    assert stranger.opened.status_code == 403
    assert stranger.opened.text.startswith("Expected the token of this server")
    assert stranger.upload(b"").status_code == 403
    stranger.http.close()


def test_uploads_and_examples_are_attacked(client: Client, photo: bytes) -> None:
    path = client.upload(photo).json()[0]
    assert re.fullmatch(r"\d+ of \d+ keypoints\.", attack(client, file(path)))
    assert client.http.get(f"/gradio_api/file={path}").content == photo
    good, _ = client.call(("gallery", "select"), [], {"index": 4, "value": None})
    assert good
    good, output = client.call(ATTACK, [None, None, None, *CHOICES])
    assert good
    assert "keypoints." in output[4]


def test_stores_are_read_from_uploads_alone(client: Client, secret: Path) -> None:
    opened = ("file", "change")
    good, output = client.call(opened, [None, [file(secret)]])
    assert not good
    assert output["error"] == REFUSED
    path = client.upload(b"SQLite format 3\0 and no more", "bad.db").json()[0]
    good, output = client.call(opened, [None, [file(path)]])
    assert good
    assert "bad.db" in output[3]
    assert "/tmp" not in output[3]


def test_an_example_that_is_none_is_told(client: Client) -> None:
    for index in (5, -1, None, "a", [0, 1]):
        good, output = client.call(("gallery", "select"), [], {"index": index, "value": None})
        assert not good
        assert output["error"] == f"Expected an example from 0 to 4, got {index!r}."


def test_no_file_is_read_that_nobody_sent(client: Client, photo: bytes, secret: Path) -> None:
    path = client.upload(photo).json()[0]
    link = secret.with_name("link.png")
    link.symlink_to(secret)
    up = "/".join([".."] * 40)
    paths = [secret, link, f"{up}{secret}", f"{Path(path).parent}/{up}{secret}", f"file://{secret}"]
    for wanted in [*paths, "http://127.0.0.1:1/a.png", "https://example.com/a.png", "", "\0"]:
        assert attack(client, file(wanted)) == REFUSED
        assert attack(client, file(wanted, is_stream=True)) == REFUSED
        assert attack(client, {"path": str(wanted)}) == REFUSED
        for drawing in (
            {"background": file(wanted), "layers": [], "composite": None},
            {"background": None, "layers": [file(wanted)], "composite": None},
            {"background": file(path), "layers": [], "composite": file(wanted), "id": "a"},
        ):
            good, output = client.call(DRAW, [None, None, drawing, *CHOICES])
            assert (good, output["error"]) == (False, REFUSED)
        if "\0" not in str(wanted):
            answer = client.http.get(f"/gradio_api/file={wanted}")
            assert answer.status_code in (403, 404)  # httpx resolves some dots itself


@pytest.mark.slow
def test_gradio_itself_knows_uploads_from_other_files(secret: Path, tmp_path: Path) -> None:
    """Ask it without our own checks before it, in a process of its own: it sets up much."""
    script = f"""
import asyncio, sys
from contextlib import ExitStack
from pathlib import Path
from invertdesc.demo import page
from invertdesc.demo.serve import _build_app, _make_places
page._hold_to_uploads = lambda *_: None
with ExitStack() as stack:
    app = _build_app(_make_places(stack, Path({str(tmp_path)!r}), 512, None), 1)
    blocks = app.routes[-1].app.get_blocks()
    call = next(call for call in blocks.fns.values() if call.targets[0][1] == "upload")
    from gradio.context import LocalContext
    LocalContext.blocks.set(blocks)
    asyncio.run(blocks.preprocess_data(call, [{file(secret)!r}], None))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "InvalidPathError: Cannot move" in ran.stderr


def test_pages_of_others_are_refused(client: Client, server: Server, photo: bytes) -> None:
    own = server.address.removesuffix("/")
    assert client.upload(photo, Origin=own, **{"Sec-Fetch-Site": "same-origin"}).is_success
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        assert client.upload(photo, **headers).status_code == 403
        answer = client.http.get("/config", headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


def test_large_uploads_are_not_stored(client: Client, server: Server) -> None:
    def stored() -> int:
        files = (path for path in server.temporary.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files)

    before = stored()
    answer = client.upload(bytes(4 * MEGABYTE))
    assert answer.status_code == 413
    assert "at most 1 MB, got 4.0 MB" in answer.text
    parts = iter([b"--b\r\n", bytes(4 * MEGABYTE)])
    answer = client.http.post("/gradio_api/upload", content=parts)
    assert answer.status_code == 411
    form = {f"files{number}": ("a.png", bytes(MEGABYTE // 2)) for number in range(9)}
    assert client.http.post("/gradio_api/upload", files=form).status_code == 413
    assert stored() == before
    assert client.upload(b"small").is_success


def test_drawings_are_looked_at_before_they_are_decoded(client: Client) -> None:
    large = BytesIO()
    Image.new("1", (9000, 9000)).save(large, "PNG")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    for content, words in (
        (large.getvalue(), "at most 25000000 pixels, got 81000000"),
        (script, "Expected an image file"),
    ):
        layer = file(client.upload(content).json()[0])
        ahead = {"component_id": client.editor, "session_hash": client.session, "id": "ahead"}
        sent = client.http.post(
            "/gradio_api/component_server/",
            data={**ahead, "fn_name": "accept_blobs", "type": "layer", "index": "0"},
            files={"file": ("blob", content)},
        )
        assert sent.is_success
        for drawing in (
            {"background": None, "layers": [layer], "composite": None},
            {"background": None, "layers": [], "composite": None, "id": "ahead"},
        ):
            good, output = client.call(DRAW, [None, None, drawing, *CHOICES])
            assert not good
            assert words in output["error"]


def test_errors_name_no_folder_of_the_server(client: Client) -> None:
    path = client.upload(b"\x89PNG\r\n\x1a\n", "bad one.png").json()[0]
    words = attack(client, file(path))
    assert words.startswith("Expected an image file")
    whole = BytesIO()
    Image.effect_noise((99, 99), 50).save(whole, "PNG")
    layer = file(client.upload(whole.getvalue()[:500]).json()[0])  # gradio's errors quote it
    drawing = {"background": None, "layers": [layer], "composite": None}
    good, output = client.call(DRAW, [None, None, drawing, *CHOICES])
    assert not good
    for text in (words, json.dumps(output)):
        assert "/" not in text


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("busy", [False, True])
def test_nothing_is_left_of_a_server_that_ends(
    interruptible: None, number: int, busy: bool, photo: bytes, tmp_path: Path
) -> None:
    server = Server(tmp_path)
    client = Client(server.address, server.query)
    assert "keypoints" in attack(client, file(client.upload(photo).json()[0]))
    break_off(client, "upload", tmp_path)
    break_off(client, "component_server", tmp_path)
    if busy:  # the signal comes while somebody waits for an answer
        for share in (90, 80, 70):
            client.join(DRAW, [None, None, None, "sift", "unfold", share, []])
    status, messages = server.end(number)
    client.http.close()
    assert status == (130 if number == signal.SIGINT else 143)
    assert messages == ("Stopped.\n" if number == signal.SIGINT else "")
    assert left_in(tmp_path) == []


@pytest.mark.slow
def test_what_a_killed_server_left_goes_at_the_next_start(photo: bytes, tmp_path: Path) -> None:
    killed = Server(tmp_path)
    client = Client(killed.address, killed.query)
    client.upload(photo)
    client.http.close()
    assert killed.end(signal.SIGKILL)[0] == -signal.SIGKILL
    left = left_in(tmp_path)
    assert any(path.name == "photo.png" for path in left)
    living = Server(tmp_path, "--token", "")
    assert living.query == ""
    assert not any(path.exists() for path in left)
    assert living.end(signal.SIGTERM)[0] == 143
    assert left_in(tmp_path) == []
