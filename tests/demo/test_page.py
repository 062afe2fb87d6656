"""The page in a browser: Debian's Chromium, without a window. Skipped where there is none."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from invertdesc import LocalFeatures
from invertdesc.image import read_image

pytest.importorskip("gradio", reason="gradio is not installed: pip install -e '.[demo-test]'")
api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install -e '.[demo-test]'"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt install chromium"),
]
WAIT = 120_000  # ms; a busy machine takes its time
# Tells of each name that the server looks up and of each address that it connects to.
SERVER = """
import sys
def hear(event, given):
    place = given[1] if event == "socket.connect" else given
    if event in ("socket.connect", "socket.getaddrinfo") and place[0] != "127.0.0.1":
        print("outside:", event, place, file=sys.stderr, flush=True)
sys.addaudithook(hear)
from invertdesc.cli import main
main(["demo", "--port", "0", "--no-browser"])
"""


@pytest.fixture(scope="module")
def address(interruptible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve for all tests here, at an address with a token; then stop as a user would, and look
    what is left."""
    folder = tmp_path_factory.mktemp("server")
    home, temporary = folder / "home", folder / "temporary"
    for place in (home, temporary):
        place.mkdir()
    with (folder / "messages").open("w+") as messages:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env=os.environ | {"HOME": str(home), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
        )
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)
        messages.seek(0)
        assert found, messages.read()
        yield found[0]
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 130
        server.stdout.close()
        messages.seek(0)
        assert messages.read() == "Stopped.\n"
    left = [path for path in temporary.rglob("*") if path.is_file()]
    assert [path for path in left if "torchinductor" not in str(path)] == []


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Open the page in a browser of its own; at the end, see that it asked nobody else."""
    asked: list[str] = []
    wrong: list[str] = []
    contexts = []

    def make(width: int = 1280) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 860})
        contexts.append(context)
        context.set_default_timeout(WAIT)
        context.on("request", lambda request: asked.append(request.url))
        context.on("websocket", lambda socket: asked.append(socket.url))
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#upload input[type=file]", state="attached")
        page.wait_for_selector("#words p")
        return page

    yield make
    for context in contexts:
        context.close()
    assert len(asked) > 20
    own = address.partition("?")[0]
    assert [url for url in asked if not url.startswith((own, f"blob:{own}", "data:"))] == []
    assert wrong == []


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()[:128, 128:320]).save(path)
    return path


def upload(page: Any, path: Path) -> None:
    page.set_input_files("#upload input[type=file]", path)


def choose(page: Any, what: str, name: str) -> None:
    page.locator(f"#{what} input").click()
    page.get_by_role("option", name=name, exact=True).click()


def words(page: Any, pattern: str, where: str = "words") -> re.Match[str]:
    """Wait until the page says something."""
    page.wait_for_function(
        "([place, text]) => new RegExp(text).test(document.querySelector(place)?.innerText)",
        arg=[f"#{where}", pattern],
    )
    found = re.search(pattern, page.locator(f"#{where}").inner_text())
    assert found
    return found


def download(page: Any, label: str, to: Path) -> Path:
    button = page.get_by_role("button", name=label).or_(page.get_by_role("link", name=label))
    with page.expect_download() as begun:
        button.first.click()
    path = to / begun.value.suggested_filename
    begun.value.save_as(path)
    return path


def draw_over_right_half(page: Any, width: float = 3 * 192, height: float = 3 * 128) -> None:
    """Move the brush up and down over the photograph, which lies in the middle of the canvas."""
    page.wait_for_timeout(1000)  # until it is there
    box = page.locator("#photo canvas").first.bounding_box()
    zoom = float(re.findall(r"(\d+)%", page.locator("#photo").inner_text())[0]) / 100
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x + zoom * 40, y)  # the brush's radius
    page.mouse.down()
    for step in range(9):
        across = x + zoom * (40 + step * (width / 2 - 45) / 8)
        page.mouse.move(across, y + zoom * 0.48 * height * (-1) ** step, steps=8)
    page.wait_for_timeout(200)
    page.mouse.up()


def test_upload_choose_reconstruct_erase_download(
    open_page: Callable[..., Any], photo: Path, tmp_path: Path
) -> None:
    page = open_page()
    choose(page, "method", "poisson")
    upload(page, photo)
    every = int(words(page, r"^(\d+) of \1 keypoints\.")[1])
    before = LocalFeatures.load(download(page, "Features", tmp_path))
    assert len(before) == every

    draw_over_right_half(page)
    left = int(words(page, r"^(\d+) of \d+ keypoints; \d+ erased\.")[1])
    after = LocalFeatures.load(download(page, "Features", tmp_path))
    assert len(after) == left
    assert float(after.keypoints[:, 0].max()) < 110
    assert left >= int((before.keypoints[:, 0] < 80).sum())

    page.get_by_label("no orientation").check()
    words(page, rf"^{left} of .* Orientations are unknown")
    assert LocalFeatures.load(download(page, "Features", tmp_path)).orientations is None
    picture = read_image(download(page, "Reconstruction", tmp_path))
    assert picture.shape == (3, 128, 192)
    assert float(picture.std()) > 0.05
    assert read_image(download(page, "Side by side", tmp_path)).shape[1] > 2 * 128
    natural = page.locator("#reconstruction img").evaluate("img => img.naturalWidth")
    assert natural == 3 * 192


def test_what_is_shown_is_what_is_downloaded(
    open_page: Callable[..., Any], photo: Path, tmp_path: Path
) -> None:
    page = open_page()
    upload(page, photo)
    words(page, r"keypoints\.")
    made = Image.open(download(page, "Reconstruction", tmp_path)).convert("RGB")
    source = page.locator("#reconstruction img").get_attribute("src")
    shown = Image.open(BytesIO(page.request.get(source).body())).convert("RGB")
    assert shown.size == (3 * 192, 3 * 128)  # the page enlarges small ones
    difference = np.asarray(shown.resize(made.size), float) - np.asarray(made, float)
    assert np.abs(difference).mean() < 3


def test_two_browsers_at_once_do_not_mix(
    open_page: Callable[..., Any], photo: Path, tmp_path: Path
) -> None:
    one, two = open_page(), open_page()
    for page in (one, two):
        choose(page, "method", "poisson")
    choose(two, "descriptor", "orb")
    upload(one, photo)
    two.locator("#examples img").nth(1).click()  # camera
    counts = [int(words(page, r"^([\d,]+) of")[1].replace(",", "")) for page in (one, two)]
    for page, name, size, count in zip(
        (one, two), ("sift", "orb"), ((128, 192), (512, 512)), counts, strict=True
    ):
        features = LocalFeatures.load(download(page, "Features", tmp_path))
        assert (features.descriptor, features.image_size, len(features)) == (name, size, count)


def test_errors_are_told_in_words(
    open_page: Callable[..., Any], photo: Path, tmp_path: Path
) -> None:
    page = open_page()
    bad = tmp_path / "bad.png"
    bad.write_text("this is no image")
    upload(page, bad)
    words(page, "Expected an image file of the format")
    page.locator("#upload").get_by_label("Clear").click()
    words(page, "Choose a picture")
    choose(page, "descriptor", "orb")
    choose(page, "method", "coarse")
    upload(page, photo)
    words(page, "Expected .*orb")
    assert page.locator("#words .bad").count() == 1
    assert page.locator("#reconstruction img").count() == 0
    choose(page, "method", "poisson")
    words(page, r"^\d+ of \d+ keypoints\.")
    assert page.locator("#words .bad").count() == 0


@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_a_store_is_looked_at_image_by_image(
    width: int, open_page: Callable[..., Any], astronaut_features: LocalFeatures, tmp_path: Path
) -> None:
    page = open_page(width)
    assert "people who agreed" in page.inner_text("body")
    page.get_by_role("tab", name="A store").click()
    page.get_by_role("button", name="The examples").click()
    words(page, r"5 images, described by sift.*Used here: 1,003 keypoints", "store-words")
    page.get_by_label("Image", exact=True).first.click()
    page.get_by_role("option", name="rocket", exact=True).click()
    words(page, r"Used here: (?!1,003)[\d,]+ keypoints", "store-words")
    assert page.locator("#store-reconstruction img").count() == 1

    bad = tmp_path / "bad.db"
    bad.write_bytes(b"SQLite format 3\0 and no more")
    page.set_input_files("#store-upload input[type=file]", bad)
    message = words(page, r"Expected|Cannot", "store-words").string
    assert "/" not in message.replace("and/or", "")
    page.locator("#store-upload").get_by_label("Clear").click()
    words(page, "Choose a file", "store-words")
    astronaut_features.save(tmp_path / "one.npz")
    page.set_input_files("#store-upload input[type=file]", tmp_path / "one.npz")
    words(page, rf"1 images.*Used here: {len(astronaut_features):,} keypoints", "store-words")
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # nothing sticks out


def test_a_photograph_on_a_phone(open_page: Callable[..., Any], photo: Path) -> None:
    page = open_page(390)
    choose(page, "method", "poisson")
    upload(page, photo)
    words(page, r"keypoints\.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [page.locator(f"#{name}").bounding_box() for name in ("photo", "reconstruction")]
    assert boxes[0]["y"] < boxes[1]["y"]  # one below the other
    assert all(box["width"] > 300 for box in boxes)
