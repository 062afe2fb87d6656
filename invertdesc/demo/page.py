"""Build the page: its components and their events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from invertdesc.demo.answers import Answers, Seen, View, example_at, forget, mask_of
from invertdesc.demo.attack import offered_descriptors, offered_methods
from invertdesc.demo.tabs import build_images, build_tab, said
from invertdesc.errors import InvertDescError
from invertdesc.image import open_checked
from invertdesc.sources import EXAMPLES, example_path

ABOUT = """# What do local descriptors give away?
Use pictures of yourself, pictures of people who agreed, or data that you are responsible for.
Nothing leaves this machine. A reconstruction is a guess: never use it as evidence."""
PHOTO = """First a photograph. Then what an app would store of it: keypoints, each with a
descriptor. Last what an attacker makes of those alone. **Draw over the photograph** to erase the
keypoints there."""
FILES = ("Features (.npz)", "Reconstruction (.png)", "Side by side (.png)")
THUMBNAIL = 96  # pixels
# Fonts of the reader's system; others would have to be downloaded.
FONTS, MONOSPACE = ["ui-sans-serif", "system-ui", "sans-serif"], ["ui-monospace", "monospace"]
CSS = """
#examples .grid-container { grid-template-columns: repeat(5, minmax(0, 1fr)) }
.words p { margin: 0; min-height: 1.5em }
.words .bad { color: #b3261e; font-weight: 600 }
.dark .words .bad { color: #ff8a80 }
"""


def theme() -> gr.themes.Base:
    """Return the theme, which loads nothing."""
    return gr.themes.Base(primary_hue="blue", font=FONTS, font_mono=MONOSPACE)


def build_page(answers: Answers) -> gr.Blocks:
    """Lay out the page."""
    page = gr.Blocks(title="invertdesc", analytics_enabled=False, delete_cache=(600, 3600))
    with page:
        gr.Markdown(ABOUT)
        with gr.Tab("A photograph"):
            drawing = _build_photograph(answers)
        with gr.Tab("A store"):
            build_tab(answers, "store")
        with gr.Tab("A map"):
            build_tab(answers, "map")
    _hold_to_uploads(page, drawing, answers)
    return page


def _build_photograph(answers: Answers) -> gr.ImageEditor:
    """Lay out the tab for a photograph, and return what one draws on."""
    gr.Markdown(PHOTO)
    seen = gr.State(None, delete_callback=forget)
    path = gr.State(None)
    upload, gallery, *choices = _build_controls()
    drawing: gr.ImageEditor
    drawing, *shown = _build_pictures()

    def answer(seen: Seen | None, path: str | None, drawing: Any, *chosen: Any) -> list[Any]:
        descriptor, method, percent, hidden = chosen
        seen, view = answers(
            seen,
            path,
            mask_of(drawing),
            descriptor=descriptor,
            method=method,
            percent=percent,
            hidden=hidden,
        )
        return [seen, *_laid_out(view)]

    common: dict[str, Any] = {
        "fn": answer,
        "inputs": [seen, path, drawing, *choices],
        "outputs": [seen, drawing, *shown],
        "show_progress_on": shown[1],
        "trigger_mode": "always_last",
        "concurrency_limit": 1,  # for all browsers together: there is one processor
        "api_visibility": "private",
    }
    gr.on([drawing.input, *(choice.input for choice in choices)], **common)
    for event in (
        upload.upload(lambda file: file, upload, path, api_visibility="private"),
        upload.clear(lambda: None, None, path, api_visibility="private"),
        gallery.select(_example, None, [path, upload], api_visibility="private"),
    ):
        event.success(**common)
    return drawing


def _hold_to_uploads(page: Any, drawing: gr.ImageEditor, answers: Answers) -> None:
    """Check what a browser sends before gradio uses it.

    Gradio would download from any address, and decode drawings of any size and kind.
    """
    prepare = page.preprocess_data

    async def prepare_uploads(
        block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> Any:
        with _reported():
            for block, sent in zip(block_fn.inputs, inputs, strict=False):  # gradio counts them
                for path in _paths(sent):
                    answers.check_readable(path)
                if block is drawing and isinstance(sent, dict):
                    there = state is not None and drawing._id in state  # one state per browser
                    _check_drawing(sent, state[drawing._id] if there else drawing)
        return await prepare(block_fn, inputs, state, explicit_call)

    # Replaced on the object, since gradio writes a stub file for each subclass of its classes.
    page.preprocess_data = prepare_uploads


def _check_drawing(sent: dict[str, Any], drawing: gr.ImageEditor) -> None:
    """Check the headers of the files of a drawing."""
    for path in _paths(sent):
        with Path(path).open("rb") as file:
            open_checked(file, Path(path).name)
    ahead = drawing.blob_storage.get(str(sent.get("id")))
    if ahead is not None:
        for picture in (ahead.background, ahead.composite, *ahead.layers):
            if picture is not None:
                open_checked(BytesIO(picture), "a drawing")


def _paths(sent: Any) -> Iterator[str]:
    """List all files named in a request, at any depth."""
    if isinstance(sent, dict):
        if "path" in sent:
            yield str(sent["path"])
        sent = list(sent.values())
    if isinstance(sent, list):
        for part in sent:
            yield from _paths(part)


@contextmanager
def _reported() -> Iterator[None]:
    """Show errors in the browser, not on the terminal."""
    try:
        yield
    except InvertDescError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _build_controls() -> Sequence[Any]:
    with gr.Row():
        with gr.Column(min_width=240):
            upload = gr.File(label="Picture", file_types=["image"], height=150, elem_id="upload")
        with gr.Column(min_width=240):
            gallery = gr.Gallery(
                [_thumbnail(name) for name in EXAMPLES],
                label="Examples",
                show_label=False,
                columns=len(EXAMPLES),
                height=150,
                allow_preview=False,
                interactive=False,
                buttons=[],
                elem_id="examples",
            )
        with gr.Column(min_width=200):
            descriptor = gr.Dropdown(
                offered_descriptors(),
                value="sift",
                label="Descriptor",
                filterable=False,
                elem_id="descriptor",
            )
            method = gr.Dropdown(
                offered_methods(),
                value="unfold",
                label="Method",
                filterable=False,
                elem_id="method",
            )
        with gr.Column(min_width=200):
            share = gr.Slider(1, 100, 100, step=1, label="% of keypoints", elem_id="share")
            hidden = gr.CheckboxGroup(
                [("no orientation", "orientations"), ("no scale", "scales")],
                value=[],
                label="Not stored",
                elem_id="hidden",
            )
    return upload, gallery, descriptor, method, share, hidden


def _build_pictures() -> Sequence[Any]:
    words = gr.HTML("<p>Choose a picture.</p>", elem_id="words", elem_classes="words")
    with gr.Row():
        drawing = gr.ImageEditor(
            label="Photograph",
            placeholder="Choose a picture",
            min_width=280,
            sources=(),
            transforms=(),
            layers=False,
            brush=gr.Brush(default_size=40, colors=["#2f6fdb"], color_mode="fixed"),
            buttons=[],
            format="png",
            elem_id="photo",
        )
        keypoints, picture = build_images()
    with gr.Row():
        files = [gr.DownloadButton(label, interactive=False) for label in FILES]
    return drawing, keypoints, picture, words, *files


def _laid_out(view: View | None) -> list[Any]:
    """Return new values for the components from `_build_pictures`."""
    if view is None:
        return [gr.skip()] * (4 + len(FILES))
    photo = gr.skip()
    if view.new:
        photo = {"background": view.photo, "layers": [], "composite": None}
    words = said(view.words, view.bad)
    files = [gr.update(value=str(file), interactive=True) for file in view.files]
    none = [gr.update(value=None, interactive=False)] * (len(FILES) - len(files))
    return [photo, view.keypoints, view.picture, words, *files, *none]


def _example(event: gr.SelectData) -> tuple[str, None]:
    """Return the file of an example, and None for the upload."""
    with _reported():
        return example_at(event.index), None


def _thumbnail(name: str) -> Image.Image:
    with Image.open(example_path(name)) as image:
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        return image.convert("RGB")
