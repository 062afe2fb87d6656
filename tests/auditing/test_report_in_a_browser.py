"""The report in a browser, on a desk and on a phone. Skipped where there is no Chromium."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from invertdesc import audit

api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install -e '.[demo-test]'"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt install chromium"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, picture: torch.Tensor) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    audit(picture, threats=["no-orientation"], defences=[("quantise", 2)], method="poisson").save(
        path
    )
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_report_is_whole_and_loads_nothing(
    width: int, colours: str, report: Path, chromium: Any
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 860}, color_scheme=colours)
    page = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(report.as_uri())
    assert [url for url in asked if not url.startswith(("data:", report.as_uri()))] == []
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    sizes = page.evaluate("[...document.images].map(one => [one.naturalWidth, one.width])")
    assert len(sizes) >= 5
    assert all(natural > 0 and shown > 40 for natural, shown in sizes)
    text = page.inner_text("body")
    assert "only if that person agrees" in text
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in background[4:-1].split(",")[:3]) / 3
    assert (brightness > 128) == (colours == "light"), background
    picture = page.locator("label.zoom img").last
    small = picture.bounding_box()
    picture.click()
    assert picture.bounding_box() == {"x": 0, "y": 0, "width": width, "height": 860}
    picture.click()
    assert picture.bounding_box()["width"] == small["width"]
    context.close()
